"""The merge: one transaction that appends the rows of a stage to the live table, puts them over it, or deletes by key.

The table is locked against writers and not against readers, who see the old rows until the commit. What
was done is noted in the same transaction, so that it is never done twice for a job.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg2.errors
from psycopg2 import sql

from aircan.contract import Field, Write, Writing, Written
from aircan.errors import DatastoreUnavailable, KeyNotUnique, LoadFailed, RowsMissing, TableBusy, TableMissing

from . import dictionary, names, publish, stage
from .connect import Connections

log = logging.getLogger(__name__)

LOCK_WAIT_MS = 3_000
"""How long one try waits for writers. Readers notice nothing; above PostgreSQL's deadlock_timeout (1 s), after
which it sends an automatic VACUUM or ANALYZE away."""

EARLY_MS = 3_000
"""How long a table is looked through for keys that come twice before the run begins, which a worker outside CKAN
waits for in one request."""

_PAUSE_S = 0.5
_SHOWN = 100
"""Rows with a wrong key that are named."""

# Their text in JSON is what `vector` makes of them; for rows with other types CKAN's trigger makes the vector.
_PLAIN = {"text", "numeric", "date", "boolean", "timestamp without time zone", "nested", "public.nested"}
_PLAIN |= {"smallint", "integer", "bigint", "real", "double precision", "character varying"}

# Compared as text: some have no equality (JSON), or one for which 1.5 and 1.50 are the same.
_BY_VALUE = {"text", "character varying", "date", "boolean", "timestamp without time zone", "integer", "bigint"}


def plan(cursor: Any, resource_id: str, fields: Sequence[Field], writing: Writing) -> stage.Note:
    """Return what the stage of a job is for; without a table the stage becomes the table.

    Raises TableMissing when there is nothing to delete from, and KeyNotUnique, which of a large table is known by
    `merge` only.
    """
    live = dictionary.exact_types(cursor, resource_id) if writing.mode is not Write.REPLACE else None
    if live is None:
        if writing.mode is Write.DELETE:
            raise TableMissing(resource=resource_id)
        return stage.Note(resource_id, tuple(fields), writing)
    _refuse_early(cursor, resource_id, writing, live)
    with_vector = _makes_vectors(cursor, resource_id, fields, writing, live)
    return stage.Note(resource_id, tuple(fields), writing, live, with_vector)


def _makes_vectors(
    cursor: Any, resource_id: str, fields: Sequence[Field], writing: Writing, live: dict[str, str]
) -> bool:
    """Return whether a row's vector can be made before the row is in the table.

    Not where columns keep what they hold, where triggers of people may change the row, or where a type has a
    text of its own: CKAN's trigger makes the vector then.
    """
    if writing.mode is Write.DELETE or not set(live.values()) <= _PLAIN:
        return False
    if writing.mode is Write.UPSERT and {f.id for f in fields} != set(live):
        return False
    return not _has_triggers(cursor, resource_id)


_TRIGGERS = """
SELECT count(*) FROM pg_catalog.pg_trigger g WHERE g.tgrelid = to_regclass(%s) AND NOT g.tgisinternal
AND g.tgname <> 'zfulltext' AND g.tgenabled <> 'D'
"""


def _has_triggers(cursor: Any, resource_id: str) -> bool:
    cursor.execute(_TRIGGERS, (_table(resource_id).as_string(cursor),))
    return bool(cursor.fetchone()[0])


def check_keys(cursor: Any, job_id: str, note: stage.Note) -> None:
    """Raise KeyNotUnique when rows of the stage have no key, or that of an earlier row."""
    key = note.writing.key
    if not key:
        return
    parts = {
        "stage": _table(names.stage(job_id)),
        "missing": sql.SQL(" OR ").join(sql.SQL("s.{} IS NULL").format(sql.Identifier(k)) for k in key),
        "key": _listed(key),
        "same": _same("s", "f", key),
        "text": _text("s", key),
        "most": sql.Literal(_SHOWN),
    }
    cursor.execute(
        sql.SQL(
            "SELECT s._id, NULL, count(*) OVER (), {text} FROM {stage} s WHERE {missing} ORDER BY 1 LIMIT {most}"
        ).format(**parts)
    )
    missing = cursor.fetchall()
    cursor.execute(
        sql.SQL(
            "WITH f AS MATERIALIZED (SELECT {key}, min(_id) AS first FROM {stage} GROUP BY {key} HAVING count(*) > 1) "
            "SELECT s._id, f.first, count(*) OVER (), {text} FROM f JOIN {stage} s ON {same} AND s._id > f.first "
            "ORDER BY 1 LIMIT {most}"
        ).format(**parts)
    )
    again = cursor.fetchall()
    if not missing and not again:
        return
    found = [{"code": "key_missing", "row": row, "first": None, "value": text} for row, _first, _n, text in missing]
    found += [{"code": "key_again", "row": row, "first": first, "value": text} for row, first, _n, text in again]
    count = sum(rows[0][2] for rows in (missing, again) if rows)
    raise KeyNotUnique(key=", ".join(key), count=count, found=sorted(found, key=lambda one: one["row"])[:_SHOWN])


def _refuse_early(cursor: Any, resource_id: str, writing: Writing, live: dict[str, str]) -> None:
    """Do as `_refuse_twice_in_table`, but only for so long: `merge` looks again, behind any request."""
    cursor.execute(sql.SQL("SAVEPOINT early; SET LOCAL statement_timeout = {}").format(sql.Literal(EARLY_MS)))
    try:
        _refuse_twice_in_table(cursor, resource_id, writing, live)
    except psycopg2.errors.QueryCanceled:
        cursor.execute("ROLLBACK TO SAVEPOINT early")
    else:
        cursor.execute("RELEASE SAVEPOINT early; SET LOCAL statement_timeout = 0")


def _refuse_twice_in_table(cursor: Any, resource_id: str, writing: Writing, live: dict[str, str]) -> None:
    """Raise KeyNotUnique when two rows of the table have the same key. Rows without a key are never meant."""
    key = writing.key
    if not key or not set(key) <= set(live) or _is_unique(cursor, resource_id, key):
        return
    complete = sql.SQL(" AND ").join(sql.SQL("s.{} IS NOT NULL").format(sql.Identifier(k)) for k in key)
    cursor.execute(
        sql.SQL(
            "SELECT min({text}), count(*), count(*) OVER () FROM {table} s WHERE {complete} GROUP BY {key} "
            "HAVING count(*) > 1 ORDER BY min(_id) LIMIT 1"
        ).format(text=_text("s", key), table=_table(resource_id), complete=complete, key=_listed(key))
    )
    if found := cursor.fetchone():
        value, times, count = found
        first = f"the table holds {value} {times} times"
        raise KeyNotUnique(key=", ".join(key), count=count, first=first)


_UNIQUE = """
SELECT x.indkey::int[], (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey))
FROM pg_catalog.pg_index x
WHERE x.indrelid = to_regclass(%s) AND x.indisunique AND x.indisvalid AND x.indpred IS NULL AND x.indexprs IS NULL
"""


def _is_unique(cursor: Any, resource_id: str, key: Sequence[str]) -> bool:
    """Return whether an index makes sure that these columns are unique."""
    cursor.execute(_UNIQUE, (_table(resource_id).as_string(cursor),))
    return any(columns is not None and set(columns) <= set(key) for _numbers, columns in cursor.fetchall())


def merge(
    connections: Connections, job_id: str, resource_id: str, note: stage.Note, *, rows: int, max_wait_s: float
) -> Written:
    """Merge the stage, all its rows or none. `max_wait_s`: how long to try for the lock.

    Raises TableBusy, KeyNotUnique, RowsMissing, LoadFailed; the table is then as it was.
    """
    started, tries = time.monotonic(), 0
    while True:
        tries += 1
        try:
            with connections.transaction(lock_timeout_ms=LOCK_WAIT_MS) as cursor:
                return _merge(cursor, job_id, resource_id, note, rows)
        except TableBusy as exc:
            waited = time.monotonic() - started
            if waited >= max_wait_s:
                raise TableBusy(exc.detail, tries=tries, seconds=round(waited)) from exc
            connections.stopped.wait(_PAUSE_S)
        except DatastoreUnavailable:
            # The connection may have been lost after the commit.
            with connections.transaction() as cursor:
                written = stage.written(cursor, job_id)
            if written is None:
                raise
            return written


def _merge(cursor: Any, job_id: str, resource_id: str, note: stage.Note, rows: int) -> Written:
    cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(_table(resource_id)))
    if dictionary.exact_types(cursor, resource_id) != note.live:
        raise LoadFailed("the columns of the table were changed while the file was read")
    if note.with_vector and _has_triggers(cursor, resource_id):
        cursor.execute(sql.SQL("UPDATE {} SET _full_text = NULL").format(_table(names.stage(job_id))))
    _refuse_twice_in_table(cursor, resource_id, note.writing, dict(note.live or {}))
    way = _WAYS[note.writing.mode]
    try:
        counts = way(_Merge(cursor, job_id, resource_id, note), rows)
    except psycopg2.errors.UniqueViolation as exc:
        raise _not_unique(exc) from exc
    total = _count(cursor, resource_id)
    written = Written(total, **counts)
    stage.keep_written(cursor, job_id, rows, written)
    return written


def _not_unique(exc: psycopg2.errors.UniqueViolation) -> KeyNotUnique:
    """Say which unique index of a person was in the way, and with which value, as PostgreSQL tells it."""
    return KeyNotUnique(
        key=exc.diag.constraint_name or "?", count=1, first=(exc.diag.message_detail or "").rstrip(".") or "?"
    )


def _count(cursor: Any, resource_id: str) -> int:
    """Return the rows of the table; where CKAN keeps their number, that is set, too."""
    if publish.has_counts(cursor):
        cursor.execute("SELECT public.update_cached_table_row_count(%s)", (resource_id,))
    else:
        cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(_table(resource_id)))
    return int(cursor.fetchone()[0])


class _Merge:
    """The statements of one merge, with the names filled in."""

    def __init__(self, cursor: Any, job_id: str, resource_id: str, note: stage.Note) -> None:
        self._cursor = cursor
        live, given = dict(note.live or {}), {field.id for field in note.fields}
        self._changing = [name for name in live if name in given and name not in note.writing.key]
        self._parts = {
            "live": _table(resource_id),
            "stage": _table(names.stage(job_id)),
            "columns": _listed(["_id", "_full_text", *live]),
            "values": sql.SQL(", ").join(_at("s", name) if name in given else sql.SQL("NULL") for name in live),
            "set": sql.SQL(", ").join(
                sql.SQL("{} = {}").format(sql.Identifier(name), _at("s", name))
                for name in ["_full_text", *self._changing]
            ),
            "same": _same("s", "t", note.writing.key),
            "differ": sql.SQL(" OR ").join(_differs(name, live[name]) for name in self._changing),
        }

    def append(self, rows: int) -> dict[str, int]:
        """Add every row behind the last one."""
        last = self._last_id()
        added = self._do(
            "INSERT INTO {live} ({columns}) SELECT {last} + s._id, s._full_text, {values} FROM {stage} s "
            "ORDER BY s._id",
            last=sql.Literal(last),
        )
        self._go_on_after(last + added)
        if added != rows:  # a person's trigger left some out
            raise RowsMissing(rows=rows, loaded=added)
        return {"added": added}

    def upsert(self, rows: int) -> dict[str, int]:
        """Add the rows whose key is new, and change those that differ; the added ones are not looked at again."""
        last = self._last_id()
        new = "FROM {stage} s WHERE NOT EXISTS (SELECT FROM {live} t WHERE {same})"
        self._cursor.execute(sql.SQL("SELECT count(*) " + new).format(**self._parts))
        wanted = int(self._cursor.fetchone()[0])
        added = changed = 0
        if wanted:
            added = self._do(
                "INSERT INTO {live} ({columns}) SELECT {last} + row_number() OVER (ORDER BY s._id), "
                "s._full_text, {values} " + new + " ORDER BY s._id",
                last=sql.Literal(last),
            )
            self._go_on_after(last + added)
        if added != wanted:
            raise RowsMissing(rows=wanted, loaded=added)
        if self._changing and wanted < rows:
            changed = self._do(
                "UPDATE {live} t SET {set} FROM {stage} s WHERE {same} AND t._id <= {last} AND ({differ})",
                last=sql.Literal(last),
            )
        return {"added": added, "changed": changed, "same": rows - added - changed}

    def delete(self, rows: int) -> dict[str, int]:
        """Delete the rows whose key is in the stage."""
        deleted = self._do("DELETE FROM {live} t USING {stage} s WHERE {same}")
        return {"deleted": deleted, "absent": rows - deleted}

    def _do(self, statement: str, **parts: sql.Composable) -> int:
        self._cursor.execute(sql.SQL(statement).format(**self._parts, **parts))
        return int(self._cursor.rowcount)

    def _last_id(self) -> int:
        """Return the highest `_id` that a row has or had."""
        self._cursor.execute(
            sql.SQL(
                "SELECT greatest(coalesce(max(_id), 0), coalesce(pg_sequence_last_value({sequence}), 0)) FROM {live}"
            ).format(sequence=self._sequence(), **self._parts)
        )
        return int(self._cursor.fetchone()[0])

    def _go_on_after(self, last: int) -> None:
        """Let the API number its next row `last` + 1."""
        if last:
            self._cursor.execute(sql.SQL("SELECT setval({}, {})").format(self._sequence(), sql.Literal(last)))

    def _sequence(self) -> sql.Composable:
        live = self._parts["live"].as_string(self._cursor)
        return sql.SQL("pg_get_serial_sequence({}, '_id')::regclass").format(sql.Literal(live))


_WAYS: dict[Write, Callable[[_Merge, int], dict[str, int]]] = {
    Write.APPEND: _Merge.append,
    Write.UPSERT: _Merge.upsert,
    Write.DELETE: _Merge.delete,
}


def tidy_up(connections: Connections, job_id: str, resource_id: str) -> None:
    """Drop the stage and renew PostgreSQL's statistics. The rows are in the table: nothing here fails a run."""
    try:
        with connections.transaction(lock_timeout_ms=LOCK_WAIT_MS) as cursor:
            cursor.execute(sql.SQL("ANALYZE {}").format(_table(resource_id)))
        with connections.transaction(lock_timeout_ms=LOCK_WAIT_MS) as cursor:
            stage.drop_rows(cursor, job_id)
    except LoadFailed as exc:
        log.warning("The stage of job %s is left to the janitor: %s", job_id, exc, extra={"action": "stage_left"})


def _table(name: str) -> sql.Identifier:
    return sql.Identifier("public", name)


def _at(alias: str, column: str) -> sql.Composable:
    return sql.SQL("{}.{}").format(sql.SQL(alias), sql.Identifier(column))


def _listed(columns: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _same(one: str, other: str, key: Sequence[str]) -> sql.Composable:
    return sql.SQL(" AND ").join(sql.SQL("{} = {}").format(_at(one, k), _at(other, k)) for k in key)


def _text(alias: str, key: Sequence[str]) -> sql.Composable:
    """Return the key as people read it, cut to 200 characters."""
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(_at(alias, k)) for k in key)
    return sql.SQL("left(concat_ws(', ', {}), 200)").format(texts)


def _differs(column: str, kind: str) -> sql.Composable:
    cast = sql.SQL("" if kind in _BY_VALUE else "::text")
    return sql.SQL("{0}{2} IS DISTINCT FROM {1}{2}").format(_at("t", column), _at("s", column), cast)

"""The hidden table of a job: made, filled part by part, counted.

Everything that another process needs to go on is in the database: the parts that arrived, and the
fields (as the comment of the parts' table). So parts may come through several web workers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql

from aircan.contract import REPLACE, Field, Type, Write, Writing, Written
from aircan.errors import PartBroken, RowsMissing, StageClosed, StageMissing, TooManyColumns, ValueRefused

from . import names, triggers, vector
from .connect import MAX_COLUMNS
from .feed import Body, Feed, record_ending_at

PUBLISHED = -1
"""Number of the row in the parts' table that says: this job's table was swapped in."""

_BEGUN = -2
"""Number of the row that is there from the beginning; its `rows` are 1 once no part is taken any more."""

_MADE_WRONG = (errorcodes.BAD_COPY_FILE_FORMAT, errorcodes.CHARACTER_NOT_IN_REPERTOIRE)
"""What PostgreSQL says of a part that is no COPY text of these columns, or not in UTF-8."""

_COLUMN_TYPES = {Type.JSON: "nested"}
"""Types of columns where they differ from the field's. CKAN keeps JSON in a composite of its own."""

_FEED_BYTES = 65_536


@dataclass(frozen=True)
class Note:
    """What a stage is for, kept as the comment of the parts' table.

    Attributes:
        fields: its columns, in the order of the parts.
        live: column -> exact type of the table that its rows are merged into, in order; None when the
            stage takes the table's place.
        with_vector: whether `_full_text` is filled already while rows arrive.
    """

    resource: str
    fields: tuple[Field, ...]
    writing: Writing = REPLACE
    live: Mapping[str, str] | None = None
    with_vector: bool = True

    @property
    def exact(self) -> dict[str, str]:
        """Column -> exact type, of the columns whose values go into the table; those that a DELETE ignores are text."""
        only = self.writing.key if self.writing.mode is Write.DELETE else (self.live or {})
        return {name: kind for name, kind in (self.live or {}).items() if name in only}

    def to_dict(self) -> dict[str, Any]:
        """Return the note as JSON-ready values."""
        return {
            "resource": self.resource,
            "fields": [field.to_dict() for field in self.fields],
            "writing": self.writing.to_dict(),
            "live": dict(self.live) if self.live is not None else None,
            "with_vector": self.with_vector,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Note:
        """Read what `to_dict` wrote."""
        fields = tuple(Field.from_dict(field) for field in data["fields"])
        writing = Writing.from_dict(data["writing"])
        return cls(data["resource"], fields, writing, data["live"], data["with_vector"])


def begin(cursor: Any, job_id: str, note: Note) -> None:
    """Make an empty stage, in place of whatever an earlier try of the job left.

    A person's own triggers on the old table are put on the stage at once, since they may change rows; those
    of a table that the rows are merged into do their work there.
    Raises TooManyColumns.
    """
    fields = note.fields
    if len(fields) > MAX_COLUMNS:
        raise TooManyColumns(columns=len(fields), limit=MAX_COLUMNS)
    drop(cursor, job_id)
    if any(field.type is Type.JSON for field in fields):
        _make_nested(cursor)
    table = names.stage(job_id)
    columns: list[sql.Composable] = [sql.SQL("_id int"), sql.SQL("_full_text tsvector")]
    types = {f.id: column_type(f) for f in fields} | note.exact
    columns += [sql.SQL("{} {}").format(sql.Identifier(f.id), sql.SQL(types[f.id])) for f in fields]
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(sql.Identifier("public", table), sql.SQL(", ").join(columns)))
    cursor.execute(
        sql.SQL(
            "CREATE TABLE {0} (number int PRIMARY KEY, rows bigint NOT NULL, capped int NOT NULL DEFAULT 0, "
            "loaded timestamptz NOT NULL DEFAULT clock_timestamp()); "
            "INSERT INTO {0} (number, rows) VALUES ({1}, 0); COMMENT ON TABLE {0} IS {2}"
        ).format(_parts(job_id), sql.Literal(_BEGUN), sql.Literal(json.dumps(note.to_dict())))
    )
    if note.with_vector:
        vector.create_function(cursor, names.vector(job_id), _in_order(note))
        vector.attach(cursor, table, names.vector(job_id))
    if note.live is None:
        triggers.copy(cursor, note.resource, table)


def _in_order(note: Note) -> list[Field]:
    """Return the fields in the order in which the table has them: the places of words follow it."""
    at = {name: number for number, name in enumerate(note.live or ())}
    return sorted(note.fields, key=lambda field: at.get(field.id, 0))


def column_type(field: Field) -> str:
    """Return the type of a field's column."""
    return _COLUMN_TYPES.get(field.type, field.type.value)


def drop(cursor: Any, job_id: str) -> None:
    """Drop everything of a job that is not published. Does nothing where there is nothing."""
    tables = [names.stage(job_id), names.parts(job_id), names.retired(job_id)]
    cursor.execute(
        sql.SQL("DROP TABLE IF EXISTS {}").format(sql.SQL(", ").join(sql.Identifier("public", t) for t in tables))
    )
    cursor.execute(sql.SQL("DROP FUNCTION IF EXISTS {} ()").format(sql.Identifier("public", names.vector(job_id))))


def drop_notes(cursor: Any, job_id: str) -> None:
    """Drop what only a load needs, once its table is published and complete."""
    cursor.execute(
        sql.SQL("DROP TABLE IF EXISTS {}; DROP FUNCTION IF EXISTS {} ()").format(
            _parts(job_id), sql.Identifier("public", names.vector(job_id))
        )
    )


def drop_rows(cursor: Any, job_id: str) -> None:
    """Drop the stage of rows that are merged, but not the note, which says so to a second run of the job."""
    cursor.execute(
        sql.SQL("DROP TABLE IF EXISTS {}; DROP FUNCTION IF EXISTS {} ()").format(
            sql.Identifier("public", names.stage(job_id)), sql.Identifier("public", names.vector(job_id))
        )
    )


def note_of(cursor: Any, job_id: str) -> Note:
    """Return what the stage was begun for. Raises StageMissing when there is no stage."""
    note = _note(cursor, job_id)
    if note is None:
        raise StageMissing("begin was not called, or the stage was dropped")
    return Note.from_dict(note)


def keep_written(cursor: Any, job_id: str, rows: int, written: Written) -> None:
    """Say, in the transaction that writes the rows, that this is done and what became of them."""
    note = {**(_note(cursor, job_id) or {}), "written": written.to_dict()}
    cursor.execute(
        sql.SQL("INSERT INTO {0} (number, rows) VALUES ({1}, {2}); COMMENT ON TABLE {0} IS {3}").format(
            _parts(job_id), sql.Literal(PUBLISHED), sql.Literal(rows), sql.Literal(json.dumps(note))
        )
    )


def is_merged(cursor: Any, job_id: str) -> bool:
    """Return whether the rows of a job were added to those of a table, which must not happen twice."""
    note = _note(cursor, job_id)
    return note is not None and note["writing"]["mode"] != Write.REPLACE.value and was_published(cursor, job_id)


def written(cursor: Any, job_id: str) -> Written | None:
    """Return what became of the rows of a job that are in the table already, None when they are not."""
    note = _note(cursor, job_id)
    if note is None:
        return None
    cursor.execute(sql.SQL("SELECT rows FROM {} WHERE number = {}").format(_parts(job_id), sql.Literal(PUBLISHED)))
    found = cursor.fetchone()
    if found is None:
        return None
    return Written.from_dict(note.get("written") or {"total": found[0], "added": found[0]})


def resource_of(cursor: Any, job_id: str) -> str | None:
    """Return the id of the resource that the stage is for, None when there is no stage."""
    note = _note(cursor, job_id)
    return str(note["resource"]) if note else None


def _note(cursor: Any, job_id: str) -> dict[str, Any] | None:
    cursor.execute("SELECT obj_description(to_regclass(%s), 'pg_class')", (_parts(job_id).as_string(cursor),))
    text = cursor.fetchone()[0]
    return dict(json.loads(text)) if text else None


def put(
    cursor: Any, job_id: str, fields: Sequence[Field], number: int, rows: int, body: Body, stopped: threading.Event
) -> bool:
    """Copy a part into the stage; False when it was there already.

    The part's number is written first and in the same transaction, so that of two who bring the same
    part at once the second waits and then leaves it.
    Raises RowsMissing when PostgreSQL counted other rows than the part claims, and what the body raises.
    """
    cursor.execute(
        sql.SQL("INSERT INTO {} (number, rows) VALUES ({}, {}) ON CONFLICT DO NOTHING").format(
            _parts(job_id), sql.Literal(number), sql.Literal(rows)
        )
    )
    if not cursor.rowcount:
        return False
    loaded = _copy(cursor, names.stage(job_id), fields, Feed(body, stopped))
    if loaded != rows:
        raise RowsMissing(f"part {number}", rows=rows, loaded=loaded)
    if capped := vector.capped(cursor):
        cursor.execute(
            sql.SQL("UPDATE {} SET capped = {} WHERE number = {}").format(
                _parts(job_id), sql.Literal(capped), sql.Literal(number)
            )
        )
    return True


def enter(cursor: Any, job_id: str) -> None:
    """Keep the stage, which is there, open for parts until the end of the transaction. Raises StageClosed."""
    cursor.execute(
        sql.SQL("SELECT rows FROM {} WHERE number = {} FOR SHARE").format(_parts(job_id), sql.Literal(_BEGUN))
    )
    found = cursor.fetchone()
    if found is None or found[0]:
        raise StageClosed


def close(cursor: Any, job_id: str, *, closed: bool = True) -> None:
    """Take no more parts, once those that are under way are there; or take them again."""
    cursor.execute(
        sql.SQL("UPDATE {} SET rows = {} WHERE number = {}").format(
            _parts(job_id), sql.Literal(int(closed)), sql.Literal(_BEGUN)
        )
    )


def arrived(cursor: Any, job_id: str) -> int:
    """Return the rows of all parts that are there, as they were told."""
    cursor.execute(sql.SQL("SELECT coalesce(sum(rows), 0) FROM {} WHERE number >= 0").format(_parts(job_id)))
    return int(cursor.fetchone()[0])


def located(error: ValueRefused, number: int, body: Body, fields: Sequence[Field]) -> ValueRefused | PartBroken:
    """Return the error with `row` (the `_id`, 1 is the first row of the file), `field` and the value itself.

    PostgreSQL names a line of the part; a record can be several lines long. A part that has other columns
    than the stage, or is not UTF-8, is PartBroken.
    """
    facts = dict(error.facts)
    line, column = facts.pop("copy_line", None), facts.pop("copy_column", None) or ""
    row = record_ending_at(body.again(), line) if line else None
    if row and row[0].strip().isdigit():
        facts["row"] = int(row[0])
    is_nul = str(facts.get("value")).endswith("0x00")  # valid UTF-8 that PostgreSQL does not store
    if error.detail.startswith(_MADE_WRONG) and not is_nul:
        return PartBroken(error.detail, number=number, reason=facts.get("value"), row=facts.get("row"))
    field = max((f.id for f in fields if column.startswith(f.id + ":")), key=len, default="")
    if field:
        facts["field"] = field
        at = [f.id for f in fields].index(field) + 1
        facts["value"] = row[at][:200] if row and at < len(row) else facts["value"]
    return ValueRefused(error.detail, **facts)


def count(cursor: Any, job_id: str) -> int:
    """Return the rows that are in the stage."""
    cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", names.stage(job_id))))
    return int(cursor.fetchone()[0])


def capped(cursor: Any, job_id: str) -> int:
    """Return the rows of which only the beginning can be searched, since their text is too long for PostgreSQL."""
    cursor.execute(sql.SQL("SELECT coalesce(sum(capped), 0) FROM {}").format(_parts(job_id)))
    return int(cursor.fetchone()[0])


def was_published(cursor: Any, job_id: str) -> bool:
    """Return whether the job's table was swapped in and not all was done after it."""
    if _note(cursor, job_id) is None:
        return False
    cursor.execute(sql.SQL("SELECT 1 FROM {} WHERE number = {}").format(_parts(job_id), sql.Literal(PUBLISHED)))
    return cursor.fetchone() is not None


def idle_s(cursor: Any, job_id: str) -> float | None:
    """Return the seconds since the last part, None when there is no stage."""
    if _note(cursor, job_id) is None:
        return None
    cursor.execute(sql.SQL("SELECT extract(epoch FROM clock_timestamp() - max(loaded)) FROM {}").format(_parts(job_id)))
    return float(cursor.fetchone()[0])


def _parts(job_id: str) -> sql.Composable:
    return sql.Identifier("public", names.parts(job_id))


def _make_nested(cursor: Any) -> None:
    """Create CKAN's type for JSON when no JSON was ever stored here."""
    cursor.execute("SELECT 1 FROM pg_catalog.pg_type WHERE typname = 'nested'")
    if not cursor.fetchone():
        cursor.execute('CREATE TYPE public."nested" AS (json json, extra text)')


def _copy(cursor: Any, table: str, fields: Sequence[Field], feed: Feed) -> int:
    columns = sql.SQL(", ").join([sql.SQL("_id"), *(sql.Identifier(f.id) for f in fields)])
    target = sql.Identifier("public", table)
    command = "COPY {} ({}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')"
    if all(field.type is not Type.JSON for field in fields):
        return _send(cursor, sql.SQL(command).format(target, columns), feed)
    # The composite's own notation is not JSON, so rows with JSON go through a table of the plain types.
    plain = sql.SQL(", ").join(sql.SQL("{} {}").format(sql.Identifier(f.id), sql.SQL(f.type.value)) for f in fields)
    cursor.execute(sql.SQL("CREATE TEMPORARY TABLE _aircan_part (_id int, {}) ON COMMIT DROP").format(plain))
    _send(cursor, sql.SQL(command).format(sql.Identifier("_aircan_part"), columns), feed)
    cells = sql.SQL(", ").join([sql.SQL("_id"), *(_cell(f) for f in fields)])
    cursor.execute(sql.SQL("INSERT INTO {} ({}) SELECT {} FROM _aircan_part").format(target, columns, cells))
    return int(cursor.rowcount)


def _send(cursor: Any, command: sql.Composable, feed: Feed) -> int:
    """Execute a COPY from a feed and return the rows. Raises what ended the feed, not what PostgreSQL made of it."""
    try:
        cursor.copy_expert(command, feed, _FEED_BYTES)
    except psycopg2.Error as exc:
        if feed.error is not None:
            raise feed.error from exc
        raise
    return int(cursor.rowcount)


def _cell(field: Field) -> sql.Composable:
    name = sql.Identifier(field.id)
    if field.type is not Type.JSON:
        return name
    # The empty second value is what the API writes.
    return sql.SQL("CASE WHEN {0} IS NOT NULL THEN ROW({0}, '')::public.nested END").format(name)

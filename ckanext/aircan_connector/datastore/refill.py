"""The second half of `publish=rows`: a table that was published without its full text gets it.

A second hidden table is filled from the published one, by several connections, each row with its vector; it gets
key and indexes and takes the place of the first in a second swap. All the while a lock lets readers through and
makes whoever writes through the API wait, so that no row of theirs is lost between the two tables.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from psycopg2 import sql

from aircan.contract import Field, Type
from aircan.errors import TableBusy

from . import crew, dress, indexes, names, publish, stage, vector
from .connect import Connections

_WAIT_MS = 3_000
"""How long one try waits for writers to end, while new ones wait behind it."""

_PIECES = 8
"""Stretches of the table for each connection, so that all end at about the same time."""

_KNOWN = {kind.value: kind for kind in Type if kind is not Type.JSON}


def is_due(connections: Connections, job_id: str, resource_id: str) -> bool:
    """Return whether the job's rows were published, and rows of the table still have no full text."""
    with connections.transaction() as cursor:
        if not stage.was_published(cursor, job_id) or stage.note_of(cursor, job_id).with_vector:
            return False
        columns = indexes.columns_of(cursor, resource_id)
        if not columns:
            return False
        cursor.execute(
            sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE _full_text IS NULL)").format(
                sql.Identifier("public", resource_id)
            )
        )
        return bool(cursor.fetchone()[0])


def refill(
    connections: Connections, job_id: str, resource_id: str, *, at_once: int, max_wait_s: float
) -> list[dict[str, Any]]:
    """Give the published table of a job its full text and indexes; return warnings.

    May be called again after any failure: until the second swap the table is as it was published.

    Args:
        connections: of the job.
        job_id: whose parts' table says that the rows were published.
        resource_id: the table.
        at_once: connections that fill the second table, beside the one that holds the lock.
        max_wait_s: how long to wait for writers, and then for the swap's own lock.

    Raises:
        TableBusy: writers never ended, or the lock of the swap could not be had.
    """
    started, tries = time.monotonic(), 0
    while True:
        tries += 1
        try:
            _drop_retired(connections, job_id)
            with connections.transaction(lock_timeout_ms=_WAIT_MS) as holder:
                holder.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
                holder.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier("public", resource_id)))
                tries, started = 0, time.monotonic()
                return _refill(connections, holder, job_id, resource_id, at_once, max_wait_s)
        except TableBusy as exc:
            waited = time.monotonic() - started
            if tries == 0 or waited >= max_wait_s:
                raise TableBusy(exc.detail, tries=tries, seconds=round(waited)) from exc
            connections.stopped.wait(publish.pause_s(tries))


def _refill(
    connections: Connections, holder: Any, job_id: str, resource_id: str, at_once: int, max_wait_s: float
) -> list[dict[str, Any]]:
    with connections.transaction() as cursor:
        fields = _fields(cursor, resource_id)
        _begin(cursor, job_id, resource_id, fields)
        pieces = _pieces(cursor, resource_id, at_once)
    capped = _fill(connections, _insert(job_id, resource_id, fields), pieces, at_once)
    with connections.transaction(lasting=False) as cursor:
        dress.finish(cursor, job_id)
        _go_on_numbering(cursor, job_id, resource_id)
    renames, warnings = dress.index(connections, job_id, resource_id, at_once)
    with connections.transaction(lasting=False) as cursor:
        dress.analyze(cursor, names.stage(job_id))
        rows = stage.count(cursor, job_id)
    swapped = publish.swap(
        connections, job_id, resource_id, fields, rows=rows, renames=renames, max_wait_s=max_wait_s, holder=holder
    )
    if capped:
        warnings.append({"code": "search_capped", "rows": capped})
    return [*warnings, *swapped.warnings]


def _drop_retired(connections: Connections, job_id: str) -> None:
    """Drop the table that the first swap left: the second needs its name. Raises TableBusy while it is still read."""
    with connections.transaction(lock_timeout_ms=_WAIT_MS) as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("public", names.retired(job_id))))


def _fields(cursor: Any, table: str) -> tuple[Field, ...]:
    """Return the columns of a table as they are now; a type that is none of ours goes the way that fits every type."""
    columns = indexes.columns_of(cursor, table)
    return tuple(Field(name, name, _KNOWN.get(kind, Type.JSON)) for name, kind in columns.items())


def _begin(cursor: Any, job_id: str, resource_id: str, fields: Sequence[Field]) -> None:
    """Make the second table, in place of one that an earlier try left. People's triggers have done their work."""
    stage.drop_rows(cursor, job_id)
    cursor.execute(
        sql.SQL("CREATE TABLE {} (LIKE {})").format(
            sql.Identifier("public", names.stage(job_id)), sql.Identifier("public", resource_id)
        )
    )
    vector.create_function(cursor, names.vector(job_id), fields)
    vector.attach(cursor, names.stage(job_id), names.vector(job_id))


def _pieces(cursor: Any, table: str, at_once: int) -> list[tuple[int, int]]:
    """Return stretches of pages, from the first to before the second, that cover the table."""
    cursor.execute(
        "SELECT pg_relation_size(to_regclass(%s)) / current_setting('block_size')::int + 1",
        (sql.Identifier("public", table).as_string(cursor),),
    )
    pages = int(cursor.fetchone()[0])
    # Before PostgreSQL 14 each stretch costs a scan of the whole table.
    count = at_once * (_PIECES if cursor.connection.server_version >= 140_000 else 1)
    cuts = sorted({pages * number // count for number in range(count)} | {pages})
    return list(pairwise(cuts))


def _insert(job_id: str, resource_id: str, fields: Sequence[Field]) -> sql.Composed:
    columns = sql.SQL(", ").join([sql.Identifier("_id"), *(sql.Identifier(field.id) for field in fields)])
    return sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE ctid >= %(first)s::tid AND ctid < %(end)s::tid").format(
        sql.Identifier("public", names.stage(job_id)), columns, columns, sql.Identifier("public", resource_id)
    )


def _go_on_numbering(cursor: Any, job_id: str, resource_id: str) -> None:
    """Let new rows be numbered as the published table would have numbered them."""
    new = sql.Identifier("public", names.temporary(job_id, "seq"))
    cursor.execute(
        sql.SQL(
            "SELECT setval({new}, greatest(n.last_value, o.last_value), n.is_called OR o.is_called)"
            " FROM {sequence} n, {old} o"
        ).format(
            new=sql.Literal(new.as_string(cursor)),
            sequence=new,
            old=sql.Identifier("public", names.sequence(resource_id)),
        )
    )


def _fill(connections: Connections, statement: sql.Composed, pieces: Sequence[tuple[int, int]], at_once: int) -> int:
    """Fill the second table; return the rows of which only the beginning can be searched."""

    def work(piece: tuple[int, int]) -> int:
        with connections.transaction(lock_timeout_ms=0, lasting=False) as cursor:
            cursor.execute(statement, {"first": f"({piece[0]},0)", "end": f"({piece[1]},0)"})
            return vector.capped(cursor)

    return sum(crew.each(pieces, work, at_once))

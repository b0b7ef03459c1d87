"""The swap: one short transaction that puts a stage in the place of the old table.

Readers see the old rows until the commit and the new ones after it. While the swap waits for its lock,
they wait, too; so it waits at most LOCK_WAIT_MS, lets go, and tries again.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg2
import psycopg2.errors
from psycopg2 import sql

from aircan.contract import Field
from aircan.errors import DatastoreUnavailable, LoadFailed, TableBusy

from . import catalogue, crew, dress, indexes, names, stage
from .connect import Connections, translate

log = logging.getLogger(__name__)

LOCK_WAIT_MS = 200
"""How long readers may have to wait for one try (measured: a swap itself takes 2 to 4 ms)."""

_PAUSE_S = 0.2
_MAX_PAUSE_S = 2.0
_DROP_WAIT_MS = 2_000

_QUIET_WAIT_MS = 3_000
"""How long to wait for locks that no reader notices. Above PostgreSQL's deadlock_timeout (1 s), after which
it sends an automatic VACUUM or ANALYZE away; it would not within LOCK_WAIT_MS."""


@dataclass(frozen=True)
class Swapped:
    """What came of a swap. `lock_seconds` is how long readers could not read."""

    tries: int
    lock_seconds: float
    warnings: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class _Plan:
    """The old table as it was, and all that happens under the lock, to be sent at once."""

    old: catalogue.Old | None
    moves: sql.Composable
    warnings: tuple[dict[str, Any], ...]


class _ChangedMeanwhileError(Exception):
    """The old table is not what the plan was made for."""


_CHANGED = (psycopg2.errors.UndefinedTable, psycopg2.errors.DuplicateTable, psycopg2.errors.UniqueViolation)
"""What PostgreSQL says when a table, alias or index came or went between a look and an action."""


def swap(
    connections: Connections,
    job_id: str,
    resource_id: str,
    fields: Sequence[Field],
    *,
    rows: int,
    renames: dict[str, str],
    max_wait_s: float,
    only_new: bool = False,
    holder: Any = None,
) -> Swapped:
    """Put the stage in the place of the table of the resource; the old table is left under its retired name.

    `renames`: temporary -> final name of indexes that are on the stage already. `max_wait_s`: how long to
    try. `only_new`: LoadFailed when there is a table now. `holder`: a cursor whose transaction keeps writers from
    the old table; the swap is part of it. Raises TableBusy, TableInUse. Whatever is raised, the old table is as it was.
    """
    started = time.monotonic()
    tries = 0
    plan: _Plan | None = None
    while True:
        tries += 1
        try:
            if plan is None:
                plan = _plan(connections, job_id, resource_id, fields, renames, rows)
            if only_new and plan.old is not None:
                raise LoadFailed("a table was made while the file was read, and its rows are not to be replaced")
            seconds = _try(connections, resource_id, plan, holder)
            return Swapped(tries, seconds, plan.warnings)
        except (_ChangedMeanwhileError, TableBusy) as exc:
            waited = time.monotonic() - started
            if waited >= max_wait_s:
                raise TableBusy(str(exc), tries=tries, seconds=round(waited)) from exc
            if isinstance(exc, TableBusy):
                connections.stopped.wait(pause_s(tries))
            else:
                plan = None
        except DatastoreUnavailable:
            # The connection may have been lost after the commit.
            if not is_published(connections, job_id):
                raise
            return Swapped(tries, 0.0, plan.warnings if plan else ())


def is_published(connections: Connections, job_id: str) -> bool:
    """Return whether the job's table was swapped in, and something is left to do for it."""
    with connections.transaction() as cursor:
        return stage.was_published(cursor, job_id)


def _plan(
    connections: Connections,
    job_id: str,
    resource_id: str,
    fields: Sequence[Field],
    renames: dict[str, str],
    rows: int,
) -> _Plan:
    with connections.transaction(lasting=False) as cursor:
        old = catalogue.old(cursor, resource_id)
        dressed = dress.like(cursor, job_id, resource_id, fields, old)
        moves = _statements(cursor, job_id, resource_id, old, {**renames, **dressed.renames}, rows)
        return _Plan(old, moves, dressed.warnings)


def pause_s(tries: int) -> float:
    """Return how long to wait before the next try for a lock, in seconds; not always the same."""
    return min(_PAUSE_S * tries, _MAX_PAUSE_S) * random.uniform(0.75, 1.25)  # noqa: S311 - no secret


def _try(connections: Connections, resource_id: str, plan: _Plan, holder: Any) -> float:
    """Lock, look whether all is as planned, swap. Returns the seconds from the lock to the commit.

    Most of the looking is done under a lock that readers do not notice. The commit does not wait for the disk
    while readers wait for it: `make_durable` does. Where there is no table, the renaming itself shows one that
    comes in between.
    """
    locked, old = 0.0, plan.old
    with _inside(holder) if holder else connections.transaction(lock_timeout_ms=LOCK_WAIT_MS) as cursor:
        try:
            if old is not None:
                _lock_quietly(cursor, resource_id)
            if catalogue.read(cursor, resource_id) != (old.facts if old else None):
                raise _ChangedMeanwhileError("the table was changed meanwhile")
            mark = catalogue.mark(cursor, resource_id) if old else None
            cursor.execute("SET LOCAL synchronous_commit = off")
            if old is not None:
                _lock(cursor, [*(alias.name for alias in old.aliases), resource_id])
            locked = time.monotonic()
            if old is not None and catalogue.mark(cursor, resource_id) != mark:
                raise _ChangedMeanwhileError("the table was changed meanwhile")
            cursor.execute(plan.moves)
        except _CHANGED as exc:
            raise _ChangedMeanwhileError(type(exc).__name__) from exc
    return time.monotonic() - locked


@contextmanager
def _inside(holder: Any) -> Iterator[Any]:
    """Yield the cursor of an open transaction that goes on, with the locks that it has, when the swap fails."""
    holder.execute("SAVEPOINT aircan_swap")
    try:
        yield holder
    except (psycopg2.Error, _ChangedMeanwhileError) as exc:
        if not holder.connection.closed:
            holder.execute("ROLLBACK TO SAVEPOINT aircan_swap")
        raise (translate(exc) if isinstance(exc, psycopg2.Error) else exc) from exc
    holder.execute("RELEASE SAVEPOINT aircan_swap")


def _lock_quietly(cursor: Any, table: str) -> None:
    """Take a lock that readers and writers do not notice; it sends automatic maintenance away and keeps changes out."""
    cursor.execute(
        sql.SQL("SET LOCAL lock_timeout = {}; LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(
            sql.Literal(_QUIET_WAIT_MS), sql.Identifier("public", table)
        )
    )


def _lock(cursor: Any, relations: Sequence[str]) -> None:
    """Lock views first, as readers take them, and then the table, within one time limit for all together."""
    listed = sql.SQL(", ").join(sql.Identifier("public", name) for name in relations)
    cursor.execute(
        sql.SQL(
            "SET LOCAL lock_timeout = {0}; SET LOCAL statement_timeout = {0}; "
            "SET LOCAL idle_in_transaction_session_timeout = '5s'"
        ).format(sql.Literal(LOCK_WAIT_MS))
    )
    cursor.execute(sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(listed))
    cursor.execute("SET LOCAL statement_timeout = 0")


def make_durable(connections: Connections, job_id: str) -> None:
    """Wait until the swap is on the disk, too: a commit that waits takes all before it along."""
    with connections.transaction() as cursor:
        cursor.execute(
            sql.SQL("UPDATE {} SET loaded = clock_timestamp() WHERE number = {}").format(
                sql.Identifier("public", names.parts(job_id)), sql.Literal(stage.PUBLISHED)
            )
        )


def _statements(
    cursor: Any, job_id: str, resource_id: str, old: catalogue.Old | None, renames: dict[str, str], rows: int
) -> sql.Composable:
    """Return all that happens under the lock, to be sent at once."""
    table = names.stage(job_id)
    moves = [
        _rename("TABLE", table, resource_id),
        _rename("INDEX", names.temporary(job_id, "pkey"), names.primary_key(resource_id)),
        _rename("SEQUENCE", names.temporary(job_id, "seq"), names.sequence(resource_id)),
        *(_rename("INDEX", name, final) for name, final in renames.items()),
        sql.SQL(
            "INSERT INTO {} (number, rows) VALUES ({}, {}) ON CONFLICT (number) DO UPDATE SET rows = excluded.rows"
        ).format(sql.Identifier("public", names.parts(job_id)), sql.Literal(stage.PUBLISHED), sql.Literal(rows)),
    ]
    if has_counts(cursor):
        moves.append(_COUNT.format(sql.Literal(resource_id), sql.Literal(rows)))
    if old is not None:
        searching = indexes.full_text(resource_id, indexes.columns_of(cursor, table))
        taken = {*renames.values(), *(index.name for index in searching)}
        moves = [*_out_of_the_way(job_id, resource_id, old, taken), *moves, *_aliases(resource_id, old)]
    return sql.SQL("; ").join(moves)


_COUNT = sql.SQL(
    "INSERT INTO public._table_stats AS s VALUES ({0}, jsonb_build_object('rows', {1}::bigint)) "
    "ON CONFLICT (resource_id) DO UPDATE SET stats = jsonb_set(s.stats, array['rows'], to_jsonb({1}::bigint))"
)


def has_counts(cursor: Any) -> bool:
    """Return whether this DataStore caches the rows of each table, as that of 2.12 does."""
    cursor.execute("SELECT to_regclass('public._table_stats') IS NOT NULL")
    return bool(cursor.fetchone()[0])


def _rename(kind: str, name: str, final: str) -> sql.Composable:
    return sql.SQL("ALTER {} {} RENAME TO {}").format(
        sql.SQL(kind), sql.Identifier("public", name), sql.Identifier(final)
    )


def _out_of_the_way(job_id: str, resource_id: str, old: catalogue.Old, taken: set[str]) -> list[sql.Composable]:
    moves: list[sql.Composable] = [
        sql.SQL("DROP VIEW {}").format(sql.Identifier("public", alias.name)) for alias in old.aliases
    ]
    moves.append(_rename("TABLE", resource_id, names.retired(job_id)))
    for number, index in enumerate(old.indexes):
        if index.primary or index.name in taken:
            moves.append(_rename("INDEX", index.name, names.temporary(job_id, "o", number)))
    for number, sequence in enumerate(old.sequences):
        moves.append(_rename("SEQUENCE", sequence, names.temporary(job_id, "q", number)))
    return moves


def _aliases(resource_id: str, old: catalogue.Old) -> list[sql.Composable]:
    moves: list[sql.Composable] = []
    for alias in old.aliases:
        moves.append(
            sql.SQL("CREATE VIEW {} AS SELECT * FROM {}").format(
                sql.Identifier("public", alias.name), sql.Identifier("public", resource_id)
            )
        )
        moves.extend(dress.grant_statements(alias.name, alias.grants))
    return moves


def analyze_live(connections: Connections, resource_id: str) -> None:
    """Let PostgreSQL gather its statistics of a published table; if it cannot now, it will by itself later."""
    try:
        with connections.transaction(lock_timeout_ms=_QUIET_WAIT_MS, lasting=False) as cursor:
            dress.analyze(cursor, resource_id)
    except LoadFailed as exc:
        log.info("The statistics of the new table are left to PostgreSQL: %s", exc, extra={"action": "analyze_skipped"})


def drop_retired(connections: Connections, job_id: str) -> None:
    """Drop the old table; one that a long dump still reads is left to the janitor."""
    try:
        with connections.transaction(lock_timeout_ms=_DROP_WAIT_MS) as cursor:
            cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier("public", names.retired(job_id))))
    except TableBusy as exc:
        log.info("The old table is still read and stays for now: %s", exc, extra={"action": "retired_kept"})


def index_live(
    connections: Connections, resource_id: str, *, max_wait_s: float, at_once: int = 1
) -> list[dict[str, Any]]:
    """Build the indexes for searching that a published table lacks, `at_once` at a time; return warnings.

    Readers go on; whoever writes through the API waits until an index is there. The lock is waited for
    _QUIET_WAIT_MS at a time, so that no writer queues behind us for long.
    Raises TableBusy after `max_wait_s` without the lock.
    """
    with connections.transaction() as cursor:
        missing = [index.name for index in indexes.missing(cursor, resource_id)]
    build = partial(_build_live, connections, resource_id, max_wait_s)
    return [warning for warning in crew.each(missing, build, at_once) if warning]


def _build_live(connections: Connections, resource_id: str, max_wait_s: float, name: str) -> dict[str, Any] | None:
    """Build one index for searching unless it is there or no more wanted; return a warning."""
    started, tries = time.monotonic(), 0
    while True:
        tries += 1
        try:
            with connections.transaction(lock_timeout_ms=_QUIET_WAIT_MS) as cursor:
                index = next((i for i in indexes.missing(cursor, resource_id) if i.name == name), None)
                return _build(cursor, resource_id, index) if index else None
        except TableBusy as exc:
            waited = time.monotonic() - started
            if waited >= max_wait_s:
                raise TableBusy(exc.detail, tries=tries, seconds=round(waited)) from exc
            connections.stopped.wait(pause_s(tries))


def _build(cursor: Any, resource_id: str, index: indexes.FullText) -> dict[str, Any] | None:
    try:
        return indexes.build(cursor, resource_id, index, index.name)
    except _CHANGED as exc:
        # Somebody else built it, or replaced or dropped the table, in this moment.
        raise TableBusy(type(exc).__name__) from exc

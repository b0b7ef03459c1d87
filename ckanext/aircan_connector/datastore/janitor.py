"""What killed runs left behind in the DataStore: hidden tables dropped, published ones finished."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from aircan.errors import TableBusy

from . import flag, indexes, names, publish, refill, stage
from .connect import Connections, transaction

log = logging.getLogger(__name__)

_LOCK_WAIT_MS = 500
_INDEX_WAIT_S = 10.0

_READ = """
SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind = 'r' AND starts_with(c.relname, %(prefix)s)
UNION ALL
SELECT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND starts_with(p.proname, %(prefix)s)
"""


@dataclass(frozen=True)
class Orphan:
    """What is left of a job that nobody works on.

    Attributes:
        names: its tables and function.
        idle_s: seconds since the last part arrived; None when only an old table is left.
        published: its table was swapped in, but not all was done after it.
    """

    job_id: str
    names: tuple[str, ...]
    idle_s: float | None
    published: bool


def orphans(active_job_ids: Collection[str]) -> list[Orphan]:
    """Return what is left of jobs that are not among the active ones."""
    left: dict[str, list[str]] = {}
    with transaction("aircan janitor") as cursor:
        cursor.execute(_READ, {"prefix": names.PREFIX})
        for (name,) in cursor.fetchall():
            job_id = names.job_of(name)
            if job_id and job_id not in active_job_ids:
                left.setdefault(job_id, []).append(name)
        return [
            Orphan(job_id, tuple(sorted(found)), stage.idle_s(cursor, job_id), stage.was_published(cursor, job_id))
            for job_id, found in sorted(left.items())
        ]


def drop_orphans(active_job_ids: Collection[str], older_than_s: float) -> list[str]:
    """Drop what is left of jobs that are not active and had no part for `older_than_s` seconds; return the names.

    A job whose table was published gets its missing indexes first. What somebody still uses stays for
    the next time. A job that begins while this runs is safe: what it makes is younger than `older_than_s`.
    """
    dropped: list[str] = []
    for orphan in orphans(active_job_ids):
        if orphan.idle_s is not None and orphan.idle_s < older_than_s:
            continue
        try:
            if orphan.published:
                finish_published(orphan.job_id)
            with transaction("aircan janitor", lock_timeout_ms=_LOCK_WAIT_MS) as cursor:
                stage.drop(cursor, orphan.job_id)
        except TableBusy as exc:
            log.info("What is left of job %s stays for now: %s", orphan.job_id, exc, extra={"action": "orphan_kept"})
            continue
        dropped.extend(orphan.names)
        log.info("Dropped what was left of job %s", orphan.job_id, extra={"action": "orphan_dropped"})
    return dropped


def was_published(job_id: str) -> bool:
    """Return whether a job's table was swapped in although the job did not come to its end."""
    with transaction("aircan janitor") as cursor:
        return stage.was_published(cursor, job_id)


def finish_published(job_id: str) -> None:
    """Do what a killed run left undone after the swap: indexes, CKAN's flag and views, the old table.

    May be called again.

    Raises TableBusy when others keep the table locked.
    """
    with transaction("aircan janitor") as cursor:
        resource_id = stage.resource_of(cursor, job_id)
    if resource_id:
        _fill(job_id, resource_id)
        build_missing_indexes(resource_id)
        flag.mark_active(resource_id)
        flag.default_views(resource_id)
    with transaction("aircan janitor", lock_timeout_ms=_LOCK_WAIT_MS) as cursor:
        stage.drop(cursor, job_id)


def _fill(job_id: str, resource_id: str) -> None:
    """Give a table whose rows were published before their full text what it lacks. Raises TableBusy."""
    connections = Connections("aircan janitor")
    try:
        if refill.is_due(connections, job_id, resource_id):
            refill.refill(connections, job_id, resource_id, at_once=1, max_wait_s=_INDEX_WAIT_S)
    finally:
        connections.close()


def needs_index(resource_id: str) -> bool:
    """Return whether a table lacks the index over all columns, so that a search reads every row."""
    with transaction("aircan janitor") as cursor:
        return any(not index.field for index in indexes.missing(cursor, resource_id))


def build_missing_indexes(resource_id: str) -> None:
    """Build the indexes for searching that a table lacks. Raises TableBusy."""
    connections = Connections("aircan janitor")
    try:
        publish.index_live(connections, resource_id, max_wait_s=_INDEX_WAIT_S)
    finally:
        connections.close()


def drop_table(resource_id: str, job_ids: Collection[str]) -> None:
    """Drop the stages of the jobs of a resource that was deleted. What is still in use is left to `drop_orphans`."""
    for job_id in job_ids:
        try:
            with transaction("aircan janitor", lock_timeout_ms=_LOCK_WAIT_MS) as cursor:
                stage.drop(cursor, job_id)
        except TableBusy as exc:
            log.info("The stage of %s stays for now: %s", resource_id, exc, extra={"action": "orphan_kept"})

"""The two tables of a job and their queries. Rules live in `jobs`; nobody else writes here.

Every function takes a SQLAlchemy connection, so that the caller decides what is one
transaction. Connections come from `begin()`, never from CKAN's session: a user's save and
our row must not be able to break each other. Rows come back as plain dicts.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model as ckan_model
from sqlalchemy.dialects.postgresql import JSONB, insert

from aircan.status import ACTIVE, Status

_ACTIVE_SQL = "status IN ({})".format(", ".join(f"'{s.value}'" for s in sorted(ACTIVE)))
_STATUS_SQL = "status IN ({})".format(", ".join(f"'{s.value}'" for s in Status))


class Job(tk.BaseModel):  # type: ignore[misc]
    """One run. `info` holds message, params, tasks, progress, result, error, warnings, publish (see `publishing`)."""

    __tablename__ = "aircan_connector_job"

    id = sa.Column(sa.Text, primary_key=True)
    factory_id = sa.Column(sa.Text)
    job_type = sa.Column(sa.Text, nullable=False)
    created = sa.Column(sa.DateTime(timezone=True), nullable=False)
    updated = sa.Column(sa.DateTime(timezone=True), nullable=False)
    dataset = sa.Column(sa.Text, nullable=False)
    resource = sa.Column(sa.Text, nullable=False)
    user = sa.Column(sa.Text)
    status = sa.Column(sa.Text, nullable=False)
    info = sa.Column(JSONB, nullable=False, server_default="{}")
    factory = sa.Column(sa.Text, nullable=False)
    dag_id = sa.Column(sa.Text)
    fingerprint = sa.Column(sa.Text)
    retry_of = sa.Column(sa.Text)
    last_report = sa.Column(sa.DateTime(timezone=True))
    started = sa.Column(sa.DateTime(timezone=True))
    finished = sa.Column(sa.DateTime(timezone=True))

    __table_args__ = (
        sa.CheckConstraint(_STATUS_SQL, name="aircan_connector_job_status"),
        # At most one WAITING and one RUNNING job of a type for a resource.
        sa.Index(
            "aircan_connector_job_active",
            "resource",
            "job_type",
            "status",
            unique=True,
            postgresql_where=sa.text(_ACTIVE_SQL),
        ),
        # What `reconcile` and the health checks walk through.
        sa.Index("aircan_connector_job_lease", "last_report", postgresql_where=sa.text(_ACTIVE_SQL)),
        sa.Index("aircan_connector_job_created", "created", "id"),
        sa.Index("aircan_connector_job_dataset", "dataset", "created", "id"),
        sa.Index("aircan_connector_job_resource", "resource", "created", "id"),
        sa.Index("aircan_connector_job_user", "user", "created", "id"),
        sa.Index("aircan_connector_job_status_created", "status", "created", "id"),
        sa.Index("aircan_connector_job_factory_id", "factory_id"),
    )


class JobEvent(tk.BaseModel):  # type: ignore[misc]
    """One line of a run's log; append only. `data` holds facts, or {"rejects": [...]}."""

    __tablename__ = "aircan_connector_job_event"

    id = sa.Column(sa.BigInteger, primary_key=True, autoincrement=True)
    job = sa.Column(sa.Text, nullable=False)
    time = sa.Column(sa.DateTime(timezone=True), nullable=False)
    task = sa.Column(sa.Text)
    level = sa.Column(sa.Text, nullable=False)
    message = sa.Column(sa.Text, nullable=False, server_default="")
    data = sa.Column(JSONB)

    __table_args__ = (sa.Index("aircan_connector_job_event_job", "job", "id"),)


JOB = Job.__table__
EVENT = JobEvent.__table__

REJECT = "reject"
"""Level of the events that carry refused rows; everything else is a log level."""

ORDERS = {
    "created desc": (JOB.c.created.desc(), JOB.c.id.desc()),
    "created asc": (JOB.c.created.asc(), JOB.c.id.asc()),
    "updated desc": (JOB.c.updated.desc(), JOB.c.id.desc()),
    "updated asc": (JOB.c.updated.asc(), JOB.c.id.asc()),
}
"""Orders of a list of jobs, by the words of the `order` parameter."""


def now() -> datetime:
    """Return the present moment, in UTC."""
    return datetime.now(timezone.utc)


@contextmanager
def begin(*, lasting: bool = True) -> Iterator[sa.engine.Connection]:
    """Open a transaction of our own on CKAN's database; commit at the end, roll back on an error.

    Where it is not `lasting`, the commit does not wait for the disk: a crash of the server within the next second
    undoes it, unless a commit that waits has taken it along.
    """
    with ckan_model.meta.engine.begin() as connection:
        if not lasting:
            connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
        yield connection


@contextmanager
def alone(job_id: str) -> Iterator[bool]:
    """Yield whether nobody else is inside this for the same job; true for one at a time, in any process.

    It is an advisory lock of a transaction, so it ends with the block, and with the process at the latest.
    """
    with begin() as connection:
        connection.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        taken = connection.execute(sa.text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _lock_key(job_id)})
        yield bool(taken.scalar())


def is_taken(job_id: str) -> bool:
    """Return whether somebody is inside `alone` for a job."""
    key = _lock_key(job_id)
    statement = sa.text(
        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND classid = :high AND objid = :low"
    )
    with begin() as connection:
        return connection.execute(statement, {"high": key >> 32, "low": key & 0xFFFFFFFF}).scalar() is not None


def _lock_key(job_id: str) -> int:
    return uuid.UUID(job_id).int & (2**63 - 1)


def _one(result: Any) -> dict[str, Any] | None:
    row = result.mappings().first()
    return dict(row) if row else None


def insert_job(connection: sa.engine.Connection, values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Insert a job; return its row, or None when an active one of its status is in the way."""
    statement = insert(JOB).values(**values).on_conflict_do_nothing().returning(*JOB.c)
    return _one(connection.execute(statement))


def get_job(connection: sa.engine.Connection, job_id: str) -> dict[str, Any] | None:
    """Return the job's row or None."""
    return _one(connection.execute(sa.select(*JOB.c).where(JOB.c.id == job_id)))


def job_of_factory_id(connection: sa.engine.Connection, factory_id: str) -> dict[str, Any] | None:
    """Return the newest job that a factory knows under this id, or None."""
    statement = sa.select(*JOB.c).where(JOB.c.factory_id == factory_id).order_by(JOB.c.created.desc()).limit(1)
    return _one(connection.execute(statement))


def active_job(connection: sa.engine.Connection, resource: str, job_type: str, status: Status) -> dict[str, Any] | None:
    """Return the WAITING or RUNNING job of a resource and type, or None."""
    statement = sa.select(*JOB.c).where(
        JOB.c.resource == resource, JOB.c.job_type == job_type, JOB.c.status == status.value
    )
    return _one(connection.execute(statement))


def newest_job(connection: sa.engine.Connection, resource: str, job_type: str) -> dict[str, Any] | None:
    """Return the newest job of a resource and type, or None."""
    statement = sa.select(*JOB.c).where(JOB.c.resource == resource, JOB.c.job_type == job_type)
    return _one(connection.execute(statement.order_by(JOB.c.created.desc(), JOB.c.id.desc()).limit(1)))


def active_jobs(
    connection: sa.engine.Connection, *, resource: str | None = None, dataset: str | None = None
) -> list[dict[str, Any]]:
    """Return active jobs, of one resource or dataset if named, oldest first."""
    statement = sa.select(*JOB.c).where(sa.text(_ACTIVE_SQL)).order_by(JOB.c.created)
    if resource:
        statement = statement.where(JOB.c.resource == resource)
    if dataset:
        statement = statement.where(JOB.c.dataset == dataset)
    return [dict(row) for row in connection.execute(statement).mappings()]


def ended_jobs(connection: sa.engine.Connection, *, since: datetime, created: datetime) -> list[dict[str, Any]]:
    """Return jobs at a factory that became final after `since`, of those created after `created`."""
    statement = sa.select(*JOB.c).where(JOB.c.created >= created, JOB.c.finished >= since, JOB.c.factory_id.isnot(None))
    return [dict(row) for row in connection.execute(statement).mappings()]


def update_job(
    connection: sa.engine.Connection,
    job_id: str,
    values: Mapping[str, Any],
    *,
    sources: Sequence[Status],
    unhanded: bool = False,
) -> dict[str, Any] | None:
    """Update a job that is in one of `sources`; return its new row, or None when it is not.

    Args:
        connection: the transaction; the row stays locked until its end.
        job_id: which job.
        values: column -> new value.
        sources: legal source statuses; they stand in the WHERE clause.
        unhanded: touch only a job that has no `factory_id` yet.
    """
    statement = sa.update(JOB).where(JOB.c.id == job_id, JOB.c.status.in_([s.value for s in sources]))
    if unhanded:
        statement = statement.where(JOB.c.factory_id.is_(None))
    return _one(connection.execute(statement.values(**values).returning(*JOB.c)))


def _filtered(statement: Any, filters: Mapping[str, Any]) -> Any:
    for name in ("dataset", "resource", "user", "status", "job_type"):
        if filters.get(name):
            statement = statement.where(JOB.c[name] == filters[name])
    if filters.get("q"):
        like = "%" + str(filters["q"]).replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        statement = statement.where(
            sa.or_(
                JOB.c.id.ilike(like),
                JOB.c.resource.ilike(like),
                JOB.c.info["message"].astext.ilike(like),
                JOB.c.info["name"].astext.ilike(like),
                JOB.c.info["error"]["message"].astext.ilike(like),
            )
        )
    if filters.get("organisations") is not None:
        package = sa.inspect(ckan_model.Package).local_table
        mine = sa.select(package.c.id).where(
            package.c.state == "active", package.c.owner_org.in_(list(filters["organisations"]))
        )
        statement = statement.where(JOB.c.dataset.in_(mine))
    return statement


def list_statement(filters: Mapping[str, Any], *, order: str, limit: int, offset: int) -> Any:
    """Return the SELECT of `list_jobs`; apart so that a test can look at its plan."""
    return _filtered(sa.select(*JOB.c), filters).order_by(*ORDERS[order]).limit(limit).offset(offset)


def list_jobs(
    connection: sa.engine.Connection, filters: Mapping[str, Any], *, order: str, limit: int, offset: int
) -> tuple[int, list[dict[str, Any]]]:
    """Return (number of jobs that match, the rows of this page).

    `filters` may hold dataset, resource, user, status, job_type (exact), q (part of id, name, message or
    error) and organisations (ids; jobs of their active datasets only).
    """
    count = connection.execute(_filtered(sa.select(sa.func.count()).select_from(JOB), filters)).scalar()
    statement = list_statement(filters, order=order, limit=limit, offset=offset)
    return int(count or 0), [dict(row) for row in connection.execute(statement).mappings()]


def latest_jobs(connection: sa.engine.Connection, dataset: str) -> list[dict[str, Any]]:
    """Return the newest job of each active resource of a dataset that has one, for its badges: one query."""
    resource = sa.inspect(ckan_model.Resource).local_table
    newest = (
        sa.select(*JOB.c)
        .where(JOB.c.resource == resource.c.id)
        .order_by(JOB.c.created.desc(), JOB.c.id.desc())
        .limit(1)
        .lateral("newest")
    )
    statement = (
        sa.select(*newest.c)
        .select_from(resource.join(newest, sa.true()))
        .where(resource.c.package_id == dataset, resource.c.state == "active")
        .order_by(resource.c.position)
    )
    return [dict(row) for row in connection.execute(statement).mappings()]


def add_event(
    connection: sa.engine.Connection,
    job_id: str,
    message: str,
    *,
    task: str | None = None,
    level: str = "info",
    data: Mapping[str, Any] | None = None,
) -> None:
    """Append an event to a job's log."""
    connection.execute(
        sa.insert(EVENT).values(
            job=job_id, time=now(), task=task, level=level, message=message, data=dict(data) if data else None
        )
    )


def has_rejects(connection: sa.engine.Connection, job_id: str, rejects: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a job's log holds this very batch of refused rows: of a first try, or of a report sent twice."""
    same = sa.and_(EVENT.c.job == job_id, EVENT.c.level == REJECT, EVENT.c.data == {"rejects": list(rejects)})
    return connection.execute(sa.select(EVENT.c.id).where(same).limit(1)).first() is not None


def count_events(connection: sa.engine.Connection, job_id: str) -> int:
    """Return how many events a job has."""
    statement = sa.select(sa.func.count()).select_from(EVENT).where(EVENT.c.job == job_id)
    return int(connection.execute(statement).scalar() or 0)


def list_events(
    connection: sa.engine.Connection,
    job_id: str,
    *,
    after: int = 0,
    limit: int = 100,
    rejects: bool = False,
    newest: bool = False,
) -> list[dict[str, Any]]:
    """Return events with an id above `after`, oldest first: the log, or the refused rows.

    Of more than `limit` events the oldest are returned, or with `newest` the newest.
    """
    statement = sa.select(*EVENT.c).where(EVENT.c.job == job_id, EVENT.c.id > after)
    statement = statement.where(EVENT.c.level == REJECT if rejects else EVENT.c.level != REJECT)
    statement = statement.order_by(EVENT.c.id.desc() if newest else EVENT.c.id).limit(limit)
    rows = [dict(row) for row in connection.execute(statement).mappings()]
    return rows[::-1] if newest else rows


def delete_jobs(connection: sa.engine.Connection, *, finished_before: datetime) -> int:
    """Delete final jobs that ended before a moment, with their events; return how many jobs."""
    old = sa.select(JOB.c.id).where(JOB.c.finished < finished_before)
    connection.execute(sa.delete(EVENT).where(EVENT.c.job.in_(old)))
    return connection.execute(sa.delete(JOB).where(JOB.c.finished < finished_before)).rowcount

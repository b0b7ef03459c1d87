"""Every active state has a way out: jobs that went silent are asked after, handed over, or failed with a reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from aircan.contract import Report
from aircan.errors import (
    AircanError,
    FactoryUnavailable,
    LoadFailed,
    NeverStarted,
    NothingReported,
    RunEnded,
    RunVanished,
    WorkerLost,
    from_dict,
)
from aircan.status import Status

from . import background, config, factories, jobs, model, settings
from .datastore import flag, janitor
from .factories.base import Factory, Seen, State

log = logging.getLogger(__name__)

MAX_WAIT_S = 86_400
"""Seconds that a factory may keep an order waiting before the job fails."""

LOOK_BACK_S = 600
"""Seconds after the end of a job in which its run at the factory is looked at until that has ended, too."""


def reconcile() -> dict[str, int]:
    """Look after every job that is due, sweep what killed runs left, and delete jobs past their days.

    Returns {"active", "looked_after", "tables_dropped", "jobs_deleted", "settings_deleted"}.
    """
    with model.begin() as connection:
        active = model.active_jobs(connection)
    due = [job for job in active if is_due(job)]
    away: set[str] = set()
    for job in due:
        if job["factory"] not in away and not look_after(job):
            away.add(job["factory"])  # its other jobs would only wait for the same answer
    _look_back(away)
    return {
        "active": len(active),
        "looked_after": len(due),
        "tables_dropped": _sweep(),
        "jobs_deleted": _forget(),
        "settings_deleted": settings.sweep(),
    }


def _look_back(away: set[str]) -> None:
    """Look at jobs that ended while their runs at the factory did not: the last task of a run reports, then ends.

    One that was cancelled and goes on is told once more to stop: the factory was away when it was told.
    """
    moment = model.now()
    with model.begin() as connection:
        ended = model.ended_jobs(
            connection, since=moment - timedelta(seconds=LOOK_BACK_S), created=moment - timedelta(seconds=MAX_WAIT_S)
        )
    for job in ended:
        name, kept = job["factory"], job["info"].get("factory")
        is_open = not kept or (kept["raw"] and not kept["ended"])
        if name in away or not is_open or not _is_time(job):
            continue
        try:
            factory = factories.get(name)
            seen = factory.see(job["factory_id"])
            if job["status"] == Status.CANCELLED.value and seen.state in (State.QUEUED, State.WORKING):
                factory.cancel(job["factory_id"])
        except FactoryUnavailable as exc:
            log.warning("Job %s: %s", job["id"], exc, extra={"action": "job_not_asked"})
            away.add(name)
            continue
        if seen.state is not State.GONE:
            jobs.seen_last(job["id"], seen)


def _silence_s(job: Mapping[str, Any]) -> float:
    return float((model.now() - (job["last_report"] or job["created"])).total_seconds())


def is_silent(job: Mapping[str, Any]) -> bool:
    """Return whether an active job's last report is older than the lease."""
    return job["status"] in (Status.WAITING.value, Status.RUNNING.value) and _silence_s(job) >= config.lease_s()


def is_due(job: Mapping[str, Any]) -> bool:
    """Return whether an active job is to be looked after now.

    It is when it is silent, when its hand-over got no answer, or when its factory wants to be looked at often.
    """
    if is_silent(job):
        return True
    if job["status"] == Status.WAITING.value and not job["factory_id"]:
        tried = job["info"].get("hand_over")
        return bool(tried) and (not tried["after"] or datetime.fromisoformat(tried["after"]) <= model.now())
    return _is_time(job)


def _is_time(job: Mapping[str, Any]) -> bool:
    """Return whether it is time to look at a run of a factory that wants to be looked at often."""
    often_s = factories.look_every_s(job["factory"])
    seen = (job["info"].get("factory") or {}).get("seen")
    return often_s is not None and (not seen or (model.now() - datetime.fromisoformat(seen)).total_seconds() >= often_s)


def look_after(job: Mapping[str, Any]) -> bool:
    """Do what a job needs that is due: hand it over, leave it, or end it. Return False when its factory is away."""
    if not is_due(job):
        return True
    if job["status"] == Status.WAITING.value and not job["factory_id"]:
        _hand_over(job)
        return True
    often = factories.look_every_s(job["factory"]) is not None
    try:
        factory = factories.get(job["factory"])
        seen = factory.see(job["factory_id"] or _id_that_was_not_kept(factory, job))
    except FactoryUnavailable as exc:
        log.warning("Job %s: %s", job["id"], exc, extra={"action": "job_not_asked"})
        return False
    if often:
        row = jobs.seen(job["id"], seen)
        if row is None:  # it ended while its factory was asked
            return True
        job = row
    _judge(job, seen, often=often)
    return True


def _id_that_was_not_kept(factory: Factory, job: Mapping[str, Any]) -> str:
    """Return the factory's id of a run that has reported, though CKAN's worker did not live to keep the id."""
    found = factory.find(job["id"], job["dag_id"] or "") or ""
    if found:
        jobs.handed_over(job["id"], found)
    return found


def _judge(job: Mapping[str, Any], seen: Seen, *, often: bool) -> None:
    """End a job that its factory does not work on any more, or has kept too long.

    A factory that is looked at often knows by itself when a worker is lost, so its word that it works is taken for
    a day; another one's only for three leases.
    """
    waited = round(_silence_s(job))
    patience_s = MAX_WAIT_S if often else 3 * config.lease_s()
    name = job["factory"]
    if seen.state is State.GONE:
        _lost(job, RunVanished(factory=name) if often else WorkerLost(seconds=waited))
    elif seen.state is State.FAILED:
        _lost(job, seen.error or RunEnded(factory=name))
    elif seen.state is State.SUCCEEDED:
        _lost(job, NothingReported(factory=name, dag_id=(job["factory_id"] or "").partition("/")[0]))
    elif seen.state is State.WORKING and waited > patience_s:
        _lost(job, WorkerLost(seconds=waited))
    elif seen.state is State.QUEUED and waited > MAX_WAIT_S:
        jobs.fail(job["id"], seen.error or NeverStarted(seconds=waited))


def _lost(job: Mapping[str, Any], why: AircanError) -> None:
    """Fail a job that nobody works on; if its table is live already, do what is missing and call it DONE.

    While a background worker publishes its table, the job is left alone: that worker ends, and then it is clear.
    """
    with model.alone(job["id"]) as alone:
        if not alone:
            return
        told = (jobs.get(job["id"]) or job)["info"].get("publish") or {}  # what the gateway had published
        words = "The worker was lost after the new table was in place; nothing was left undone."
        if told.get("state") != "done":
            try:
                if not janitor.was_published(job["id"]):
                    jobs.fail(job["id"], why)
                    return
                _finish(job)
            except LoadFailed as exc:
                log.warning("Job %s is looked after later: %s", job["id"], exc, extra={"action": "job_not_finished"})
                return
            words = "The worker was lost after the new table was in place; what it left undone is done now."
        result = {name: told[name] for name in ("rows", "warnings") if told.get(name) is not None}
        jobs.report(job["id"], Report(Status.DONE, message=words, result=result))


def _finish(job: Mapping[str, Any]) -> None:
    janitor.finish_published(job["id"])
    flag.mark_active(job["resource"])
    flag.default_views(job["resource"])


def _hand_over(job: Mapping[str, Any]) -> None:
    if _silence_s(job) > MAX_WAIT_S and jobs.may_start(job):
        tried = (job["info"].get("hand_over") or {}).get("error")
        jobs.fail(job["id"], from_dict(tried) if tried else NeverStarted(seconds=round(_silence_s(job))))
        return
    try:
        if background.status(job["id"]) not in ("queued", "started") and jobs.may_start(job):
            background.enqueue_hand_over(job["id"])
    except FactoryUnavailable as exc:
        log.warning("Job %s cannot be queued: %s", job["id"], exc, extra={"action": "job_not_queued"})


def _sweep() -> int:
    with model.begin() as connection:
        active = [job["id"] for job in model.active_jobs(connection)]
    return len(janitor.drop_orphans(active, older_than_s=config.lease_s()))


def _forget() -> int:
    if not config.keep_days():
        return 0
    with model.begin() as connection:
        return model.delete_jobs(connection, finished_before=model.now() - timedelta(days=config.keep_days()))

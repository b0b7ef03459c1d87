"""Every active state has a way out: jobs that went silent are asked after, handed over, or failed with a reason."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aircan.contract import Report
from aircan.errors import FactoryUnavailable, LoadFailed, NeverStarted, WorkerLost
from aircan.status import Status

from . import background, config, factories, jobs, model, settings
from .datastore import flag, janitor
from .factories.base import State

log = logging.getLogger(__name__)

MAX_WAIT_S = 86_400
"""Seconds that a factory may keep an order waiting before the job fails."""


def reconcile() -> dict[str, int]:
    """Look after every silent job, sweep what killed runs left, and delete jobs past their days.

    Returns {"active", "looked_after", "tables_dropped", "jobs_deleted", "settings_deleted"}.
    """
    with model.begin() as connection:
        active = model.active_jobs(connection)
    silent = [job for job in active if _silence_s(job) >= config.lease_s()]
    for job in silent:
        look_after(job)
    return {
        "active": len(active),
        "looked_after": len(silent),
        "tables_dropped": _sweep(),
        "jobs_deleted": _forget(),
        "settings_deleted": settings.sweep(),
    }


def _silence_s(job: Mapping[str, Any]) -> float:
    return float((model.now() - (job["last_report"] or job["created"])).total_seconds())


def is_silent(job: Mapping[str, Any]) -> bool:
    """Return whether an active job's last report is older than the lease."""
    return job["status"] in (Status.WAITING.value, Status.RUNNING.value) and _silence_s(job) >= config.lease_s()


def look_after(job: Mapping[str, Any]) -> None:
    """Do what a silent job needs: hand it over, leave it, or fail it."""
    if not is_silent(job):
        return
    if job["status"] == Status.WAITING.value and not job["factory_id"]:
        _hand_over(job)
        return
    try:
        state = factories.get(job["factory"]).see(job["factory_id"] or "").state
    except FactoryUnavailable as exc:
        log.warning("Job %s: %s", job["id"], exc, extra={"action": "job_not_asked"})
        return
    waited = round(_silence_s(job))
    if state is State.GONE or (state is State.WORKING and waited > 3 * config.lease_s()):
        _worker_lost(job, waited)
    elif state is State.QUEUED and waited > MAX_WAIT_S:
        jobs.fail(job["id"], NeverStarted(seconds=waited))


def _worker_lost(job: Mapping[str, Any], waited: int) -> None:
    """Fail a job that nobody works on; if its table is live already, do what is missing and call it DONE."""
    try:
        if not janitor.was_published(job["id"]):
            jobs.fail(job["id"], WorkerLost(seconds=waited))
            return
        janitor.finish_published(job["id"])
        flag.mark_active(job["resource"])
        flag.default_views(job["resource"])
    except LoadFailed as exc:
        log.warning("Job %s is looked after later: %s", job["id"], exc, extra={"action": "job_not_finished"})
        return
    words = "The worker was lost after the new table was in place; what it left undone is done now."
    jobs.report(job["id"], Report(Status.DONE, message=words))


def _hand_over(job: Mapping[str, Any]) -> None:
    if _silence_s(job) > MAX_WAIT_S and jobs.may_start(job):
        jobs.fail(job["id"], NeverStarted(seconds=round(_silence_s(job))))
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

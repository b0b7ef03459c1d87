"""THE ONLY WRITER of a job's status: submit, hand over, report, cancel, retry.

Row first, commit, then hand over. Every move is one guarded UPDATE in a transaction of our
own; a move that is not legal changes nothing and is kept as an event. `reconcile` is the same
rules applied to jobs that went silent.
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.exc import IntegrityError

from aircan.contract import Report, Task
from aircan.errors import AircanError, FactoryUnavailable
from aircan.status import ACTIVE, FINAL, Status, sources

from . import background, config, model
from .factories.base import Seen, State
from .interfaces import after_final

log = logging.getLogger(__name__)

MAX_EVENTS = 20_000
"""Events kept for a job; a factory that reports more than that is cut short."""

MAX_RETRY_AFTER_S = 3600
"""Longest wait, in seconds, that a factory may ask for before it is tried again."""


def fingerprint(resource: Mapping[str, Any]) -> str:
    """Return what tells one state of a resource's file from another: its URL and when it was last uploaded."""
    parts = [str(resource.get(name) or "") for name in ("url", "url_type", "last_modified")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def submit(
    *,
    resource: str,
    dataset: str,
    user: str | None,
    name: str,
    mark: str,
    job_type: str = "LOAD",
    factory: str | None = None,
    dag_id: str | None = None,
    params: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
    retry_of: str | None = None,
    by_hand: bool = True,
) -> dict[str, Any]:
    """Make a WAITING job, commit it, and queue its hand-over; return its row.

    A WAITING job of the same resource, type and file is returned instead of a second one; one of
    an older file is superseded. `mark` is the file's fingerprint; `by_hand` is false for the
    hooks, which do not run a file again that the newest job is about. `given`: those of `params` that came
    with the submit; the others are settings of the resource.
    """
    moment = model.now()
    row = {
        "id": str(uuid.uuid4()),
        "job_type": job_type,
        "created": moment,
        "updated": moment,
        "dataset": dataset,
        "resource": resource,
        "user": user,
        "status": Status.WAITING.value,
        "info": {"name": name, "params": dict(params or {}), "given": dict(given or {})},
        "factory": factory or config.factory(),
        "dag_id": dag_id,
        "fingerprint": mark,
        "retry_of": retry_of,
        "last_report": moment,
    }
    job, created = _insert(row, by_hand=by_hand)
    if created:
        _queue(job["id"])
    return job


def _insert(row: dict[str, Any], *, by_hand: bool) -> tuple[dict[str, Any], bool]:
    while True:
        with model.begin() as connection:
            if not by_hand:
                newest = model.newest_job(connection, row["resource"], row["job_type"])
                if newest and newest["fingerprint"] == row["fingerprint"]:
                    return newest, False
            if job := model.insert_job(connection, row):
                model.add_event(connection, job["id"], "Submitted.")
                return job, True
            waiting = model.active_job(connection, row["resource"], row["job_type"], Status.WAITING)
        if waiting is None:
            continue
        same = all(waiting[name] == row[name] for name in ("fingerprint", "factory", "dag_id"))
        if same and waiting["info"].get("params") == row["info"]["params"]:
            return waiting, False
        cancel(waiting["id"], f"Superseded by run {row['id']}, which was submitted later.")


def _queue(job_id: str) -> None:
    try:
        background.enqueue_hand_over(job_id)
    except FactoryUnavailable as exc:
        log.warning("Job %s stays WAITING until reconcile: %s", job_id, exc, extra={"action": "job_not_queued"})
        with model.begin() as connection:
            model.add_event(
                connection, job_id, "The queue does not answer; the run is taken up later.", level="warning"
            )


def handed_over(job_id: str, factory_id: str) -> bool:
    """Keep the factory's id of an active job; return False when somebody else handed it over or it is final.

    A fast factory may have reported already, so the job need not be WAITING any more.
    """
    with model.begin() as connection:
        values = {"factory_id": factory_id, "updated": model.now(), "last_report": model.now()}
        job = model.update_job(connection, job_id, values, sources=list(ACTIVE), unhanded=True)
        if job:
            model.add_event(connection, job_id, f"Handed over to the factory {job['factory']}.")
        return job is not None


def not_handed_over(job_id: str, error: AircanError) -> None:
    """Keep why a WAITING job could not be handed over now; it is handed over again later.

    `info["hand_over"]` becomes {"tries", "last", "after" (when to try again, or None), "error"}.
    """
    moment = model.now()
    with model.begin() as connection:
        job = model.update_job(connection, job_id, {"updated": moment}, sources=[Status.WAITING], unhanded=True)
        if job is None:
            return
        before = job["info"].get("hand_over") or {}
        wait_s = error.facts.get("retry_after_s")
        after = (moment + timedelta(seconds=min(wait_s, MAX_RETRY_AFTER_S))).isoformat() if wait_s else None
        tried = {"tries": before.get("tries", 0) + 1, "last": moment.isoformat(), "after": after}
        info = {**job["info"], "message": error.message, "hand_over": {**tried, "error": error.to_dict()}}
        model.update_job(connection, job_id, {"info": info}, sources=[Status.WAITING])
        if (before.get("error") or {}).get("message") != error.message:
            model.add_event(connection, job_id, error.message, level="warning", data={"code": error.code})


def seen(job_id: str, what: Seen) -> dict[str, Any] | None:
    """Keep what a factory shows of an active job, and return its row; None when the job is final.

    A job that the factory works on becomes RUNNING. No other move is made here, and the lease is not renewed:
    only a report does that. `info["factory"]` becomes {"raw", "queued", "started", "ended", "url", "tasks",
    "count" (state -> tasks in it), "error" (why it does not move, or None), "seen"}.
    """
    try:
        return _see(job_id, what, move=what.state is State.WORKING)
    except IntegrityError:
        # Another run of the same file is RUNNING; the index keeps this one WAITING.
        return _see(job_id, what, move=False)


def _see(job_id: str, what: Seen, *, move: bool) -> dict[str, Any] | None:
    moment = model.now()
    with model.begin() as connection:
        job = model.update_job(connection, job_id, {"updated": moment}, sources=list(ACTIVE))
        if job is None:
            return None
        before = job["info"].get("factory") or {}
        values: dict[str, Any] = {"info": {**job["info"], "factory": what.to_dict(moment.isoformat())}}
        if what.error and what.state is State.QUEUED:
            values["info"]["message"] = what.error.message
        if move:
            values["status"] = Status.RUNNING.value
            values["started"] = job["started"] or moment
        job = model.update_job(connection, job_id, values, sources=list(ACTIVE))
        for level, task, text in what.news(before):
            if model.count_events(connection, job_id) < MAX_EVENTS:
                model.add_event(connection, job_id, text, task=task, level=level)
    return job


def seen_last(job_id: str, what: Seen) -> None:
    """Keep what a factory shows of a job that is final already: how the run ended there. Nothing else changes."""
    moment = model.now()
    with model.begin() as connection:
        if job := model.update_job(connection, job_id, {"updated": moment}, sources=list(FINAL)):
            info = {**job["info"], "factory": what.to_dict(moment.isoformat())}
            model.update_job(connection, job_id, {"info": info}, sources=list(FINAL))


def may_start(job: Mapping[str, Any]) -> bool:
    """Return whether a WAITING job need not wait for a RUNNING one of the same resource and type."""
    with model.begin() as connection:
        return model.active_job(connection, job["resource"], job["job_type"], Status.RUNNING) is None


def is_active(job_id: str) -> bool:
    """Return whether a job is WAITING or RUNNING."""
    job = get(job_id)
    return job is not None and Status(job["status"]) in ACTIVE


def get(job_id: str) -> dict[str, Any] | None:
    """Return a job's row or None."""
    with model.begin() as connection:
        return model.get_job(connection, job_id)


def report(job_id: str, told: Report) -> dict[str, Any]:
    """Apply a report and return the job's row; one that is not legal is kept as an event only.

    Raises LookupError when there is no such job.
    """
    try:
        job, moved = _apply(job_id, told)
    except IntegrityError:
        # Another run of the same file is RUNNING; the index keeps this one WAITING.
        job, moved = _keep_only(job_id, told, "refused, another run of this file is RUNNING")
    if moved and Status(job["status"]) in FINAL:
        _ended(job)
    return job


def _apply(job_id: str, told: Report) -> tuple[dict[str, Any], bool]:
    moment = model.now()
    values: dict[str, Any] = {"status": told.status.value, "updated": moment, "last_report": moment}
    if told.status in FINAL:
        values["finished"] = moment
    # Where a run is, it says again and again; what it found out, only once.
    with model.begin(lasting=told.status in FINAL or bool(told.result)) as connection:
        job = model.update_job(connection, job_id, values, sources=list(sources(told.status)))
        if job is not None:
            extra: dict[str, Any] = {"info": merged(job["info"], told, moment)}
            if job["started"] is None and told.status is not Status.CANCELLED:
                extra["started"] = moment
            job = model.update_job(connection, job_id, extra, sources=[told.status])
            _log_report(connection, job_id, told)
    if job is None:
        return _keep_only(job_id, told, "too late")
    log.info("Job %s is %s", job_id, told.status.value, extra={"action": "job_moved", "job_id": job_id})
    return job, True


def _keep_only(job_id: str, told: Report, why: str) -> tuple[dict[str, Any], bool]:
    with model.begin() as connection:
        job = model.get_job(connection, job_id)
        if job is None:
            raise LookupError(job_id)
        if model.count_events(connection, job_id) < MAX_EVENTS:
            said = f"A report was {why}: {told.status.value}. {told.message}".strip()
            model.add_event(connection, job_id, said, level="warning", data={"late": True})
    return job, False


def _log_report(connection: Any, job_id: str, told: Report) -> None:
    task = told.task.id if told.task else None
    rejects = told.result.get("rejects") or []
    if not (told.message or told.error or rejects) or model.count_events(connection, job_id) >= MAX_EVENTS:
        return
    if told.message and not told.error:  # the error says it better, and once is enough
        model.add_event(connection, job_id, told.message, task=task)
    if told.error:
        data = {key: value for key, value in told.error.items() if key != "message"}
        model.add_event(connection, job_id, str(told.error.get("message") or ""), task=task, level="error", data=data)
    if rejects and not model.has_rejects(connection, job_id, rejects):
        model.add_event(connection, job_id, "", task=task, level=model.REJECT, data={"rejects": list(rejects)})


def keep(job_id: str, name: str, change: Callable[[Any], Any]) -> dict[str, Any] | None:
    """Change one entry of an active job's `info`, and return the job's row; None when it is final.

    `change` gets what is there (None when nothing is) and returns what shall be (None: nothing); nobody
    changes the row meanwhile.
    """
    with model.begin() as connection:
        job = model.update_job(connection, job_id, {"updated": model.now()}, sources=list(ACTIVE))
        if job is None:
            return None
        info = {key: value for key, value in job["info"].items() if key != name}
        value = change(job["info"].get(name))
        if value is not None:
            info[name] = value
        return model.update_job(connection, job_id, {"info": info}, sources=list(ACTIVE))


def merged(info: Mapping[str, Any], told: Report, moment: Any) -> dict[str, Any]:
    """Return a job's `info` with a report laid over it. Pure.

    What is told again, by a worker's second try, is there once; the bar never goes back; and when the job is
    FAILED, so are the tasks that were under way.
    """
    new = dict(info)
    if told.message:
        new["message"] = told.message
    if told.task:
        new["tasks"] = _with_task(list(info.get("tasks") or []), told.task, moment.isoformat())
    if told.progress:
        old = info.get("progress") or {}
        furthest = {"percent": max(old.get("percent") or 0, told.progress.get("percent") or 0)}
        new["progress"] = {**old, **told.progress, **(furthest if "percent" in told.progress else {})}
    if told.error:
        new["error"] = dict(told.error)
        new["message"] = told.error.get("message") or new.get("message", "")
    if told.status is Status.FAILED and new.get("tasks"):
        new["tasks"] = _stopped(new["tasks"], moment.isoformat(), Status.FAILED)
    result = dict(told.result)
    result.pop("rejects", None)
    if warnings := result.pop("warnings", None):
        known = info.get("warnings") or []
        new["warnings"] = [*known, *(warning for warning in warnings if warning not in known)]
    if result:
        new["result"] = {**(info.get("result") or {}), **result}
    return new


def _with_task(tasks: list[dict[str, Any]], task: Task, moment: str) -> list[dict[str, Any]]:
    old = next((t for t in tasks if t["id"] == task.id), None)
    new = {"id": task.id, "status": task.status.value, "message": task.message or (old or {}).get("message", "")}
    new["started"] = (old or {}).get("started") or (moment if task.status is not Status.WAITING else None)
    new["finished"] = moment if task.status in FINAL else None
    return [new if t is old else t for t in tasks] if old else [*tasks, new]


def cancel(job_id: str, why: str, *, by: str | None = None) -> dict[str, Any] | None:
    """Move an active job to CANCELLED, then have its factory stop the work; None when it was final already.

    `by` is the id of the user who cancelled; it is kept beside the message.
    """
    moment = model.now()
    values = {"status": Status.CANCELLED.value, "updated": moment, "finished": moment}
    with model.begin() as connection:
        job = model.update_job(connection, job_id, values, sources=list(sources(Status.CANCELLED)))
        if job is None:
            return None
        tasks = _stopped(job["info"].get("tasks") or [], moment.isoformat(), Status.CANCELLED)
        info = {**job["info"], "message": why, "tasks": tasks}
        job = model.update_job(connection, job_id, {"info": info}, sources=[Status.CANCELLED]) or job
        model.add_event(connection, job_id, why, data={"by": by} if by else None)
    log.info("Job %s is CANCELLED", job_id, extra={"action": "job_moved", "job_id": job_id})
    if job["factory_id"] or job["info"].get("hand_over"):
        _stop(job)
    _ended(job)
    return job


def _stopped(tasks: list[dict[str, Any]], moment: str, status: Status) -> list[dict[str, Any]]:
    open_words = {status.value for status in ACTIVE}
    ended = {"status": status.value, "finished": moment}
    return [{**task, **ended} if task["status"] in open_words else task for task in tasks]


def _stop(job: Mapping[str, Any]) -> None:
    try:
        background.enqueue_cancel(job["id"])
    except FactoryUnavailable as exc:
        log.warning("Job %s was not stopped at its factory: %s", job["id"], exc, extra={"action": "job_not_stopped"})


def fail(job_id: str, error: AircanError) -> dict[str, Any]:
    """Move a job to FAILED with an error of the tree; return its row."""
    return report(job_id, Report(Status.FAILED, error=error.to_dict()))


def _ended(job: Mapping[str, Any]) -> None:
    """Tell the extensions, and take up the job that waited behind this one."""
    after_final(job)
    with model.begin() as connection:
        waiting = model.active_job(connection, job["resource"], job["job_type"], Status.WAITING)
    if waiting and waiting["factory_id"] is None:
        _queue(waiting["id"])

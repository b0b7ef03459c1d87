"""The last task: tells CKAN how the run ended, whatever happened before, and drops the files of the run."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from aircan.contract import Dataset, Order, Report, Resource, Task
from aircan.errors import AircanError, JobStopped, OrderRefused, TaskFailed, from_dict
from aircan.ports import never
from aircan.staged.descriptors import DATASET, OURS
from aircan.staged.outside import JOB_TYPE, Ports, Run
from aircan.staged.tasks import batches, done
from aircan.staged.work import drop
from aircan.status import Status
from aircan.store import Store

log = logging.getLogger(__name__)


def report(run: Run, published: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Tell CKAN that the run is DONE, or why it FAILED, and drop its files.

    Args:
        run: the run.
        published: what `publish` returned, None when it did not.

    Returns:
        {"status": DONE, FAILED, or what the job was already, "message"}; the caller fails its run on FAILED.

    Raises:
        AircanError: CKAN could not be told, for as long as that is borne; to be tried again.
        OrderRefused: the order does not say which job of which CKAN it is, so that nobody can be told.
    """
    order, store = _addressed(run), None
    try:
        store = run.store()
        run.order()
        final = _final(store, published)
    except AircanError as exc:
        log.warning("What the run left cannot be used: %s", exc, extra={"action": "run_unread"})
        # `publish` has told CKAN the whole result already.
        final = _failed(exc) if published is None else _done(published)
    with contextlib.closing(run.connect(order, run.access, never())) as ports:
        told = _tell(ports, final)
    if store:
        drop(store)
    return told


def _addressed(run: Run) -> Order:
    """Return who is to be told: an order with the job and the address of its CKAN, even if the rest is wrong."""
    for name in ("job_id", "site_url"):
        if not run.conf.get(name) or not isinstance(run.conf[name], str):
            raise OrderRefused(field=name)
    run.access.check(run.conf["site_url"])
    return Order(run.conf["job_id"], JOB_TYPE, Resource(id="?"), Dataset(id=""), site_url=run.conf["site_url"])


def _final(store: Store, published: Mapping[str, Any] | None) -> Report:
    """Return the last report, from what the tasks have left: the result, or the first error in their order."""
    if DATASET in store.names("publish"):
        return _done(store.read_json("publish", DATASET)[OURS]["result"])
    if published is not None:  # this task has dropped the files already, and is run again
        return _done(published)
    for task in ("fetch", "convert", "load", "publish"):
        errors = [name for name in store.names(task) if name.startswith("error")]
        if errors:
            found = store.read_json(task, errors[0])
            return _failed(from_dict(found["error"]), found["task"])
    silent = _silent(store)
    return _failed(TaskFailed(task=silent), "" if silent == "convert" else silent)


def _silent(store: Store) -> str:
    """Return the first task that is not done and has left no error."""
    for task in ("fetch", "convert"):
        if DATASET not in store.names(task):
            return task
    loaded = set(store.names("load"))
    wanted = batches(store.read_json("convert", DATASET)[OURS]["parts"])
    return "publish" if all(done(batch["first"]) in loaded for batch in wanted) else "load"


def _done(result: Mapping[str, Any]) -> Report:
    return Report(Status.DONE, message=f"Done: {result['rows']} rows.", result=result)


def _failed(error: AircanError, task: str = "") -> Report:
    failed = Task(task, Status.FAILED, error.message) if task else None
    return Report(Status.FAILED, message=error.message, task=failed, error=error.to_dict())


def _tell(ports: Ports, final: Report) -> dict[str, str]:
    try:
        if final.status is Status.FAILED:
            _discard(ports)
        ports.tell(final)
    except JobStopped as exc:
        log.info("The job is over already: %s", exc.detail, extra={"action": "task_stopped"})
        return {"status": "STOPPED", "message": exc.detail or exc.message}
    return {"status": final.status.value, "message": final.message}


def _discard(ports: Ports) -> None:
    try:
        ports.sink.discard()
    except JobStopped:
        raise
    except AircanError as exc:
        log.warning("The hidden table was left behind: %s", exc, extra={"action": "stage_left"})

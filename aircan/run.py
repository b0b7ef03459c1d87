"""Carry an order out: the recipe of its job type, its reports, and the last catch."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aircan import recipes, scratch
from aircan.contract import Order, Report, Task
from aircan.errors import AircanError, JobStopped, OrderRefused, Unexpected
from aircan.ports import Sink, Source, Stop, Tell, never
from aircan.reporting import Reporter
from aircan.status import Status

log = logging.getLogger(__name__)


def run(
    order: Order,
    *,
    source: Source,
    sink: Sink,
    tell: Tell,
    stop: Stop | None = None,
    workdir: Path | None = None,
) -> Report | None:
    """Carry out an order and tell its reports; the last is DONE or FAILED.

    Args:
        order: what to do.
        source: the bytes of the order's resource.
        sink: takes the rows; its hidden table is discarded unless the order is carried out.
        tell: takes the reports; raises JobStopped when the job is no longer active.
        stop: asked between pieces of work.
        workdir: private folder for temporary files, whose size is two to four times the file's (most when it is
            not in UTF-8 and values change on the way); the caller removes it. None: one is made, and removed.

    Returns:
        The final report; None when the run was stopped, which ends quietly and without a report.
    """
    if workdir is None:
        with scratch.folder() as folder:
            return run(order, source=source, sink=sink, tell=tell, stop=stop, workdir=folder)
    report, stop = Reporter(tell), stop or never()
    try:
        final = _done(_carry_out(order, source, sink, report, stop, workdir))
        tell(final)
        return final
    except JobStopped:
        _discard(order, sink)
        return None
    except AircanError as exc:
        error = exc
        log.info("Job %s failed: %s", order.job_id, exc.code, extra={"action": "job_failed", "job_id": order.job_id})
    except Exception as exc:  # the last catch: a defect must end the job, with a reason, and leave no hidden table
        log.exception("Job %s failed", order.job_id, extra={"action": "job_failed", "job_id": order.job_id})
        error = Unexpected(f"{type(exc).__name__}: {exc}"[:1000], job_id=order.job_id)
    if stop.is_set():
        _discard(order, sink)
        return None
    return _fail(order, error, sink, report, tell)


def _carry_out(
    order: Order, source: Source, sink: Sink, report: Reporter, stop: Stop, workdir: Path
) -> Mapping[str, Any]:
    recipe = recipes.MENU.get(order.job_type)
    if recipe is None:
        raise OrderRefused(field="job_type")
    return recipe(order, source=source, sink=sink, report=report, stop=stop, workdir=workdir)


def _done(result: Mapping[str, Any]) -> Report:
    return Report(Status.DONE, message=f"Done: {result['rows']} rows." if "rows" in result else "Done.", result=result)


def _fail(order: Order, error: AircanError, sink: Sink, report: Reporter, tell: Tell) -> Report | None:
    _discard(order, sink)
    task = Task(report.current, Status.FAILED, error.message) if report.current else None
    final = Report(Status.FAILED, message=error.message, task=task, error=error.to_dict())
    try:
        tell(final)
    except JobStopped:
        return None
    return final


def _discard(order: Order, sink: Sink) -> None:
    try:
        sink.discard()
    except AircanError as exc:
        log.warning("Job %s left its hidden table behind: %s", order.job_id, exc, extra={"action": "stage_left"})
    except Exception:  # the run is over and its outcome must be told; a janitor finds what is left
        log.exception("Job %s left its hidden table behind", order.job_id, extra={"action": "stage_left"})

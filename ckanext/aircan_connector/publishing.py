"""Publishing what a worker outside CKAN has loaded, in a background job, so that no request takes long.

The state of it is `info["publish"]` of the job: {"state", "rows", "when", "queued"}, then "written" from the swap
on, and at the end "warnings" or "error". The gateway begins it; here it comes to its end. A worker that is killed
in the middle leaves "working" behind without the lock of `model.alone`; the next question after the state
has it done again, and `DirectSink.publish` goes on where it was left.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from aircan.contract import Publish, Written
from aircan.errors import AircanError, JobStopped, LoadFailed, StageMissing, TookTooLong, Unexpected
from aircan.status import ACTIVE, Status

from . import config, jobs, model, orders
from .datastore.sink import DirectSink
from .working import Sink, teller, watched

log = logging.getLogger(__name__)

NAME = "publish"
WORKING, DONE, FAILED, NONE = "working", "done", "failed", "none"


def publish(job_id: str) -> None:
    """Publish the hidden table of a job if that was asked for and nobody else does it. The job does not end here."""
    with model.alone(job_id) as alone:
        job = jobs.get(job_id)
        if not alone or job is None or Status(job["status"]) not in ACTIVE:
            return
        told = job["info"].get(NAME) or {}
        if told.get("state") != WORKING:
            return
        try:
            note(job_id, state=DONE, **_work(job, told))
        except JobStopped:
            _tidy_up(job, stopped=True)
        except AircanError as exc:
            _fail(job, exc)
        except Exception as exc:  # else the next question would have it done again, for ever
            log.exception("The table of job %s was not published", job_id, extra={"action": "publish_failed"})
            _fail(job, Unexpected(f"{type(exc).__name__}: {exc}"[:1000], job_id=job_id))


def note(job_id: str, **facts: Any) -> None:
    """Lay facts over the state of a job's publishing; one that is forgotten meanwhile stays so."""
    jobs.keep(job_id, NAME, lambda old: {**old, **facts} if old else None)


def _work(job: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Publish and return {"written", "warnings"}."""
    sink = _Sink(orders.make(job), teller(job["id"], job["factory"]))
    with watched(sink.order, sink, only_publishes=True) as watcher:
        try:
            written = sink.publish(rows=told["rows"], when=Publish(told["when"]))
        except StageMissing:
            if "written" not in told:
                raise
            sink.tell_ckan()  # all is done but this, and but saying so
            written = Written.from_dict(told["written"])
        except JobStopped as exc:
            if watcher.overdue:
                raise TookTooLong(limit_s=config.time_limit_s()) from exc
            raise
    return {"written": written.to_dict(), "warnings": sink.warnings}


def _fail(job: Mapping[str, Any], error: AircanError) -> None:
    log.warning("The table of job %s was not published: %s", job["id"], error, extra={"action": "publish_failed"})
    _tidy_up(job, stopped=False)
    note(job["id"], state=FAILED, error=error.to_dict())


def _tidy_up(job: Mapping[str, Any], *, stopped: bool) -> None:
    """Drop the hidden table of a job that was stopped; let that of any other take parts again."""
    with closing(DirectSink(job["id"], job["resource"])) as sink:
        try:
            if stopped:
                sink.discard()
            else:
                sink.close_stage(closed=False)
        except LoadFailed as exc:
            log.info("The stage of job %s stays as it is: %s", job["id"], exc, extra={"action": "stage_left"})


class _Sink(Sink):
    """A sink that says at once, where the next worker finds it, that the swap is done."""

    def visible(self) -> None:
        """Keep what was written, then let people see the rows."""
        try:
            if self._written:
                note(self.job_id, written=self._written.to_dict())
        except SQLAlchemyError:  # what is left to do for the table must be done in any case
            log.warning("It was not kept that job %s is published", self.job_id, exc_info=True)
        super().visible()

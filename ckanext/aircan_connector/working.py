"""What a background worker has around it while it works on a job: the table, a watcher, and how it reports."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ckantoolkit as tk
from sqlalchemy.exc import SQLAlchemyError

from aircan.contract import Order, Publish, Report, Written
from aircan.errors import JobStopped, LoadFailed, MetadataUnsaved
from aircan.keys import run_token
from aircan.ports import Tell
from aircan.status import ACTIVE, Status

from . import config, factories, interfaces, jobs
from .datastore import flag
from .datastore.sink import DirectSink
from .datastore.watch import IndexWatch

log = logging.getLogger(__name__)

WATCH_S = 1.0
"""How often the watcher looks whether the job was cancelled."""

HEARTBEAT_S = 10.0
"""How often a working run gives a sign of life, well below the smallest sensible lease."""


def teller(job_id: str, factory: str) -> Tell:
    """Return how this process reports about a job: through the callback action, as everybody does."""
    token = run_token(factories.get(factory).keys()[0], job_id)

    def tell(report: Report) -> None:
        told = {**report.to_dict(), "job_id": job_id, "token": token}
        job = tk.get_action("aircan_status_update")({"ignore_auth": True}, told)
        if job["status"] != report.status.value and Status(job["status"]) not in ACTIVE:
            raise JobStopped(f"the job is {job['status']}")

    return tell


@contextmanager
def watched(order: Order, sink: DirectSink, *, only_publishes: bool = False) -> Iterator[Watcher]:
    """Watch over a job while the block works on it; close the sink at the end."""
    index = IndexWatch(order.job_id, order.resource.id)
    deadline = time.monotonic() + config.time_limit_s()
    watcher = Watcher(order.job_id, sink.interrupt, index.look, deadline, only_publishes=only_publishes)
    watcher.start()
    try:
        yield watcher
    finally:
        watcher.end()
        index.close()
        sink.close()


class Sink(DirectSink):
    """The DataStore, and what CKAN itself must know of a new table."""

    def __init__(self, order: Order, tell: Tell) -> None:
        connections = int(order.params.get("load_connections") or config.load_connections())
        super().__init__(order.job_id, order.resource.id, before_publish=self._ask, connections=connections)
        self.order = order
        self._tell = tell
        self._flagged = False

    def _ask(self, table: dict[str, Any]) -> None:
        interfaces.before_publish({**table, "job_id": self.job_id, "resource_id": self.resource_id})

    def visible(self) -> None:
        """Let people see the new rows on CKAN's pages while the rest is still done. `publish` tries once more."""
        try:
            self._flag()
        except Exception:  # what is left to do for the table must be done in any case
            log.warning("CKAN could not yet be told of the rows of job %s", self.job_id, exc_info=True)

    def _flag(self) -> None:
        flag.mark_active(self.resource_id)
        flag.default_views(self.resource_id)
        self._flagged = True

    def publish(self, *, rows: int, when: Publish) -> Written:
        """Publish the table, then flag the resource and make its default views, as CKAN does after a load."""
        written = super().publish(rows=rows, when=when)
        if self.warnings:
            self._tell(Report(Status.RUNNING, result={"warnings": self.warnings}))
        self.tell_ckan()
        return written

    def tell_ckan(self) -> None:
        """Flag the resource and make its default views unless that is done. Raises MetadataUnsaved."""
        try:
            if not self._flagged:
                self._flag()
        except Exception as exc:
            if not self.may_run_again:
                log.exception("CKAN was not told of the rows of job %s", self.job_id)
                self._tell(Report(Status.RUNNING, result={"warnings": [{"code": "metadata_unsaved"}]}))
                return
            raise MetadataUnsaved(f"{type(exc).__name__}: {exc}") from exc


class Watcher(threading.Thread):
    """Looks every second whether the job is still to be worked on, and gives signs of life.

    While the table is published it also tells how far its index is; the run itself waits for PostgreSQL then.
    """

    def __init__(
        self,
        job_id: str,
        interrupt: Callable[[], None],
        index: Callable[[], dict[str, Any] | None],
        deadline: float,
        *,
        only_publishes: bool = False,
    ) -> None:
        super().__init__(name=f"aircan-watch-{job_id}", daemon=True)
        self.stopped = threading.Event()
        self.overdue = False
        self._job_id, self._interrupt, self._index, self._deadline = job_id, interrupt, index, deadline
        self._only_publishes = only_publishes
        self._ended = threading.Event()

    def run(self) -> None:
        """Watch until the run ends."""
        beat = time.monotonic() + HEARTBEAT_S
        while not self._ended.wait(WATCH_S):
            try:
                job = jobs.get(self._job_id)
                active = job is not None and Status(job["status"]) in ACTIVE
                built = self._look(job) if job and active else None
                if active and (built or time.monotonic() >= beat):
                    beat = time.monotonic() + HEARTBEAT_S
                    jobs.report(self._job_id, Report(Status.RUNNING, progress=built or {}))
            except SQLAlchemyError as exc:
                log.warning("The watcher of job %s has no database: %s", self._job_id, type(exc).__name__)
                continue
            self.overdue = active and time.monotonic() > self._deadline
            if self.overdue or not active:
                self.stopped.set()
                self._interrupt()
                return

    def _look(self, job: dict[str, Any]) -> dict[str, Any] | None:
        tasks = {task["id"]: task["status"] for task in job["info"].get("tasks") or []}
        if tasks.get("publish") != Status.RUNNING.value and not self._only_publishes:
            return None
        try:
            return self._index()
        except LoadFailed as exc:
            log.warning("How far the index of job %s is cannot be seen: %s", self._job_id, type(exc).__name__)
            return None

    def end(self) -> None:
        """Stop watching and wait for the thread."""
        self._ended.set()
        self.join(timeout=10)

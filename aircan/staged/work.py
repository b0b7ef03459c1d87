"""What is the same in every task: signals, signs of life, a folder for its files, and the error it leaves."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aircan import scratch
from aircan.contract import Order, Report
from aircan.errors import AircanError, JobStopped, Unexpected
from aircan.ports import Stop, Tell
from aircan.recipes.options import Options
from aircan.reporting import Reporter
from aircan.staged.outside import Ports, Run
from aircan.status import Status
from aircan.store import Store

log = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
"""How often a working task gives a sign of life, and learns whether its job was cancelled."""


@dataclass(frozen=True)
class Desk:
    """What a task works with: the order and its options, the store, the ports, a folder of its own."""

    order: Order
    options: Options
    store: Store
    ports: Ports
    report: Reporter
    stop: Stop
    workdir: Path


@contextlib.contextmanager
def working(run: Run, task: str, error: str = "error.json") -> Iterator[Desk]:
    """Yield what a task works with; what goes wrong is left in the store for `report`, then raised.

    Args:
        run: the run.
        task: name of the task, its folder in the store.
        error: name of the file in which the task leaves its error; one of an earlier try is removed.

    Raises:
        JobStopped: the job is final; nothing is left, and the files of the run are dropped. SystemExit: the process
        was told to end (SIGTERM). Else leaves of AircanError only; a defect is Unexpected.
    """
    with until_terminated() as stop:
        store, over, reporters = run.store(), threading.Event(), list[Reporter]()
        try:
            store.remove(task, error)
            order = run.order()
            with (
                scratch.folder() as folder,
                contextlib.closing(run.connect(order, run.access, stop)) as ports,
                living(ports.beat, stop),
                _asking(ports.beat, over),
            ):
                reporters.append(Reporter(ports.tell))
                yield Desk(order, Options.of(order.params), store, ports, reporters[0], stop, folder)
            return
        except SystemExit:
            if over.is_set():
                drop(store)
            raise
        except AircanError as exc:
            wrong = exc
        except Exception as exc:  # the last catch of a process: a defect must reach CKAN, with a reason
            log.exception("The task %s failed", task, extra={"action": "task_failed"})
            wrong = Unexpected(f"{type(exc).__name__}: {exc}"[:1000], job_id=str(run.conf.get("job_id")))
        if over.is_set():
            log.info("The job is over; the task %s ends", task, extra={"action": "task_stopped"})
            drop(store)
            raise JobStopped(wrong.detail if isinstance(wrong, JobStopped) else "") from wrong
        if isinstance(wrong, JobStopped) or stop.is_set():
            raise JobStopped from wrong
        _leave(store, task, error, wrong, reporters[0].current if reporters else "")
        raise wrong


@contextlib.contextmanager
def _asking(beat: Tell, over: threading.Event) -> Iterator[None]:
    """When the block fails or is ended, ask CKAN whether the job is over, and set `over`.

    A job that was cancelled has no further use for its files, and no task may come after this one to drop them:
    Airflow kills what runs and skips the rest.
    """
    try:
        yield
    except BaseException:
        try:
            beat(Report(Status.RUNNING))
        except JobStopped:
            over.set()
        except AircanError as exc:
            log.info("Whether the job is over cannot be asked: %s", exc, extra={"action": "beat_lost"})
        raise


def drop(store: Store) -> None:
    """Drop the files of the run; what cannot be dropped now is swept by a later run."""
    try:
        store.drop()
    except AircanError as exc:
        log.warning("The files of the run were left behind: %s", exc, extra={"action": "store_left"})


def _leave(store: Store, task: str, name: str, wrong: AircanError, piece: str) -> None:
    """Leave an error for `report`; when even that fails, what went wrong first is what is raised."""
    try:
        store.write_json(task, name, {"error": wrong.to_dict(), "task": piece or task})
    except AircanError as exc:
        log.warning("The task %s could not leave its error: %s", task, exc, extra={"action": "error_not_left"})


@contextlib.contextmanager
def until_terminated() -> Iterator[threading.Event]:
    """Yield a `Stop` that SIGTERM sets, which also raises SystemExit; as it was before, afterwards."""
    stop, told = threading.Event(), list[int]()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def end(number: int, frame: Any) -> None:
        stop.set()
        told.append(number)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield stop
    except AircanError as exc:
        if told:  # what was interrupted had the last word
            raise SystemExit(128 + told[0]) from exc
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def living(beat: Tell, stop: threading.Event) -> Iterator[None]:
    """Give signs of life while the block works; when the job is over, set `stop`."""
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(HEARTBEAT_S):
            try:
                beat(Report(Status.RUNNING))
            except JobStopped:
                stop.set()
                return
            except AircanError as exc:
                log.info("A sign of life was lost: %s", exc, extra={"action": "beat_lost"})

    thread = threading.Thread(target=live, name="aircan-beat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=1)

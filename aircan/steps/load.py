"""Put the parts of a table into a sink, several at a time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from aircan.contract import Part
from aircan.errors import JobStopped
from aircan.ports import Stop

WAIT_S = 0.2
"""How often a waiting thread looks whether to stop."""


class Takes(Protocol):
    """What parts are put into: a sink, or whatever else keeps them."""

    def put(self, part: Part) -> None:
        """Take a part; called from several threads."""
        ...


@dataclass(frozen=True)
class Loaded:
    """What arrived: rows, parts, bytes of COPY text."""

    rows: int
    parts: int
    size_bytes: int


class _Crew:
    """Threads that take parts from a short queue; the first failure stops all of them."""

    def __init__(self, sink: Takes, connections: int, stop: Stop, progress: Callable[[int], None]) -> None:
        self._sink, self._stop, self._progress = sink, stop, progress
        self._parts: queue.Queue[Part | None] = queue.Queue(maxsize=connections)
        self._failed: list[BaseException] = []
        self._ended = threading.Event()
        self._done: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._rows = 0
        self._threads = [
            threading.Thread(target=self._work, name=f"aircan-load-{n}", daemon=True) for n in range(connections)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self) -> None:
        try:
            while (part := self._parts.get()) is not None:
                if not self._ended.is_set():
                    self._sink.put(part)
                    self._done.put(part.rows)
        except BaseException as exc:  # noqa: BLE001 - raised again in `check`, in the caller's thread
            self._failed.append(exc)
            self._ended.set()

    def put(self, part: Part) -> None:
        """Hand a part over; waits while all are busy. Raises what a thread failed with, JobStopped when stopped."""
        while True:
            self.check()
            try:
                self._parts.put(part, timeout=WAIT_S)
                return
            except queue.Full:
                continue

    def check(self) -> None:
        """Raise what is to be raised, and tell progress from this thread."""
        if self._failed:
            raise self._failed[0]
        if self._stop.is_set():
            raise JobStopped
        while not self._done.empty():
            self._rows += self._done.get()
            self._progress(self._rows)

    def finish(self) -> None:
        """Wait until every part has arrived. Raises like `put`."""
        self._dismiss()
        while any(thread.is_alive() for thread in self._threads):
            for thread in self._threads:
                thread.join(WAIT_S)
            self.check()
        self.check()

    def abandon(self) -> None:
        """Drop what is waiting and wait for what is in progress."""
        self._ended.set()
        self._dismiss()
        for thread in self._threads:
            thread.join()

    def _dismiss(self) -> None:
        waiting = list(self._threads)
        while waiting and any(thread.is_alive() for thread in self._threads):
            try:
                self._parts.put(None, timeout=WAIT_S)
                waiting.pop()
            except queue.Full:
                if not self._ended.is_set():
                    self.check()


def load(
    parts: Iterable[Part], sink: Takes, *, connections: int, stop: Stop, progress: Callable[[int], None]
) -> Loaded:
    """Put all parts into a sink.

    Args:
        parts: in any order; taken one at a time, in this thread.
        sink: its table has begun.
        connections: parts that are put at the same time.
        stop: asked between parts.
        progress: called in this thread with the rows that have arrived.

    Raises:
        JobStopped: stopped. Whatever the sink raises; what is in progress has ended by then.
    """
    crew = _Crew(sink, connections, stop, progress)
    rows = count = size = 0
    try:
        for part in parts:
            crew.put(part)
            rows, count, size = rows + part.rows, count + 1, size + len(part.data)
        crew.finish()
    except BaseException:
        crew.abandon()
        raise
    return Loaded(rows, count, size)

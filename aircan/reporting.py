"""What a run says while it works: tasks, progress, facts, warnings, rejects. Imports `contract`, `errors`, `ports`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aircan import progress
from aircan.contract import Reject, Report, Task
from aircan.errors import AircanError, JobStopped
from aircan.ports import Tell
from aircan.status import Status

PROGRESS_S = 1.0
"""Least time between two reports of progress."""


class Reporter:
    """Tells the reports of one run; whatever `tell` raises goes through.

    Each report is a transaction for who takes it: counts, facts and warnings wait for the end of their task, and are
    told with it.

    Attributes:
        current: the task that is under way, "" between tasks; after a failure, the one that failed.
    """

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._next = 0.0
        self.current = ""
        self._progress: dict[str, Any] = {}
        self._has_counts = False
        self._facts: dict[str, Any] = {}
        self._warnings: list[dict[str, Any]] = []
        self._began = clock()

    @contextlib.contextmanager
    def task(
        self, name: str, *, begins: bool = True, ends: bool = True, share: float | None = 0.0
    ) -> Iterator[Callable[[str], None]]:
        """Tell that a task begins, and when the block ends, that it is done; yields what takes its closing line.

        A task to which several processes contribute `ends` with the last of them, and `begins` no more there;
        `share` is what is done of it when this one begins, None when it is not known.
        """
        lines: list[str] = []
        self.current, self._began = name, self._clock()
        if share is not None:
            self._place(share)
        if begins:
            self._tell(Report(Status.RUNNING, task=Task(name, Status.RUNNING), progress=self._known()))
        try:
            yield lines.append
        except JobStopped:  # nobody wants to know any more
            raise
        except AircanError:
            self._tell_held()
            raise
        message = " ".join(lines)
        self.current = ""
        if ends:
            done = Task(name, Status.DONE, message)
            counts = self._known() if self._has_counts else {}  # else the watcher of an index knows better
            self._tell(Report(Status.RUNNING, message, done, progress=counts, result=self._held()))
        else:
            self._tell_held()

    def progress(self, share: float | None = None, **counts: int | None) -> None:
        """Tell rows, bytes, total_bytes, and the share (0 to 1) of the task that is done, if it is known.

        At most once a second; the last counts always come with the end of the task.
        """
        self.count(**counts)
        if share is not None:
            self._place(share)
        if self._clock() >= self._next:
            self._tell(Report(Status.RUNNING, progress=self._known()))

    def _known(self) -> dict[str, Any]:
        """Return the progress, which is told now."""
        self._next, self._has_counts = self._clock() + PROGRESS_S, False
        return dict(self._progress)

    def count(self, **counts: int | None) -> None:
        """Note counts that come with the next report of progress, or with the end of the task."""
        self._progress.update({name: count for name, count in counts.items() if count is not None})
        self._has_counts = True

    def _place(self, share: float) -> None:
        """Note how far the task, and with it the run, is, and when the task will be done."""
        told = progress.told(self.current, share, self._clock() - self._began)
        told["percent"] = max(told["percent"] or 0, self._progress.get("percent", 0))
        self._progress.update(told)

    def result(self, **facts: Any) -> None:
        """Tell facts that are merged into the job's result; between tasks at once."""
        self._facts.update(facts)
        if not self.current:
            self._tell_held()

    def warn(self, *warnings: Mapping[str, Any]) -> None:
        """Tell warnings; they are added to earlier ones."""
        self._warnings += [dict(warning) for warning in warnings]

    def _held(self) -> dict[str, Any]:
        """Return the facts and warnings that are not told yet, which are told now."""
        held = {**self._facts, **({"warnings": self._warnings} if self._warnings else {})}
        self._facts, self._warnings = {}, []
        return held

    def _tell_held(self) -> None:
        if held := self._held():
            self._tell(Report(Status.RUNNING, result=held))

    def rejects(self, rejects: list[Reject]) -> None:
        """Tell a batch of rejects; they are added to earlier ones."""
        self._tell(Report(Status.RUNNING, result={"rejects": [reject.to_dict() for reject in rejects]}))

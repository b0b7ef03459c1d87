"""How long trouble on the way to CKAN is borne: growing pauses until a deadline. Imports only `errors` and `ports`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from aircan.errors import AircanError, JobStopped
from aircan.ports import Stop, never

FIRST_PAUSE_S = 0.5
"""Pause after the first failure; it doubles with each."""

LONGEST_PAUSE_S = 30.0
"""Longest pause of our own."""

LONGEST_ASKED_S = 60.0
"""Longest pause that a Retry-After is granted; a longer one is cut to this."""


@dataclass(frozen=True)
class Waiting:
    """What waiting is made of, so that tests need not wait.

    Attributes:
        patience_s: seconds of uninterrupted trouble after which the last error is raised.
        stop: asked once a second during a pause.
        clock: seconds that only go forward.
        sleep: waits for seconds.
        chance: a number from 0 to 1, so that many workers do not come back at the same moment.
    """

    patience_s: float = 600.0
    stop: Stop = field(default_factory=never)
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random

    def pause(self, seconds: float) -> None:
        """Wait. Raises JobStopped when somebody stops the run meanwhile."""
        end = self.clock() + seconds
        while (left := end - self.clock()) > 0:
            if self.stop.is_set():
                raise JobStopped
            self.sleep(min(left, 1.0))


class Patience:
    """Bears one spell of trouble: each failure makes it wait longer, the end of the patience raises the failure."""

    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting
        self._since: float | None = None
        self._failures = 0

    @property
    def is_over(self) -> bool:
        """Whether the next failure would be raised."""
        return self._left() <= 0

    def _left(self) -> float:
        since = self._waiting.clock() if self._since is None else self._since
        return since + self._waiting.patience_s - self._waiting.clock()

    def bear(self, error: AircanError, asked_s: float | None = None) -> None:
        """Wait after a failure. Raises `error` itself when the trouble has lasted for too long.

        Args:
            error: what happened.
            asked_s: seconds that the other side asked to wait.
        """
        if self._since is None:
            self._since = self._waiting.clock()
        left = self._left()
        if left <= 0:
            raise error
        pause: float = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        pause *= 0.5 + self._waiting.chance() / 2
        self._failures += 1
        self._waiting.pause(min(left, max(pause, min(asked_s or 0.0, LONGEST_ASKED_S))))

    def relax(self) -> None:
        """Note that something went well: the next failure begins a new spell."""
        self._since, self._failures = None, 0


def asked(retry_after: str | None) -> float | None:
    """Return the seconds of a Retry-After header, which may be a number or a date; None when it is neither."""
    text = (retry_after or "").strip()
    if text.isdigit():
        return float(text)
    try:
        when = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=timezone.utc)
    return max(0.0, (when - datetime.now(timezone.utc)).total_seconds())

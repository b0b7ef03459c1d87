"""Whether to pack what is sent: decided by measuring, as it depends on the way and on both machines."""

from __future__ import annotations

import threading

WORTH = 0.8
"""Packing costs both sides time that others could use, so it must save a fifth of ours."""

AGAIN = 16
"""Every so many parts the other way is tried again."""

_NEWEST = 0.3


class Packing:
    """Chooses for each part; the first goes as it is, the second packed, the rest the way that was faster.

    Args:
        always: True or False where there is no choice.
    """

    def __init__(self, always: bool | None = None) -> None:
        self._always = always
        self._lock = threading.Lock()
        self._seconds: dict[bool, float] = {}
        self._count = 0

    def choose(self) -> bool:
        """Return whether to pack the next part."""
        if self._always is not None:
            return self._always
        with self._lock:
            self._count += 1
            if self._count <= 2 or len(self._seconds) < 2:
                return self._count % 2 == 0
            better = self._seconds[True] < WORTH * self._seconds[False]
            return better if self._count % AGAIN else not better

    def note(self, packed: bool, size_bytes: int, seconds: float) -> None:
        """Note how long a part of this size took, packing included."""
        each = seconds / max(1, size_bytes)
        with self._lock:
            before = self._seconds.get(packed, each)
            self._seconds[packed] = before + _NEWEST * (each - before)

    def always(self) -> None:
        """Pack from now on: what is not packed is too large for the way."""
        self._always = True

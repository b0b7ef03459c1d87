"""How far a run is: the share of each phase in a whole run, what remains, and how far a file is read.

The bar of a run never goes back and is full only when the run is done: each phase has a place on
it, as long as the phase usually takes, and moves within its place by what it has really done. Imports `ports`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from aircan.ports import Stop

PLACES: dict[str, tuple[int, int]] = {
    "fetch": (0, 3),
    "sniff": (3, 8),
    "infer": (8, 15),
    "load": (15, 45),
    "publish": (45, 50),
    "index": (50, 99),
}
"""Phase -> where it begins and ends, in per cent. The index for searching takes about as long as all before it
(measured 2026-11, 1,000,000 rows, GiST)."""

SURE_S = 2.0
"""Seconds that a phase must have worked before anything is said of its end."""

SURE_SHARE = 0.03
"""Share of a phase that must be done before anything is said of its end."""

LOOK_S = 0.5
"""How often the files are looked at while one is read."""

READER = "reader.pid"
"""File of a work folder: the number of the process that reads the files there, when it is not the run's own."""


def percent(phase: str, share: float) -> int | None:
    """Return how far a run is, 0 to 99, when this share (0 to 1) of a phase is done; None for a phase not known."""
    if phase not in PLACES:
        return None
    start, end = PLACES[phase]
    return int(start + (end - start) * min(max(share, 0.0), 1.0))


def remaining_s(elapsed_s: float, share: float, *, slows: float = 1.0) -> int | None:
    """Return the seconds until a phase ends, at least 1; None when it is too early to say.

    `slows`: 1.0 when each piece takes as long as the one before; more when later pieces take longer:
    the share of time is the share of work raised to this power.
    """
    if elapsed_s < SURE_S or not SURE_SHARE <= share < 1:
        return None
    return max(round(elapsed_s * (float(share**-slows) - 1)), 1)


def told(phase: str, share: float, elapsed_s: float, *, slows: float = 1.0) -> dict[str, Any]:
    """Return what a report says of a phase: {"phase", "share", "percent", "eta_s"}; see `contract.Report`."""
    return {
        "phase": phase,
        "share": round(min(max(share, 0.0), 1.0), 3),
        "percent": percent(phase, share),
        "eta_s": remaining_s(elapsed_s, share, slows=slows),
    }


class Reading:
    """A `Stop` that looks, each time it is asked, how far the files of a folder are read, and tells it.

    Every reader asks between pieces of its work, so none needs to count. A reader that reads a file
    several times (first its encoding, then its rows) fills half of what is left each time, as nobody knows how
    often it will. Where the system does not say how far a file is read, nothing is told.

    Args:
        stop: what is really asked.
        folder: the files in it count.
        tell: takes the share, 0 to 1; it never goes back.
    """

    def __init__(
        self, stop: Stop, folder: Path, tell: Callable[[float], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stop, self._tell, self._clock = stop, tell, clock
        self._folder = os.path.realpath(folder) + os.sep
        self._thread = threading.get_ident()
        self._next = clock() + LOOK_S
        self._path, self._furthest, self._times = "", 0.0, 0

    def is_set(self) -> bool:
        """Whether to stop at once."""
        if threading.get_ident() == self._thread and self._clock() >= self._next:
            self._next = self._clock() + LOOK_S
            self._look()
        return self._stop.is_set()

    def _look(self) -> None:
        found = max(read_shares(self._folder), key=lambda at: at[1], default=None)
        if found is None:
            return
        path, share = found
        if self._path and (path != self._path or share < self._furthest - 0.5):
            self._times, self._furthest = self._times + 1, 0.0
        self._path, self._furthest = path, max(share, self._furthest)
        self._tell(1 - 0.5**self._times + 0.5 ** (self._times + 1) * self._furthest)


def read_shares(folder: str) -> Iterator[tuple[str, float]]:
    """Yield (path, share that is read) of each file below a folder that this process has open for reading.

    A process whose number is in the file READER of the folder takes its place.
    """
    process = "self"
    with contextlib.suppress(OSError, ValueError):
        process = str(int(Path(folder, READER).read_text(encoding="ascii")))
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{process}/fd"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                path = os.readlink(f"/proc/{process}/fd/{number}")
                if path.startswith(folder):
                    told = Path(f"/proc/{process}/fdinfo/{number}").read_text(encoding="ascii").split("\n")
                    facts = dict(line.split(":\t", 1) for line in told if ":\t" in line)
                    size = os.stat(f"/proc/{process}/fd/{number}").st_size
                    if size and int(facts["flags"], 8) & os.O_ACCMODE == os.O_RDONLY:
                        yield path, min(int(facts["pos"]) / size, 1.0)

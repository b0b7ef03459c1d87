"""What carries an order out, one file per job type. A new job type is a file here and a line in MENU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from aircan.contract import Order
from aircan.ports import Sink, Source, Stop
from aircan.recipes.load import load
from aircan.reporting import Reporter


class Recipe(Protocol):
    """Carries out an order of its job type."""

    def __call__(
        self, order: Order, *, source: Source, sink: Sink, report: Reporter, stop: Stop, workdir: Path
    ) -> Mapping[str, Any]:
        """Do the work and return the result of the job, JSON-ready.

        Raises leaves of AircanError; the caller discards the sink and reports.
        """
        ...


MENU: dict[str, Recipe] = {
    "LOAD": load,
}
"""Job type -> recipe."""

"""The formats that can be read, one file each. The bytes decide which it is, not the name.

A new format is a file here and a line in MENU. Imports only `table`, `text`, `engine` and what is below them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from aircan.formats import csv, json, parquet, sheets
from aircan.ports import Stop
from aircan.table import Rejects, Table


class Format(Protocol):
    """What a format must offer; a module may be one."""

    NAME: str
    """Its word in results, e.g. "csv"."""

    def recognises(self, path: Path, head: bytes) -> bool:
        """Return whether a file that begins with `head` (64 KiB or all of it) is of this format."""
        ...

    def read(self, path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
        """Read a file to its end.

        Returns a table in whose relation every sound record is a row, in file order; others were added
        to `rejects`. Raises leaves of FileUnreadable, OrderRefused for a wrong parameter, JobStopped.
        """
        ...


MENU: tuple[Format, ...] = (sheets, parquet, json, csv)
"""Asked in this order. Delimited text recognises all text, so it stays last."""

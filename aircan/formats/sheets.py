"""Spreadsheets: XLSX, XLSM, XLSB, XLS and ODS, one sheet as a table.

Parameters: `sheet` (name, or number from 1), `header_line`, `header_rows`, `skip_lines`, `skip_footer`; lines
are rows of the sheet, counted from 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aircan import apart
from aircan.errors import ReaderCrashed, ReaderOutOfMemory
from aircan.ports import Stop
from aircan.sheets import clean, kinds
from aircan.table import Rejects, Table

NAME = clean.NAME

MEMORY_MB = 1536
"""Most memory for reading a workbook. The largest sheets that are read at all take half of it."""

HELD_MB = 384
"""Most memory for an XLSX sheet that is held. 2.4 million usual cells take half of it (measured 2026-11)."""


def recognises(path: Path, head: bytes) -> bool:
    """Return whether the file is a workbook, an encrypted one included."""
    return bool(kinds.kind(path, head))


def read(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
    """Read a sheet of a workbook to its end, in a process of its own; see `formats.Format.read`.

    Its readers are compiled: what they do to their process on a file that is damaged in a way that nobody
    has thought of must not end the one that carries out the run. XLSX is streamed where its compiled reader fails so.
    """
    with open(path, "rb") as file:
        kind = kinds.kind(path, file.read(1 << 16))

    def with_most(memory_mb: int, *, hold: bool) -> Table:
        return apart.read(
            clean.read,
            path,
            kind,
            hold,
            params=params,
            format_=kind.upper(),
            memory_mb=memory_mb,
            workdir=workdir,
            rejects=rejects,
            stop=stop,
        )

    if kind != "xlsx":
        return with_most(MEMORY_MB, hold=True)
    with contextlib.suppress(ReaderCrashed, ReaderOutOfMemory):
        return with_most(HELD_MB, hold=True)
    return with_most(MEMORY_MB, hold=False)

"""The extent of the sheets of XLS, and what its reader does not tell, from their records ([MS-XLS] 2.4).

Imports only `errors` and `ports`.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import olefile

from aircan.errors import WorkbookDamaged
from aircan.ports import Stop
from aircan.sheets.package import check
from aircan.sheets.survey import Notes

BOF, EOF, SHEET, ROW, FORMULA, ERROR = 0x0809, 0x000A, 0x0085, 0x0208, 0x0006, 0x0205
ONE = frozenset([FORMULA, ERROR, 0x0203, 0x0204, 0x00D6, 0x00FD, 0x027E])
"""Records of one cell: FORMULA, BOOLERR, NUMBER, LABEL, RSTRING, LABELSST, RK."""
SEVERAL = 0x00BD
"""MULRK: cells of a row from a first to a last column, the last one in its last two bytes."""


def notes(path: Path, stop: Stop) -> list[Notes]:
    """Return the notes of the worksheets of a workbook, in its order; none for a file without a container (Excel 4).

    Raises:
        WorkbookDamaged: the container is broken. JobStopped.
    """
    if not olefile.isOleFile(path):
        return []
    try:
        with olefile.OleFileIO(path) as container:
            name = next((name for name in ("Workbook", "Book") if container.exists(name)), "")
            stream = container.openstream(name) if name else None
            return [_sheet(stream, at, stop) for at in _sheets(stream)] if stream else []
    except (OSError, IndexError, ValueError) as exc:
        raise WorkbookDamaged(str(exc), reason=str(exc)[:200] or "its container is broken") from exc


def _sheets(stream: BinaryIO) -> list[int]:
    """Return the places of the worksheets in the stream, without charts, dialogs and modules."""
    out, depth = list[int](), 0
    while len(head := stream.read(4)) == 4:
        kind, data = _number(head), stream.read(_number(head, 2))
        depth += (kind == BOF) - (kind == EOF)
        if kind == SHEET and len(data) > 5 and data[5] == 0:
            out.append(_number(data) + (_number(data, 2) << 16))
        if depth < 1:
            break
    return out


def _sheet(stream: BinaryIO, at: int, stop: Stop) -> Notes:
    """Walk the records of a sheet; those of charts in it are between a BOF and an EOF of their own."""
    found, depth, number = Notes(), 0, 0
    stream.seek(at)
    while len(head := stream.read(4)) == 4:
        kind, data = _number(head), stream.read(_number(head, 2))
        depth += (kind == BOF) - (kind == EOF)
        if depth < 1:
            break
        if depth == 1:
            _note(found, kind, data)
        number += 1
        if not number % 10_000:
            check(stop)
    return found


def _note(found: Notes, kind: int, data: bytes) -> None:
    if kind == ROW and len(data) > 12 and data[12] & 0x20:
        found.hidden.add(_number(data) + 1)
    elif kind in ONE or kind == SEVERAL:
        row, column = _number(data), _number(data, len(data) - 2 if kind == SEVERAL else 2)
        found.rows, found.columns = max(found.rows, row + 1), max(found.columns, column + 1)
        formula_error = kind == FORMULA and data[6:7] == b"\x02" and data[12:14] == b"\xff\xff"
        if formula_error or (kind == ERROR and data[7:8] == b"\x01"):
            found.errors.add(row + 1)


def _number(data: bytes, at: int = 0) -> int:
    return int.from_bytes(data[at : at + 2], "little")

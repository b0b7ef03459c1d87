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
STRINGS = 0x00FC
"""SST: the number of different texts is in bytes 4 to 7."""
EXTENT = 0x0200
"""DIMENSIONS: first row, last row + 1, first column, last column + 1."""
MOST_ROWS, MOST_COLUMNS = 1 << 16, 1 << 8
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
            _plausible(container, path.stat().st_size)
            name = next((name for name in ("Workbook", "Book") if container.exists(name)), "")
            stream = container.openstream(name) if name else None
            return [_sheet(stream, at, stop) for at in _sheets(stream)] if stream else []
    except RecursionError as exc:
        raise WorkbookDamaged(reason="a folder of its container is inside itself") from exc
    except (OSError, IndexError, ValueError) as exc:
        raise WorkbookDamaged(str(exc), reason=str(exc)[:200] or "its container is broken") from exc


def _plausible(container: olefile.OleFileIO, size_bytes: int) -> None:
    """Raise WorkbookDamaged when a table of the container cannot be as long as it says.

    The compiled reader makes room first and looks then.
    """
    sectors = size_bytes // container.sector_size + 1
    tables = (container.num_fat_sectors, container.num_mini_fat_sectors, container.num_difat_sectors)
    streams = [container.get_size(name) for name in container.listdir()]
    if max(tables) > sectors or max(streams, default=0) > size_bytes:
        raise WorkbookDamaged(reason="its container says that it is larger than the file")


def _sheets(stream: BinaryIO) -> list[int]:
    """Return the places of the worksheets in the stream, without charts, dialogs and modules."""
    out, depth, size = list[int](), 0, stream.seek(0, 2)
    stream.seek(0)
    while len(head := stream.read(4)) == 4:
        kind, data = _number(head), stream.read(_number(head, 2))
        depth += (kind == BOF) - (kind == EOF)
        if kind == STRINGS and (_number(data, 6) << 16) + _number(data, 4) > size:
            raise WorkbookDamaged(reason="it says that it has more texts than it has bytes")
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
        if depth == 1 and kind == EXTENT:
            _check_extent(data)
        elif depth == 1:
            _note(found, kind, data)
        number += 1
        if not number % 10_000:
            check(stop)
    return found


def _check_extent(data: bytes) -> None:
    """Raise WorkbookDamaged when a sheet ends before it begins, or is larger than a sheet can be."""
    size = 4 if len(data) >= 14 else 2
    places = [int.from_bytes(data[at : at + size], "little") for at in (0, size)]
    columns = _number(data, 2 * size), _number(data, 2 * size + 2)
    if not (places[0] <= places[1] <= MOST_ROWS and columns[0] <= columns[1] <= MOST_COLUMNS):
        raise WorkbookDamaged(reason="the extent of a sheet is impossible")


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

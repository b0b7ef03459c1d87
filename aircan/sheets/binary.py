"""The extent of a sheet of XLSB, and what its reader does not tell, from its records ([MS-XLSB] 2.1.4).

Imports only `errors` and `ports`.
"""

from __future__ import annotations

from collections.abc import Iterator

from aircan.errors import WorkbookDamaged
from aircan.ports import Stop
from aircan.sheets.package import Package, check
from aircan.sheets.survey import Notes

ROW, BLANK, ERROR, FORMULA_ERROR, MERGED, SHEET = 0, 1, 3, 11, 176, 156
CELLS = frozenset(range(1, 12))
LONGEST_HEAD = 6
"""Bytes of a record's type and size, at most."""

SHORT = frozenset(range(12, 20))
"""Cells that say no column but follow the one before. Excel reads them and does not write them; the compiled reader
leaves them out without a word."""


def sheets(package: Package, stop: Stop) -> dict[str, str]:
    """Return name -> part of the sheets of a workbook, in its order."""
    book = next((part for kind, part in package.relations("").values() if kind == "officeDocument"), "xl/workbook.bin")
    relations, out = package.relations(book), dict[str, str]()
    for kind, data in _records(package, book, stop, most=1024):
        if kind == SHEET:
            relation, at = _text(data, 8)
            name, _ = _text(data, at)
            found, part = relations.get(relation, ("", ""))
            if found == "worksheet" and package.has(part):
                out[name] = part
    return out


def _text(data: bytes, at: int) -> tuple[str, int]:
    """Return a text that its number of UTF-16 units precedes, and the place behind it."""
    end = at + 4 + 2 * int.from_bytes(data[at : at + 4], "little")
    return data[at + 4 : end].decode("utf-16-le", errors="replace"), end


def notes(package: Package, part: str, stop: Stop) -> Notes:
    """Return the notes of a sheet. Raises WorkbookDamaged, JobStopped."""
    found, row = Notes(), 0
    for number, (kind, data) in enumerate(_records(package, part, stop)):
        if kind == ROW and len(data) >= 4:
            row = int.from_bytes(data[:4], "little")
            if len(data) > 11 and data[11] & 0x10:
                found.hidden.add(row + 1)
        elif kind in CELLS and kind != BLANK and len(data) >= 4:
            found.rows = max(found.rows, row + 1)
            found.columns = max(found.columns, int.from_bytes(data[:4], "little") + 1)
            found.values = min(2, found.values + 1)
            if kind in (ERROR, FORMULA_ERROR):
                found.errors.add(row + 1)
        elif kind in SHORT:
            raise WorkbookDamaged(reason="its cells are stored in a short form that cannot be read here")
        elif kind == MERGED and len(data) >= 16:
            top, bottom, left, right = (int.from_bytes(data[at : at + 4], "little") for at in (0, 4, 8, 12))
            found.merged.append((top, left, bottom, right))
        if not number % 10_000:
            check(stop)
    return found


def _records(package: Package, part: str, stop: Stop, most: int = 16) -> Iterator[tuple[int, bytes]]:
    """Yield type and the first bytes of each record."""
    data, at = b"", 0
    blocks = package.blocks(part, stop)
    while True:
        while len(data) - at < LONGEST_HEAD and (block := next(blocks, b"")):
            data, at = data[at:] + block, 0
        if at >= len(data):
            return
        kind, at = _number(data, at, 2)
        size, at = _number(data, at, 4)
        while len(data) < at + min(size, most) and (block := next(blocks, b"")):
            data, at = data[at:] + block, 0
        yield kind, data[at : at + min(size, most)]
        at += size
        while at > len(data) and (block := next(blocks, b"")):
            at, data = at - len(data), block


def _number(data: bytes, at: int, most: int) -> tuple[int, int]:
    """Return a number in groups of 7 bits, the lowest first, and the place behind it."""
    number = 0
    for group in range(most):
        byte = data[at] if at < len(data) else 0
        number |= (byte & 0x7F) << (7 * group)
        at += 1
        if byte < 0x80:
            break
    return number, at

"""What a sheet holds besides values, found before it is loaded: its extent, errors, hidden rows, merged cells.

The compiled reader allocates a cell for each place between the first and the last value, and gives the process up
when that fails: a stray cell at the end of a sheet is enough. So the extent is known first. It gives errors as
blank cells, and formulas without a stored value too: these are counted here. Imports only `errors` and `ports`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from aircan.errors import WorkbookDamaged
from aircan.ports import Stop
from aircan.sheets.package import Package, elements

Range = tuple[int, int, int, int]
"""First row, first column, last row, last column; from 0, all included."""


@dataclass
class Count:
    """How many of something, and the row of the first (from 1)."""

    count: int = 0
    line: int = 0

    def add(self, line: int, count: int = 1) -> None:
        """Count one more, or several."""
        self.line = self.line or line
        self.count += count


@dataclass
class Notes:
    """What is known of a sheet beside its values.

    Attributes:
        rows, columns: an upper bound of its extent, counted from the first place of the sheet.
        exact: whether that bound can be relied on; if not, the sheet must not be loaded whole.
        values: cells with a value, counted only as far as it is needed; 2 stands for "several".
    """

    rows: int = 0
    columns: int = 0
    exact: bool = True
    values: int = 0
    errors: Count = field(default_factory=Count)
    formulas: Count = field(default_factory=Count)
    hidden: Count = field(default_factory=Count)
    merged: list[Range] = field(default_factory=list)

    @property
    def cells(self) -> int:
        """Places in the sheet, blank ones included."""
        return self.rows * self.columns


def column_number(letters: bytes | str) -> int:
    """Return the number of a column from 1.

    Example: "A" -> 1, "XFD" -> 16384.
    """
    number = 0
    for letter in letters.encode() if isinstance(letters, str) else letters:
        number = number * 26 + (letter & 31)
    return number


_ROW = re.compile(rb'<(?:\w+:)?row\b[^>]*?\br="(\d+)"')
_COLUMN = re.compile(rb' r="([A-Z]+)')
_CELL = re.compile(rb"<(?:\w+:)?c[ />]")
_PLACED = re.compile(rb'<(?:\w+:)?c\b[^>]*? r="[A-Z]+\d')
_DIMENSION = re.compile(rb'<dimension ref="(?:[A-Z]+\d+:)?([A-Z]{1,3})(\d{1,7})"')
_LONG_ROW = re.compile(rb'<row\b[^>]*? r="\d{8}')
_ERROR = re.compile(rb'<(?:\w+:)?c\b(?=[^>]*? t="e")[^>]*? r="[A-Z]+(\d+)"')
_HIDDEN = re.compile(rb'<(?:\w+:)?row\b(?=[^>]*?\bhidden="(?:1|true)")[^>]*?\br="(\d+)"')
_UNVALUED = re.compile(
    rb'\br="[A-Z]+(\d+)"(?![^>]* t="str")[^>]*><(?:\w+:)?f(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)'
    rb"(?:<(?:\w+:)?v ?/>|<(?:\w+:)?v></(?:\w+:)?v>)?</(?:\w+:)?c>"
)
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*?\bref="([A-Z]+)(\d+):([A-Z]+)(\d+)"')
_VALUE = re.compile(rb"<(?:\w+:)?(?:v|t)[ >]")
LONGEST_ROW_BYTES = 64 << 20


def xlsx(package: Package, part: str, stop: Stop) -> Notes:
    """Return the notes of a sheet of XLSX, reading its part once. Raises WorkbookDamaged, JobStopped.

    The extent that the sheet declares is not believed but checked: cells are only looked at one by one where
    one begins otherwise than it should, which costs a third (measured 2026-11).
    """
    notes, unusual, long = Notes(), _CELL, _LONG_ROW
    for number, chunk in enumerate(cut_rows(package.blocks(part, stop))):
        if not number and b"<!DOCTYPE" in chunk:
            raise WorkbookDamaged(reason="a sheet declares a document type")
        if not number and (declared := _DIMENSION.search(chunk)):
            notes.columns, digits = column_number(declared[1]), len(declared[2])
            unusual = re.compile(rb"<c (?!r=\"" + up_to(declared[1]) + rb"\d)")
            long = re.compile(rb'<row\b[^>]*? r="\d{%d}' % (digits + 1))
        if unusual.search(chunk) or b"<c>" in chunk or b":c " in chunk or b":row " in chunk or long.search(chunk):
            _look(notes, chunk)
        last = _ROW.search(chunk, max(0, chunk.rfind(b"<row")))
        notes.rows = max(notes.rows, int(last[1]) if last else 0)
        _warn(notes, chunk)
    notes.exact = notes.exact and (not notes.values or bool(notes.rows and notes.columns))
    return notes


def up_to(letters: bytes) -> bytes:
    """Return a regular expression of the columns from A to this one.

    Example: b"L" -> (?:[A-L]), b"BC" -> (?:[A-Z]|[A-A][A-Z]|B[A-C]).
    """
    ways = [b"[A-Z]" * length for length in range(1, len(letters))]
    for at in range(len(letters)):
        last = at == len(letters) - 1
        if last or letters[at] > ord("A"):
            most = letters[at] if last else letters[at] - 1
            ways.append(letters[:at] + b"[A-%c]" % most + b"[A-Z]" * (len(letters) - at - 1))
    return b"(?:" + b"|".join(ways) + b")"


def _look(notes: Notes, chunk: bytes) -> None:
    """Find the extent of some rows cell by cell; it is not exact when cells or rows do not say where they stand."""
    columns, rows = set(_COLUMN.findall(chunk)), [int(number) for number in _ROW.findall(chunk)]
    notes.rows = max(notes.rows, *rows, 0)
    notes.columns = max(notes.columns, *map(column_number, columns), 0)
    cells = len(_CELL.findall(chunk))
    if cells != len(_PLACED.findall(chunk)) or (cells and not rows):
        notes.exact = False


def _warn(notes: Notes, chunk: bytes) -> None:
    if notes.values < 2:
        notes.values = min(2, notes.values + sum(1 for _ in zip(range(2), _VALUE.finditer(chunk), strict=False)))
    if b't="e"' in chunk:
        for found in _ERROR.finditer(chunk):
            notes.errors.add(int(found[1]))
    if b'hidden="' in chunk:
        for found in _HIDDEN.finditer(chunk):
            notes.hidden.add(int(found[1]))
    if b"<f" in chunk or b":f" in chunk:
        for found in _UNVALUED.finditer(chunk):
            notes.formulas.add(int(found[1]))
    if b"</sheetData>" in chunk[:4096] or b"sheetData>" in chunk[:4096]:
        for left, top, right, bottom in _MERGED.findall(chunk):
            notes.merged.append((int(top) - 1, column_number(left) - 1, int(bottom) - 1, column_number(right) - 1))


def cut_rows(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes cut behind the end of a row."""
    waiting = b""
    for block in blocks:
        waiting += block
        end = waiting.rfind(b"row>") + 4
        if end > 3:
            yield waiting[:end]
            waiting = waiting[end:]
        elif len(waiting) > LONGEST_ROW_BYTES:
            raise WorkbookDamaged(reason=f"a row of more than {LONGEST_ROW_BYTES} bytes")
    yield waiting


def holds_values(package: Package, part: str, stop: Stop) -> int:
    """Return how many cells of a sheet of XLSX hold a value; 2 stands for "several"."""
    count = 0
    for block in cut_rows(package.blocks(part, stop, 1 << 16)):
        count += sum(1 for _ in zip(range(2), _VALUE.finditer(block), strict=False))
        if count > 1:
            return 2
    return count


_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_CALC = "{urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0}"
_CELLS = (_TABLE + "table-cell", _TABLE + "covered-table-cell")
MOST_ROWS, MOST_COLUMNS = 1 << 20, 1 << 14


def ods(package: Package, stop: Stop) -> dict[str, Notes]:
    """Return name -> notes of the sheets of an ODS file. Raises WorkbookDamaged, JobStopped."""
    out, notes, row = dict[str, Notes](), Notes(), 0
    with package.open("content.xml") as part:
        for element in elements(part, _TABLE + "table-row", _TABLE + "table", stop=stop):
            if element.tag == _TABLE + "table":
                out[element.get(_TABLE + "name", "")] = notes
                notes, row = Notes(), 0
                continue
            repeated = _count(element, "number-rows-repeated", MOST_ROWS)
            _ods_row(notes, element, row, repeated)
            row += repeated
    return out


def _ods_row(notes: Notes, element: object, row: int, repeated: int) -> None:
    column = 0
    for cell in element:  # type: ignore[attr-defined]
        if cell.tag not in _CELLS:
            continue
        wide = _count(cell, "number-columns-repeated", MOST_COLUMNS)
        if cell.get(_OFFICE + "value-type") is not None:
            notes.rows, notes.columns = row + repeated, max(notes.columns, column + wide)
            notes.values = min(2, notes.values + wide * repeated)
            if cell.get(_CALC + "value-type") == "error":
                notes.errors.add(row + 1, wide * repeated)
        down = _count(cell, "number-rows-spanned", MOST_ROWS)
        across = _count(cell, "number-columns-spanned", MOST_COLUMNS)
        if down * across > 1:
            notes.merged.append((row, column, row + down - 1, column + across - 1))
        column += wide
    if element.get(_TABLE + "visibility", "visible") != "visible" and notes.rows > row:  # type: ignore[attr-defined]
        notes.hidden.add(row + 1, repeated)


def _count(element: object, name: str, most: int) -> int:
    given = element.get(_TABLE + name, "1")  # type: ignore[attr-defined]
    return max(1, min(int(given), most)) if given.isdecimal() else 1

"""Sheets of XLSX too large to hold, row by row in flat memory. Imports only `errors` and `ports`.

The same values as the compiled reader gives, cell by cell; the tests hold both side by side.
"""

from __future__ import annotations

import datetime as dt
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from aircan.errors import WorkbookDamaged
from aircan.ports import Stop
from aircan.sheets.cells import Cell
from aircan.sheets.package import SAFE, Package, elements, translated
from aircan.sheets.survey import column_number, cut_rows
from aircan.sheets.xlsx import Format, Strings, Workbook, formats, string_of, unescaped

_EPOCH = dt.datetime(1899, 12, 30)  # noqa: DTZ001 - cells have no time zone
_DAYS_1904 = 1462
_LAST_SERIAL = 2958466
_DAY_MS = 86_400_000


def rows(package: Package, book: Workbook, part: str, *, spill: Path, stop: Stop) -> Iterator[tuple[int, list[Cell]]]:
    """Yield the number (from 1) and the cells of each row that is in the file, up to its last cell with a value.

    Args:
        package: the container.
        book: its workbook.
        part: the sheet's part.
        spill: file for shared strings that do not fit in memory.
        stop: asked now and then.

    Raises:
        WorkbookDamaged: broken XML, or a shared string that does not exist. JobStopped.
    """
    strings = Strings(package, book.strings, spill, stop=stop)
    try:
        reader = _Reader(strings, formats(package, book.styles), book.date1904)
        with translated():
            yield from _rows(package, part, reader, stop)
    finally:
        strings.close()


def _rows(package: Package, part: str, reader: _Reader, stop: Stop) -> Iterator[tuple[int, list[Cell]]]:
    chunks = cut_rows(package.blocks(part, stop))
    first = next(chunks, b"")
    root = _ROOT.search(first)
    if root is None:  # markup with prefixes
        with package.open(part) as xml:
            yield from map(reader.row, elements(xml, "{*}row", stop=stop))
        return
    chunk, ended = first, False
    while chunk:
        found = reader.plain(chunk)
        yield from _parsed(root[0], chunk, reader, stop) if found is None else found
        ended = ended or b"</sheetData>" in chunk or b"<sheetData/>" in chunk
        chunk = next(chunks, b"")
    if not ended:
        raise WorkbookDamaged(reason="the sheet breaks off")


def _parsed(root: bytes, chunk: bytes, reader: _Reader, stop: Stop) -> Iterator[tuple[int, list[Cell]]]:
    """Yield the rows of a chunk, which ends behind one, by the parser; `root` declares the prefixes."""
    start, end = _ROW.search(chunk), chunk.rfind(b"</row>") + len(b"</row>")
    if start and end > start.start():
        xml = root + chunk[start.start() : end] + b"</worksheet>"
        yield from map(reader.row, elements(io.BytesIO(xml), "{*}row", stop=stop))


_ROW = re.compile(rb"<row[ >/]")
_ROOT = re.compile(rb"<worksheet\b[^>]*>")
_PLAIN = re.compile(
    rb'<(?:row\b([^>]*)|c(?: r="([A-Z]+)\d+")?(?: s="(\d+)")?(?: t="(\w+)")?(?:/>|>(?:<f(?:[^>]*/>|[^>]*>[^<]*</f>))?'
    rb'(?:<v>([^<]*)</v>|<v/>|<is><t(?: xml:space="preserve")?>([^<]*)</t></is>)?</c>))'
)
"""A row or a cell as nearly every program writes them. Cells written otherwise are counted, and their rows parsed."""

_ROW_NUMBER = re.compile(rb'\br="(\d+)"')


def _text(value: bytes) -> str:
    """Return the text of character data; the parser reads what is not plain."""
    if b"&" in value or b"\r" in value:
        return etree.fromstring(b"<t>" + value + b"</t>", parser=etree.XMLParser(**SAFE)).text or ""
    return value.decode()


class _Reader:
    """Turns row elements into values, with what the workbook says about them."""

    def __init__(self, strings: Strings, styles: list[Format], date1904: bool) -> None:
        self._strings, self._date1904 = strings, date1904
        special = {n: style for n, style in enumerate(styles) if style is not Format.NUMBER}
        self._styles: dict[str | bytes, Format] = {str(n): style for n, style in special.items()}
        self._styles.update({b"%d" % n: style for n, style in special.items()})
        self._columns: dict[str | bytes, int] = {}
        self._number = 0

    def row(self, element: Any) -> tuple[int, list[Cell]]:
        self._number = int(element.get("r") or self._number + 1)
        row: list[Cell] = []
        at = 0
        columns, value = self._columns, self._value
        for cell in element:
            get = cell.get
            if place := get("r"):
                letters = place.rstrip("0123456789")
                at = columns.get(letters) or columns.setdefault(letters, column_number(letters))
            else:
                at += 1
            found = value(cell, get("t"), get("s"))
            if found != "":
                if at > len(row) + 1:
                    row.extend([""] * (at - 1 - len(row)))
                if at > len(row):
                    row.append(found)
                else:
                    row[at - 1] = found
        return self._number, row

    def plain(self, chunk: bytes) -> list[tuple[int, list[Cell]]] | None:
        """Return some rows read without a parser, or None where not all of their markup is plain.

        A fifth of the parser's time (measured 2026-11). Only markup that leaves nothing open is taken: no entities in
        values that are not looked at as such, no comments, no CDATA.
        """
        if b"<!" in chunk or b"<?" in chunk[100:]:
            return None
        found = _PLAIN.findall(chunk)
        rows = [n for n, cell in enumerate(found) if cell[0]]
        if len(found) - len(rows) != chunk.count(b"<c ") + chunk.count(b"<c>") or len(rows) != chunk.count(b"<row "):
            return None
        return [self._plain_row(found[a:b]) for a, b in itertools.pairwise([*rows, len(found)])]

    def _plain_row(self, cells: Sequence[tuple[bytes, ...]]) -> tuple[int, list[Cell]]:
        number = _ROW_NUMBER.search(cells[0][0])
        self._number = int(number[1]) if number else self._number + 1
        row: list[Cell] = []
        columns, plain, append, at = self._columns, self._plain_value, row.append, 0
        for _, letters, style, kind, value, inline in cells[1:]:
            at = (columns.get(letters) or columns.setdefault(letters, column_number(letters))) if letters else at + 1
            if not value and not inline:
                continue
            found = plain(value, inline, style, kind)
            if found == "":
                continue
            length = len(row) + 1
            if at == length:
                append(found)
            elif at > length:
                row.extend([""] * (at - length))
                append(found)
            else:
                row[at - 1] = found
        return self._number, row

    def _plain_value(self, value: bytes, inline: bytes, style: bytes, kind: bytes) -> Cell:
        if kind == b"s":
            return self._shared(value)
        if not kind or kind == b"n":
            return self._of_number(value, style)
        if kind == b"inlineStr":
            text = _text(inline)
            return unescaped(text) if "_x" in text else text
        return self._other(_text(value), kind.decode())

    def _value(self, cell: Any, kind: str | None, style: str | None) -> Cell:
        text = None
        for child in cell:
            tag = child.tag
            if tag.endswith("}v"):
                text = child.text
            elif tag.endswith("}is") and kind == "inlineStr":
                return string_of(child)
        if text is None:
            return ""
        if kind == "s":
            return self._shared(text)
        if kind is None or kind == "n":
            return self._of_number(text, style)
        return self._other(text, kind)

    def _shared(self, text: str | bytes) -> str:
        try:
            return self._strings[int(text)]
        except (IndexError, ValueError) as exc:
            reason = f"row {self._number} names a shared string that does not exist"
            raise WorkbookDamaged(reason=reason) from exc

    def _of_number(self, text: str | bytes, style: str | bytes | None) -> Cell:
        try:
            number = float(text)
        except ValueError:
            return text if isinstance(text, str) else _text(text)
        form = self._styles.get(style) if style else None
        if form is None:
            return number
        return duration(number) if form is Format.DURATION else moment(number, date1904=self._date1904)

    def _other(self, text: str, kind: str) -> Cell:
        if kind == "b":
            return text != "0"
        if kind == "e":
            return ""
        if kind == "d":
            return iso(text)
        return unescaped(text) if "_x" in text else text


def moment(number: float, *, date1904: bool) -> Cell:
    """Return what a serial number stands for: a time of day, a date, or both; the number itself out of the calendar.

    The day before 1 March 1900 is 59 or 60: Excel knows a 29 February 1900, which no calendar has. Parts of
    a second are rounded to milliseconds, as finely as Excel keeps them.
    """
    serial = number + _DAYS_1904 if date1904 else number
    if serial >= _LAST_SERIAL or serial < -1:
        return number if serial >= 1 else dt.time()
    exact = serial if serial >= 60 else serial + 1
    found = _EPOCH + dt.timedelta(milliseconds=_round(exact * _DAY_MS))
    if number < 1:
        return found.time()
    return found.date() if number.is_integer() else found


def duration(number: float) -> dt.timedelta:
    """Return a number of days as a duration, to the millisecond."""
    return dt.timedelta(milliseconds=_round(number * _DAY_MS))


def _round(number: float) -> int:
    """Round half away from zero."""
    return int(number + 0.5) if number >= 0 else -int(0.5 - number)


_ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?Z?")


def iso(text: str) -> Cell:
    """Return a cell of type "d" as a date or moment, or as its text when it is neither."""
    if not _ISO.fullmatch(text):
        return text
    try:
        if len(text) == len("2024-01-31"):
            return dt.date.fromisoformat(text)
        day, _, clock = text.rstrip("Z").partition("T")
        whole, _, fraction = clock.partition(".")
        return dt.datetime.fromisoformat(f"{day}T{whole}" + (f".{fraction:0<6}" if fraction else ""))
    except ValueError:
        return text

"""The parts of an XLSX or XLSM workbook: its sheets, its number formats, its shared strings.

Imports only `errors` and `ports`.
"""

from __future__ import annotations

import functools
import io
import itertools
import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from aircan.ports import Stop
from aircan.sheets.package import Package, elements


@dataclass(frozen=True)
class Part:
    """A sheet of a workbook and the part that holds it."""

    name: str
    visible: bool
    part: str


@dataclass(frozen=True)
class Workbook:
    """What workbook.xml and its relations say."""

    sheets: tuple[Part, ...]
    date1904: bool
    strings: str
    styles: str

    @classmethod
    def of(cls, package: Package) -> Workbook:
        """Read the workbook of a package. Raises WorkbookDamaged when it has none."""
        named = [part for kind, part in package.relations("").values() if kind == "officeDocument"]
        name = named[0] if named else "xl/workbook.xml"
        root, relations = package.xml(name), package.relations(name)
        sheets = []
        for sheet in root.iterfind("{*}sheets/{*}sheet"):
            ids = [value for key, value in sheet.attrib.items() if key.endswith("}id")]
            kind, part = relations.get(ids[0] if ids else "", ("", ""))
            if kind == "worksheet" and package.has(part):
                sheets.append(Part(sheet.get("name", ""), sheet.get("state", "visible") == "visible", part))
        properties = root.find("{*}workbookPr")
        parts = {kind: part for kind, part in relations.values() if package.has(part)}
        return cls(
            sheets=tuple(sheets),
            date1904=properties is not None and properties.get("date1904") in ("1", "true"),
            strings=parts.get("sharedStrings", ""),
            styles=parts.get("styles", ""),
        )


class Format(Enum):
    """What a number format makes of a number."""

    NUMBER = "number"
    MOMENT = "moment"
    DURATION = "duration"


_MOMENTS = frozenset([*range(14, 23), 45, 47])
EAST_ASIAN = frozenset([*range(27, 37), *range(50, 59)])
"""Dates and times in Chinese, Japanese and Korean Excel (ECMA-376, 18.8.30), which the compiled reader takes for
numbers."""
_DURATION = 46


def formats(package: Package, styles: str) -> list[Format]:
    """Return what the cell formats of a workbook make of numbers, by their number (ECMA-376, 18.8)."""
    if not styles:
        return []
    root = package.xml(styles)
    custom = {
        form.get("numFmtId"): format_of(form.get("formatCode", "")) for form in root.iterfind("{*}numFmts/{*}numFmt")
    }
    return [_format(xf.get("numFmtId", "0"), custom) for xf in root.iterfind("{*}cellXfs/{*}xf")]


def _format(number: str, custom: dict[Any, Format]) -> Format:
    if number in custom:
        return custom[number]
    known = int(number) if number.isdecimal() else 0
    return Format.MOMENT if known in _MOMENTS | EAST_ASIAN else Format.DURATION if known == _DURATION else Format.NUMBER


def has_east_asian(package: Package, styles: str) -> bool:
    """Return whether a cell format is a date only in Chinese, Japanese or Korean Excel."""
    if not styles:
        return False
    root = package.xml(styles)
    custom = {form.get("numFmtId") for form in root.iterfind("{*}numFmts/{*}numFmt")}
    used = {xf.get("numFmtId", "0") for xf in root.iterfind("{*}cellXfs/{*}xf")} - custom
    return any(number.isdecimal() and int(number) in EAST_ASIAN for number in used)


def format_of(code: str) -> Format:
    """Return what a format code makes of a number; only its first section counts.

    Example: "dd/mm/yyyy" -> MOMENT, "[h]:mm" -> DURATION, '0.0" days"' -> NUMBER, "[Red]0" -> NUMBER.
    """
    plain, position = "", 0
    while position < len(code):
        mark = code[position]
        if mark in "\\_*":
            position += 2
        elif mark == '"':
            position = (code.find('"', position + 1) + 1) or len(code)
        elif mark == "[":
            end = code.find("]", position)
            inside = code[position + 1 : end if end > 0 else len(code)].lower()
            if inside and len(set(inside)) == 1 and inside[0] in "hms":
                return Format.DURATION
            position = end + 1 if end > 0 else len(code)
        elif mark == ";":
            break
        else:
            plain, position = plain + mark.lower(), position + 1
    return Format.MOMENT if set(plain) & set("dmyhs") or "a/p" in plain else Format.NUMBER


_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")

IN_MEMORY_BYTES = 24 << 20
"""Shared strings that take no more than this when inflated are held in memory."""

STRINGS_AT_ONCE = 1024
BLOCKS_HELD = 64


class Strings:
    """The shared strings of a workbook; beyond IN_MEMORY_BYTES in a file, with 8 bytes in memory for each.

    Args:
        package: the workbook.
        part: its strings, "" if there are none.
        spill: file for strings that do not fit in memory; made only then.
        stop: asked now and then.
    """

    def __init__(self, package: Package, part: str, spill: Path, *, stop: Stop) -> None:
        self._ends = array("Q", [0])
        self._file: BinaryIO = io.BytesIO()
        self._few: list[str] | None = None
        if not part:
            self._few = []
            return
        with package.open(part) as xml:
            found = (string_of(element) for element in elements(xml, "{*}si", stop=stop))
            if package.size_bytes(part) <= IN_MEMORY_BYTES:
                self._few = list(found)
                return
            with open(spill, "wb") as out:
                for text in found:
                    self._ends.append(self._ends[-1] + out.write(text.encode()))
        self._file = open(spill, "rb")  # noqa: SIM115 - closed by close()
        self._block = functools.lru_cache(maxsize=BLOCKS_HELD)(self._read)

    def __getitem__(self, index: int) -> str:
        """Return a string by its number. Raises IndexError when there is none."""
        if self._few is not None:
            return self._few[index]
        return self._block(index // STRINGS_AT_ONCE)[index % STRINGS_AT_ONCE]

    def _read(self, block: int) -> Sequence[str]:
        ends = self._ends[block * STRINGS_AT_ONCE : (block + 1) * STRINGS_AT_ONCE + 1]
        if not ends:
            return []
        self._file.seek(ends[0])
        data = self._file.read(ends[-1] - ends[0])
        return [data[a - ends[0] : b - ends[0]].decode() for a, b in itertools.pairwise(ends)]

    def close(self) -> None:
        """Close the file of strings, if there is one."""
        self._file.close()


def string_of(element: Any) -> str:
    """Return the text of a shared or inline string: its runs, without phonetic hints."""
    out = ""
    for child in element:
        name = child.tag.rpartition("}")[2] if isinstance(child.tag, str) else ""
        if name == "t":
            out += child.text or ""
        elif name == "r":
            out += "".join(t.text or "" for t in child if isinstance(t.tag, str) and t.tag.endswith("}t"))
    return unescaped(out) if "_x" in out else out


def unescaped(text: str) -> str:
    """Return text with Excel's `_xHHHH_` as characters."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)

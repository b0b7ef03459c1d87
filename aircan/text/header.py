"""Where the table stands among the first rows of a file: titles, header rows, footers. Imports only `errors`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aircan.errors import OrderRefused

MOST_HEADER_ROWS = 3


@dataclass(frozen=True)
class Frame:
    """What the order says about where the table stands, for every format of rows.

    Attributes:
        header_line: line or row of the header, counted from 1 over the whole file; 0: find it.
        header_rows: rows of the header, 0 to 3; 0: there is none and columns are named column_1, ...; None: one.
        skip_lines: lines or rows at the top that are not looked at.
        skip_footer: lines or rows at the end, blank ones apart, that are left out.
    """

    header_line: int = 0
    header_rows: int | None = None
    skip_lines: int = 0
    skip_footer: int = 0

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Frame:
        """Read the parameters of an order. Raises OrderRefused naming the wrong one."""
        rows = params.get("header_rows")
        frame = cls(
            header_line=_count(params, "header_line"),
            header_rows=None if rows is None or rows == "" else _count(params, "header_rows", MOST_HEADER_ROWS),
            skip_lines=_count(params, "skip_lines"),
            skip_footer=_count(params, "skip_footer"),
        )
        if 0 < frame.header_line <= frame.skip_lines:
            raise OrderRefused(field="params.header_line")
        return frame

    @property
    def rows(self) -> int:
        """Rows of the header, one if the order says nothing."""
        return 1 if self.header_rows is None else self.header_rows


def _count(params: Mapping[str, Any], name: str, most: int = 1 << 31) -> int:
    given = params.get(name)
    if given is None or given == "":
        return 0
    if isinstance(given, str) and given.isdecimal() and given.isascii():
        given = int(given)
    if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= most:
        raise OrderRefused(field=f"params.{name}")
    return given


def header_at(rows: Sequence[Sequence[str] | None]) -> int | None:
    """Return the index of the header: the first row that is no title above the table; None without one.

    A title has fewer than half as many filled cells as most rows have cells. Above a table of two
    columns it must be a single cell with a blank row below, as one cell could be a header with a cell missing.

    Args:
        rows: the first rows; [] is a blank one, None one that is no sound row.
    """
    counts = Counter(len(row) for row in rows if row)
    usual = max(counts, key=lambda cells: (counts[cells], cells), default=0)
    for index, row in enumerate(rows):
        if row is None:
            return None
        if not row:
            continue
        filled = sum(bool(text.strip()) for text in row)
        blank_below = index + 1 < len(rows) and rows[index + 1] == []
        if filled * 2 < usual or (usual == 2 and len(row) == 1 and blank_below):
            continue
        return index
    return next((index for index, row in enumerate(rows) if row), None)


def joined(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return one label for each column of a header of one or more rows.

    The texts of a column are joined by a blank, equal ones once. A text above empty cells to its right
    is a group header: it counts for those of them that have a text below.

    Example: [["id", "2019", ""], ["", "m", "f"]] -> ["id", "2019 m", "2019 f"].
    """
    if len(rows) == 1:
        return list(rows[0])
    columns = max(map(len, rows))
    labels: list[list[str]] = [[] for _ in range(columns)]
    for index, row in enumerate(rows):
        group = ""
        for column in range(columns):
            text = row[column].strip() if column < len(row) else ""
            group = text or group
            below = any(column < len(other) and other[column].strip() for other in rows[index + 1 :])
            if (text or (group and below)) and group not in labels[column]:
                labels[column].append(group)
    return [" ".join(texts) for texts in labels]


def unnamed(columns: int) -> list[str]:
    """Return the labels of a table without a header: column_1, column_2, ..."""
    return [f"column_{number}" for number in range(1, columns + 1)]


_NUMBER = re.compile(r"[-+]?[0-9][0-9.,]*%?")
_VALUE = re.compile(r"[-+]?[0-9.,/: %-]*[0-9][0-9.,/: %-]*|NA|N/A|NULL|null|NaN|-|\.")


def two_rows(rows: Sequence[Sequence[str]]) -> bool:
    """Return whether the second row is surely a header row too, below group headers.

    That is so when the first row has empty cells to the right of filled ones, the second a word in each of
    these and no number, date or null word anywhere, and one of these columns holds nothing but numbers below.

    Args:
        rows: the header and the rows below, blank ones left out.
    """
    if len(rows) < 4 or not all(len(row) == len(rows[1]) for row in rows[1:]) or len(rows[0]) > len(rows[1]):
        return False
    first, second = [*rows[0], *[""] * (len(rows[1]) - len(rows[0]))], rows[1]
    filled = [column for column, text in enumerate(first) if text.strip()]
    gaps = [column for column, text in enumerate(first) if not text.strip() and filled and column > filled[0]]
    if not gaps or any(not second[column].strip() for column in gaps) or any(map(_VALUE.fullmatch, second)):
        return False
    below = [[row[column].strip() for row in rows[2:] if row[column].strip()] for column in gaps]
    return any(len(texts) > 1 and all(map(_NUMBER.fullmatch, texts)) for texts in below)

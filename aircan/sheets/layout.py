"""Where the table stands on a sheet: header rows, their labels, titles above. Imports only `errors` and `text`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aircan.errors import HeaderMissing
from aircan.sheets.cells import Cell, text
from aircan.sheets.survey import Range
from aircan.text.header import Frame, header_at, joined, two_rows

MOST_HEADER_ROWS = 3
HEAD_ROWS = 200
"""Rows that are searched for the header."""


@dataclass(frozen=True)
class Layout:
    """Where the table stands.

    Attributes:
        labels: text of each column's header, "" where there is none, for all columns of the sheet.
        header_line: row of the header, 0 if there is none.
        header_rows: rows of it.
        data: index, in the rows that were looked at, of the first row below it.
        above: texts of the rows above, without blank ones.
        evidence: "order" where the order says how many rows the header has, else "found".
    """

    labels: tuple[str, ...]
    header_line: int
    header_rows: int
    data: int
    above: tuple[str, ...]
    evidence: str = "found"


def find(numbers: Sequence[int], rows: Sequence[Sequence[Cell]], merged: Sequence[Range], frame: Frame) -> Layout:
    """Return where the table stands.

    Args:
        numbers: row numbers of the sheet, from 1, ascending.
        rows: the first rows, all of one width.
        merged: merged cells, rows counted from 0 over the sheet, columns from 0 over `rows`.
        frame: what the order says.

    Raises:
        HeaderMissing: no row has a text, or not the one that the order names.
    """
    width = len(rows[0]) if rows else 0
    start = next((i for i, number in enumerate(numbers) if number > frame.skip_lines), len(rows))
    rows = rows[: start + HEAD_ROWS]
    texts = [[text(cell).strip() for cell in row] for row in rows]
    if frame.header_rows == 0:
        first = max(frame.header_line, frame.skip_lines + 1)
        at = next((i for i, number in enumerate(numbers) if number >= first and any(texts[i])), len(rows))
        return Layout(("",) * width, 0, 0, at, ())
    at = _given(numbers, texts, frame.header_line) if frame.header_line else _at(numbers, texts, merged, start)
    count = frame.header_rows or _depth(numbers, texts, merged, at)
    header = [_filled(numbers[i], texts[i], merged, whole=False) for i in range(at, min(at + count, len(rows)))]
    labels = tuple(joined(header)) if count > 1 else tuple(header[0])
    above = tuple(" ".join(filter(None, row)) for row in texts[start:at] if any(row))
    evidence = "found" if frame.header_rows is None else "order"
    return Layout(labels, numbers[at], count, at + count, above, evidence)


def _given(numbers: Sequence[int], texts: Sequence[Sequence[str]], line: int) -> int:
    at = next((i for i, number in enumerate(numbers) if number == line), None)
    if at is None or not any(texts[at]):
        raise HeaderMissing(line=line)
    return at


def _at(numbers: Sequence[int], texts: Sequence[list[str]], merged: Sequence[Range], start: int) -> int:
    """Return the index of the header; merged cells count as filled, unless one spans the whole table: a title."""
    rows = [_cut(_filled(number, row, merged, whole=True)) for number, row in zip(numbers, texts, strict=False)][start:]
    left = min((next(i for i, cell in enumerate(row) if cell) for row in rows if row), default=0)
    found = header_at([row[left:] for row in rows])
    if found is None:
        raise HeaderMissing(line=numbers[start] if start < len(numbers) else 1)
    return start + found


def _cut(row: list[str]) -> list[str]:
    while row and not row[-1]:
        row.pop()
    return row


def _filled(number: int, row: Sequence[str], merged: Sequence[Range], *, whole: bool) -> list[str]:
    """Return a row with the text of its merged cells in each of their columns.

    With `whole` those that reach over all columns, or all but one, are left out: they are titles.
    """
    out = list(row)
    for top, left, bottom, right in merged:
        inside = top <= number - 1 <= bottom and 0 <= left < right < len(row)
        if inside and row[left] and not (whole and right - left + 1 >= len(row) - 1):
            out[left : right + 1] = [row[left]] * (right - left + 1)
    return out


def _depth(numbers: Sequence[int], texts: Sequence[Sequence[str]], merged: Sequence[Range], at: int) -> int:
    """Return how many rows the header has: more than one where its cells are merged across or down."""
    line, depth = numbers[at] - 1, 1
    for top, left, bottom, right in merged:
        if top == line and left < len(texts[at]) and texts[at][max(left, 0)]:
            depth = max(depth, bottom - top + 1, 2 if right > left else 1)
    below = range(at + 1, min(at + depth, len(texts)))
    sound = all(any(texts[i]) and numbers[i] == numbers[at] + i - at for i in below)
    if depth > 1 and sound and len(below) == depth - 1:
        return min(depth, MOST_HEADER_ROWS)
    return 2 if two_rows([row for row in map(_cut, map(list, texts[at:])) if row]) else 1

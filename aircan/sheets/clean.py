"""One sheet of a workbook as a table: its rows in the normal form, and where each stands.

`read` is called in a process of its own, so what it returns and all that it imports must be small; see `apart`.
Imports `book`, `layout` and `cells` beside it, and `columns.names`, `contract`, `errors`, `table`, `text`.
"""

from __future__ import annotations

import csv
import io
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from aircan.columns.names import MAX_COLUMNS
from aircan.contract import Reject
from aircan.errors import HeaderMissing, OrderRefused, TooManyColumns, WorkbookEncrypted
from aircan.ports import Stop
from aircan.sheets import layout
from aircan.sheets.book import Block, Sheet, opened
from aircan.sheets.cells import Cell, Converter
from aircan.sheets.layout import Layout
from aircan.table import TEXT_KEPT, VALUE_KEPT, Place, Rejects, Table
from aircan.text import normal
from aircan.text.header import Frame

NAME = "sheet"


def read(
    path: Path, kind: str, hold: bool, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop
) -> Table:
    """Read a sheet of a workbook to its end; see `formats.Format.read`. Leaves rows.csv in `workdir`.

    `kind`: as `kinds.kind` says; `hold`: whether an XLSX sheet may be held in memory if it is small.
    """
    frame, wanted = Frame.of(params), _wanted(params)
    if kind == "encrypted":
        raise WorkbookEncrypted
    rows_path = workdir / "rows.csv"
    before = rejects.count
    with opened(path, kind, wanted=wanted, workdir=workdir, stop=stop, hold=hold) as sheet:
        blocks = sheet.blocks()
        numbers, rows = _head(blocks, max(frame.header_line, frame.skip_lines) + layout.HEAD_ROWS)
        found = layout.find(numbers, rows, sheet.notes.merged, frame)
        with open(rows_path, "wb") as out:
            writer = _Writer(out, sheet.width, rejects, frame.skip_footer, durations=kind == "ods")
            writer.add(numbers[found.data :], rows[found.data :])
            for some_numbers, some_rows in blocks:
                below = 0 if not found.header_line else found.header_line + found.header_rows
                late = next((i for i, number in enumerate(some_numbers) if number >= below), len(some_rows))
                writer.add(some_numbers[late:], some_rows[late:])
    return _table(kind, sheet, found, writer, rows_path, rejects.count - before)


def _wanted(params: Mapping[str, Any]) -> str | int | None:
    sheet = params.get("sheet")
    if sheet is None or sheet == "":
        return None
    if isinstance(sheet, bool) or not isinstance(sheet, (str, int)) or (isinstance(sheet, int) and sheet < 1):
        raise OrderRefused(field="params.sheet")
    return sheet


def _head(blocks: Iterator[Block], least: int) -> Block:
    """Return the first rows as they come in blocks, at least up to a row number if there is one."""
    numbers, rows = list[int](), list[list[Cell]]()
    while (not numbers or numbers[-1] < least) and (block := next(blocks, None)):
        numbers += block[0]
        rows += block[1]
    if not rows:
        raise HeaderMissing(line=1)
    return numbers, rows


class _Writer:
    """Writes rows into the normal form, and remembers where each stands."""

    def __init__(self, out: BinaryIO, width: int, rejects: Rejects, skip_footer: int, *, durations: bool) -> None:
        self._out, self._width, self._rejects = out, width, rejects
        self.converter = Converter(width, durations=durations)
        self.footer: deque[tuple[int, str]] = deque()
        self._skip_footer = skip_footer
        self.numbers = array("L")
        self.starts = array("L")
        self.offsets = array("Q")
        self.longest = self.blank = self._size = 0
        normal.begin(out, width)
        self._size = out.tell()

    def add(self, numbers: Sequence[int], rows: Sequence[Sequence[Cell]]) -> None:
        """Write rows of a block; blank ones are none."""
        if not rows:
            return
        lines = self.converter.lines(rows)
        kept = [i for i, line in enumerate(lines) if line.strip(", \t")]
        self.blank += len(lines) - len(kept)
        if not kept:
            return
        if self._skip_footer:
            self.footer.extend((numbers[i], lines[i]) for i in kept)
            some = [self.footer.popleft() for _ in range(len(self.footer) - self._skip_footer)]
            if some:
                self._write([number for number, _ in some], [line for _, line in some])
            return
        if len(kept) == len(lines):
            self._write(numbers, lines)
        else:
            self._write([numbers[i] for i in kept], [lines[i] for i in kept])

    def _write(self, numbers: Sequence[int], lines: list[str]) -> None:
        data = "\n".join(lines) + "\n"
        if "\0" in data:
            numbers, lines = self._without_nul(numbers, lines)
            data = "".join(line + "\n" for line in lines)
        self.starts.append(len(self.numbers))
        self.offsets.append(self._size)
        self.numbers.extend(numbers)
        encoded = data.encode()
        self._size += self._out.write(encoded)
        if lines:
            longest = max(map(len, lines)) + 1
            self.longest = max(self.longest, longest if len(encoded) == len(data) else 4 * longest)

    def _without_nul(self, numbers: Sequence[int], lines: Sequence[str]) -> tuple[list[int], list[str]]:
        sound = [(number, line) for number, line in zip(numbers, lines, strict=True) if "\0" not in line]
        for number, line in zip(numbers, lines, strict=True):
            if "\0" in line:
                self._rejects.add(Reject(number, "nul", text=line[:TEXT_KEPT]))
        return [number for number, _ in sound], [line for _, line in sound]


def _table(kind: str, sheet: Sheet, found: Layout, writer: _Writer, rows_path: Path, rejected: int) -> Table:
    converter = writer.converter
    kept = [i for i in range(sheet.width) if found.labels[i] or converter.filled[i]]
    if not kept:
        raise HeaderMissing(line=found.header_line or 1)
    if len(kept) > MAX_COLUMNS:
        raise TooManyColumns(columns=len(kept), limit=MAX_COLUMNS)
    labels = tuple(found.labels[i] or ("" if found.header_rows else f"column_{n}") for n, i in enumerate(kept, 1))
    return Table(
        format=NAME,
        labels=labels,
        relation=_relation(rows_path, sheet.width, writer, kept),
        rows=len(writer.numbers),
        rejected=rejected,
        locate=_Places(rows_path, writer, kept),
        decimal_comma=True,
        memory_mb=normal.memory_mb(sheet.width, writer.longest),
        facts={
            "format": kind,
            "sheet": sheet.name,
            "sheet_evidence": sheet.evidence,
            "sheets": [other["name"] for other in sheet.sheets],
            "hidden_sheets": [other["name"] for other in sheet.sheets if not other["visible"]],
            "header_line": found.header_line,
            "header_rows": found.header_rows,
            "blank_records": writer.blank,
        },
        warnings=tuple(_warnings(sheet, found, writer, rejected)),
    )


def _relation(rows_path: Path, width: int, writer: _Writer, kept: Sequence[int]) -> str:
    """Return SQL of the kept columns; where a column has dates and moments, all become moments."""
    whole = normal.relation(rows_path, width, writer.longest)
    mixed = writer.converter.days & writer.converter.moments
    if len(kept) == width and not mixed:
        return whole
    listed = ", ".join(f"{_moment(f'c{i}') if i in mixed else f'c{i}'} AS c{n}" for n, i in enumerate(kept))
    return f"(SELECT {listed} FROM {whole})"  # noqa: S608 - own names only


def _moment(column: str) -> str:
    return (
        f"CASE WHEN regexp_full_match({column}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}')"
        f" THEN {column} || 'T00:00:00' ELSE {column} END"
    )


class _Places:
    """From row numbers of the table to rows of the sheet."""

    def __init__(self, rows_path: Path, writer: _Writer, kept: Sequence[int]) -> None:
        self._path, self._kept = rows_path, kept
        self._numbers, self._starts, self._offsets = writer.numbers, writer.starts, writer.offsets

    def __call__(self, rows: Sequence[int]) -> Mapping[int, Place]:
        wanted: dict[int, list[int]] = {}
        for row in rows:
            wanted.setdefault(bisect_right(self._starts, row - 1) - 1, []).append(row)
        out = {}
        with open(self._path, "rb") as file:
            for block, some in wanted.items():
                last = block + 1 == len(self._offsets)
                file.seek(self._offsets[block])
                data = file.read() if last else file.read(self._offsets[block + 1] - self._offsets[block])
                records = list(csv.reader(io.StringIO(data.decode(), newline="")))
                for row in some:
                    record = records[row - 1 - self._starts[block]]
                    out[row] = Place(self._numbers[row - 1], self._text(record))
        return out

    def _text(self, record: Sequence[str]) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([record[i] for i in self._kept])
        return line.getvalue()[:TEXT_KEPT]


def _warnings(sheet: Sheet, found: Layout, writer: _Writer, rejected: int) -> Iterator[Mapping[str, Any]]:
    notes = sheet.notes
    if found.above:
        yield {"code": "lines_above", "count": len(found.above), "first": found.above[0][:VALUE_KEPT]}
    if sheet.others:
        yield {"code": "other_sheets", "count": len(sheet.others), "first": sheet.others[0]}
    for code, counted in (
        ("cell_errors", notes.errors),
        ("formulas_unvalued", notes.formulas),
        ("rows_hidden", notes.hidden),
    ):
        if counted.count:
            yield {"code": code, "count": counted.count, "line": counted.line}
    below = found.header_line + found.header_rows - 1
    merged = [top + 1 for top, _, bottom, _ in notes.merged if bottom > below - 1 and top >= below]
    if merged:
        yield {"code": "cells_merged", "count": len(merged), "line": min(merged)}
    if found.header_rows > 1 and found.evidence == "found":
        yield {"code": "two_header_rows", "line": found.header_line}
    if writer.footer:
        yield {"code": "lines_below", "count": len(writer.footer), "first": writer.footer[0][1][:VALUE_KEPT]}
    if not writer.numbers and not rejected:
        yield {"code": "no_rows"}

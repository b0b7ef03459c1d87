"""A workbook of any kind: its sheets, which one is read, and its rows in blocks. The only file that imports calamine.

Imports only `errors` and `ports`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import python_calamine as calamine

from aircan.errors import SheetMissing, SheetTooLarge, WorkbookDamaged, WorkbookEmpty, WorkbookEncrypted
from aircan.ports import Stop
from aircan.sheets import biff, binary, stream, survey
from aircan.sheets.cells import Cell
from aircan.sheets.package import Package, check
from aircan.sheets.survey import Notes
from aircan.sheets.xlsx import IN_MEMORY_BYTES, Workbook, has_east_asian

BLOCK_ROWS = 2000
"""Rows in a block; narrow enough that a wide sheet stays in bounds, see BLOCK_CELLS."""

BLOCK_CELLS = 100_000

CELL_LIMIT = 2_500_000
"""Cells of XLSX that are held at once (80 bytes each, measured 2026-11); larger sheets are streamed."""

MOST_CELLS = 6_000_000
"""Cells of a sheet of a kind that cannot be streamed."""

WIDE_COLUMNS = 200
"""From here on the width of a streamed sheet is counted first: one stray blank cell must not widen each row."""

Block = tuple[Sequence[int], list[list[Cell]]]
"""Row numbers of the sheet, from 1, and the rows, all of the same width."""


@dataclass(frozen=True)
class Sheet:
    """A sheet that is read.

    Attributes:
        name: its name.
        sheets: all sheets: {"name", "visible", "data" (more than one cell has a value)}.
        evidence: why this one: "param", "only", "first" (the first visible one with data).
        notes: what is known of it beside its values.
        width: cells of each row.
        blocks: yields its rows, top to bottom; to be used once.
        streamed: whether it is read in flat memory.
    """

    name: str
    sheets: tuple[dict[str, Any], ...]
    evidence: str
    notes: Notes
    width: int
    blocks: Callable[[], Iterator[Block]]
    streamed: bool = False

    @property
    def others(self) -> list[str]:
        """Names of visible sheets that hold data and are not read."""
        return [s["name"] for s in self.sheets if s["visible"] and s["data"] and s["name"] != self.name]


@dataclass(frozen=True)
class _Found:
    """A sheet of a workbook: `values` is how many cells hold one, 2 for several."""

    name: str
    visible: bool
    values: int


@contextlib.contextmanager
def _calamine() -> Iterator[None]:
    """Turn what the compiled reader raises into our errors; a defect in it comes as a panic, not an Exception."""
    try:
        yield
    except calamine.PasswordError as exc:
        raise WorkbookEncrypted(str(exc)) from exc
    except (calamine.CalamineError, OSError, ValueError) as exc:
        raise WorkbookDamaged(str(exc), reason=str(exc)[:200]) from exc
    except BaseException as exc:
        if type(exc).__name__ != "PanicException":
            raise
        raise WorkbookDamaged(str(exc), reason="its reader gave up") from exc


@contextlib.contextmanager
def opened(
    path: Path, kind: str, *, wanted: str | int | None, workdir: Path, stop: Stop, hold: bool = True
) -> Iterator[Sheet]:
    """Open a workbook and choose a sheet.

    Args:
        path: the file.
        kind: "xlsx", "xlsb", "ods" or "xls".
        wanted: name or number (from 1) of a sheet; None for the first visible one that holds a table.
        workdir: folder for what does not fit in memory.
        stop: asked now and then.
        hold: whether an XLSX sheet may be held in memory if it is small; else it is streamed.

    Raises:
        WorkbookDamaged, WorkbookEncrypted, WorkbookEmpty, SheetMissing, SheetTooLarge, JobStopped.
    """
    if kind == "xls":
        with _xls(_named(path, kind, workdir), wanted, stop) as sheet:
            yield sheet
        return
    with Package(path) as package:
        if kind == "xlsx":
            yield _xlsx(_named(path, kind, workdir), package, wanted, workdir, stop, CELL_LIMIT if hold else 0)
        elif kind == "xlsb":
            yield _xlsb(_named(path, kind, workdir), package, wanted, stop)
        else:
            yield _ods(_named(path, kind, workdir), package, wanted, stop)


def _named(path: Path, kind: str, workdir: Path) -> Path:
    """Return the file under a name that tells its reader the kind, which fails with a reason then."""
    if path.suffix == f".{kind}":
        return path
    link = workdir / f"workbook.{kind}"
    link.unlink(missing_ok=True)
    link.symlink_to(path.resolve())
    return link


def _choose(found: Sequence[_Found], wanted: str | int | None) -> tuple[_Found, str]:
    """Return the sheet to read, and why. A sheet of a single cell is a cover unless it is the only one."""
    if wanted is not None:
        by_name = [sheet for sheet in found if sheet.name == str(wanted)]
        number = int(wanted) if str(wanted).isdecimal() else 0
        if not by_name and 1 <= number <= len(found):
            by_name = [found[number - 1]]
        if not by_name:
            raise SheetMissing(sheet=wanted, sheets=", ".join(sheet.name for sheet in found[:50]))
        if not by_name[0].values:
            raise WorkbookEmpty(sheet=wanted)
        return by_name[0], "param"
    visible = [sheet for sheet in found if sheet.visible and sheet.values]
    if not visible:
        raise WorkbookEmpty
    chosen = next((sheet for sheet in visible if sheet.values > 1), visible[0])
    return chosen, "only" if len(found) == 1 else "first"


def _listed(found: Sequence[_Found]) -> tuple[dict[str, Any], ...]:
    return tuple({"name": sheet.name, "visible": sheet.visible, "data": sheet.values > 1} for sheet in found)


def _book(path: Path) -> Any:
    with _calamine():
        return calamine.load_workbook(path)


def _sheet(book: Any, name: str) -> Any:
    with _calamine():
        return book.get_sheet_by_name(name)


def _blocks(sheet: Any, stop: Stop) -> Iterator[Block]:
    rows, number = sheet.iter_rows(), 1
    size = max(1, min(BLOCK_ROWS, BLOCK_CELLS // max(1, sheet.width)))
    while block := list(islice(rows, size)):
        check(stop)
        yield range(number, number + len(block)), block
        number += len(block)


def _values(sheet: Any) -> int:
    """Return how many cells of a loaded sheet hold a value; 2 stands for several."""
    count = 0
    for row in sheet.iter_rows():
        count += sum(cell != "" for cell in row)
        if count > 1:
            return 2
    return count


def _shown(book: Any) -> list[tuple[str, bool]]:
    """Return name and visibility of the worksheets of a book, without charts and macro sheets."""
    return [
        (sheet.name, sheet.visible == calamine.SheetVisibleEnum.Visible)
        for sheet in book.sheets_metadata
        if sheet.typ == calamine.SheetTypeEnum.WorkSheet
    ]


def _loaded(book: Any, found: Sequence[_Found], wanted: str | int | None, notes: dict[str, Notes], stop: Stop) -> Sheet:
    """Return a sheet of a kind that the compiled reader holds."""
    chosen, evidence = _choose(found, wanted)
    sheet, known = _sheet(book, chosen.name), notes.get(chosen.name, Notes())
    known.merged = known.merged or [(*start, *end) for start, end in sheet.merged_cell_ranges or ()]
    offset = sheet.start[1] if sheet.start else 0
    known.merged = [(top, left - offset, bottom, right - offset) for top, left, bottom, right in known.merged]
    return Sheet(chosen.name, _listed(found), evidence, known, sheet.width, lambda: _blocks(sheet, stop))


@contextlib.contextmanager
def _xls(path: Path, wanted: str | int | None, stop: Stop) -> Iterator[Sheet]:
    known = biff.notes(path, stop)
    for notes in known:
        _bounded(notes)
    with _book(path) as book:
        shown = _shown(book)
        by_name = (
            {name: notes for (name, _), notes in zip(shown, known, strict=False)} if len(shown) == len(known) else {}
        )
        found = [_Found(name, visible, _values(_sheet(book, name))) for name, visible in shown]
        yield _loaded(book, found, wanted, by_name, stop)


def _ods(path: Path, package: Package, wanted: str | int | None, stop: Stop) -> Sheet:
    if package.has("META-INF/manifest.xml") and any(
        True for _ in package.xml("META-INF/manifest.xml").iter("{*}encryption-data")
    ):
        raise WorkbookEncrypted
    notes = survey.ods(package, stop)
    for known in notes.values():
        _bounded(known)
    with _book(path) as book:
        found = [_Found(name, shown, notes.get(name, Notes()).values) for name, shown in _shown(book)]
        return _loaded(book, found, wanted, notes, stop)


def _xlsb(path: Path, package: Package, wanted: str | int | None, stop: Stop) -> Sheet:
    notes = {name: binary.notes(package, part, stop) for name, part in binary.sheets(package, stop).items()}
    for known in notes.values():
        _bounded(known)
    with _book(path) as book:
        found = [_Found(name, shown, notes.get(name, Notes()).values) for name, shown in _shown(book)]
        return _loaded(book, found, wanted, notes, stop)


def _bounded(notes: Notes) -> None:
    if notes.cells > MOST_CELLS:
        raise SheetTooLarge(cells=notes.cells, limit=MOST_CELLS)


def _xlsx(path: Path, package: Package, wanted: str | int | None, workdir: Path, stop: Stop, most_held: int) -> Sheet:
    book = Workbook.of(package)
    found = [_Found(s.name, s.visible, survey.holds_values(package, s.part, stop)) for s in book.sheets]
    chosen, evidence = _choose(found, wanted)
    part = next(sheet.part for sheet in book.sheets if sheet.name == chosen.name)
    notes = survey.xlsx(package, part, stop)
    small = notes.exact and notes.cells <= most_held and package.size_bytes(book.strings) <= 2 * IN_MEMORY_BYTES
    if small and not has_east_asian(package, book.styles):
        with _book(path) as loaded:
            return replace(_loaded(loaded, found, chosen.name, {chosen.name: notes}, stop), evidence=evidence)
    spill = workdir / "strings.txt"

    def rows() -> Iterator[tuple[int, list[Cell]]]:
        return stream.rows(package, book, part, spill=spill, stop=stop)

    width = notes.columns
    if not notes.exact or width > WIDE_COLUMNS:
        width = max((len(row) for _, row in rows()), default=0)
    notes = replace(notes, columns=width)
    return Sheet(chosen.name, _listed(found), evidence, notes, width, lambda: _padded(rows(), width), streamed=True)


def _padded(rows: Iterator[tuple[int, list[Cell]]], width: int) -> Iterator[Block]:
    """Yield rows in blocks, all of one width."""
    size = max(1, min(BLOCK_ROWS, BLOCK_CELLS // max(1, width)))
    while block := list(islice(rows, size)):
        for _, row in block:
            row.extend([""] * (width - len(row)))
        yield [number for number, _ in block], [row for _, row in block]

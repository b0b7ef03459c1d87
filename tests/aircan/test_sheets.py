"""Every file in tests/samples/sheets becomes what the JSON beside it says, and slow readers of other makers agree.

NAME.EXT has NAME.EXT.json: {"params"?, "error"} or {"params"?, "fields", "rows", "rejects", "warnings", "facts"}.
"""

from __future__ import annotations

import datetime as dt
import json
import warnings
from decimal import Decimal
from pathlib import Path

import pytest

from aircan.contract import Type
from aircan.status import Status
from tests.aircan.rig import MemorySource, load

SAMPLES = Path(__file__).parent.parent / "samples" / "sheets"
FILES = sorted(path for path in SAMPLES.iterdir() if path.suffix != ".json")
EXPECTED = {path.name: json.loads(path.with_name(path.name + ".json").read_text("utf-8")) for path in FILES}
SOUND = [path for path in FILES if "error" not in EXPECTED[path.name]]


@pytest.mark.parametrize("path", SOUND, ids=lambda path: path.name)
def test_sample_gives_the_rows_beside_it(path):
    expected = EXPECTED[path.name]
    final, sink, told = load(MemorySource(path.read_bytes(), path.name), expected.get("params"))
    assert final.status is Status.DONE, final.error
    assert [[f["id"], f["type"]] for f in final.result["fields"]] == expected["fields"]
    assert sink.rows == expected["rows"]
    assert [[reject["line"], reject["code"]] for reject in told.merged("rejects")] == expected["rejects"]
    assert told.merged("warnings") == expected["warnings"]
    assert {name: final.result[name] for name in expected["facts"]} == expected["facts"]


@pytest.mark.parametrize("path", [path for path in FILES if path not in SOUND], ids=lambda path: path.name)
def test_sample_fails_with_the_error_beside_it(path):
    expected = EXPECTED[path.name]
    final, sink, _ = load(MemorySource(path.read_bytes(), path.name), expected.get("params"))
    assert final.status is Status.FAILED
    assert final.error["code"] == expected["error"]
    assert sink.live is None


def openpyxls(path, sheet):
    """Yield the cells of a sheet as openpyxl's reader, which is not ours, gives them."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = openpyxl.load_workbook(path, data_only=True)
    for row in book[sheet].iter_rows():
        yield [None if cell.data_type == "e" else cell.value for cell in row]


def xlrds(path, sheet):
    import xlrd

    book = xlrd.open_workbook(path, formatting_info=True)
    shown = book.sheet_by_name(sheet)
    for n in range(shown.nrows):
        yield [_xlrds(book, cell) for cell in shown.row(n)]


def _xlrds(book, cell):
    import xlrd

    if cell.ctype == xlrd.XL_CELL_DATE:
        if cell.value >= 1 and "h]" not in _format(book, cell):
            return xlrd.xldate_as_datetime(cell.value, book.datemode)
        return dt.timedelta(milliseconds=round(cell.value * 86_400_000))
    kinds = {xlrd.XL_CELL_ERROR: lambda _: None, xlrd.XL_CELL_BOOLEAN: bool, xlrd.XL_CELL_EMPTY: lambda _: None}
    return kinds.get(cell.ctype, lambda value: value)(cell.value)


def _format(book, cell):
    try:
        return book.format_map[book.xf_list[cell.xf_index].format_key].format_str
    except (AttributeError, TypeError, IndexError):
        return ""


CALCEXT = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"


def odfpys(path, sheet):
    from odf import table
    from odf.namespaces import OFFICENS, TABLENS
    from odf.opendocument import load as open_document
    from odf.teletype import extractText

    book = open_document(path)
    shown = next(t for t in book.getElementsByType(table.Table) if t.getAttribute("name") == sheet)
    for row in shown.getElementsByType(table.TableRow):
        cells = []
        for cell in row.childNodes:
            kind = cell.getAttrNS(OFFICENS, "value-type")
            is_error = cell.getAttrNS(CALCEXT, "value-type") == "error"
            times = int(cell.getAttrNS(TABLENS, "number-columns-repeated") or 1)
            cells += [None if is_error else _odfpys(cell, kind, OFFICENS, extractText)] * (times if times < 100 else 1)
        times = int(row.getAttrNS(TABLENS, "number-rows-repeated") or 1)
        yield from [cells] * (times if times < 100 else 1)


def _odfpys(cell, kind, office, text_of):
    if kind == "boolean":
        return cell.getAttrNS(office, "boolean-value") == "true"
    if kind == "date":
        return dt.datetime.fromisoformat(cell.getAttrNS(office, "date-value"))
    if kind == "time":
        hours, rest = cell.getAttrNS(office, "time-value").removeprefix("PT").split("H")
        minutes, seconds = rest.removesuffix("S").split("M")
        return dt.timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds.replace(",", ".")))
    if kind in ("float", "percentage", "currency"):
        return float(cell.getAttrNS(office, "value"))
    return text_of(cell) if kind else None


READERS = {".xlsx": openpyxls, ".xlsm": openpyxls, ".xls": xlrds, ".ods": odfpys}


def slowly(value):
    """Return the text of a cell by the rules of docs/formats.md, in the plainest way."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, dt.datetime):
        if (value.hour, value.minute, value.second, value.microsecond) == (0, 0, 0, 0):
            return f"{value:%Y-%m-%d}"
        fraction = f".{value.microsecond:06}".rstrip("0") if value.microsecond else ""
        return f"{value:%Y-%m-%dT%H:%M:%S}{fraction}"
    if isinstance(value, dt.date):
        return f"{value:%Y-%m-%d}"
    if isinstance(value, dt.time):
        return f"{value:%H:%M:%S}"
    if isinstance(value, dt.timedelta):
        seconds = round(value.total_seconds())
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if isinstance(value, (int, float)):
        exact = Decimal(repr(value))
        return f"{exact.to_integral_value() if exact == exact.to_integral_value() else exact:f}"
    return "" if value is None else str(value)


NOT_COMPARED = {
    "kinds_by_sheetjs.xls": "the compiled reader does not take the number format 60 of this writer for a date",
    "old_excel_95.xls": "the same",
    "kinds_by_openxlsx_of_r.xlsx": "openpyxl fails at a drawing that the file names and lacks",
    "east_asian_date_format.xlsx": "openpyxl does not know the formats 27 to 36 and 50 to 58 of East Asia",
    "cells_without_places.xlsx": "openpyxl does not place cells without a place",
    "escaped_control_characters.xlsx": "openpyxl keeps the escape _x0041_ in inline strings",
    "stray_cell_at_the_very_end.xlsx": "openpyxl would make 17 billion cells of it",
    "first_days_of_1900.xlsx": "openpyxl gives numbers for what Excel shows before 1 March 1900",
}


@pytest.mark.parametrize(
    "path", [path for path in SOUND if path.suffix in READERS and path.name not in NOT_COMPARED], ids=lambda p: p.name
)
def test_sample_agrees_with_another_reader_cell_by_cell(path):
    """All columns forced to text. Columns that neither a name nor a value fills are left out by both."""
    expected = EXPECTED[path.name]
    types = {name: Type.TEXT for name, _ in expected["fields"]}
    final, sink, _ = load(MemorySource(path.read_bytes(), path.name), expected.get("params"), types)
    if final.result["format"] == "csv":
        pytest.skip("no workbook")
    theirs = [[slowly(value) for value in row] for row in READERS[path.suffix](path, final.result["sheet"])]
    below = theirs[max(0, final.result["header_line"] + final.result["header_rows"] - 1) :]
    below = [row for row in below if any(text.strip() for text in row)]
    if footer := (expected.get("params") or {}).get("skip_footer"):
        below = below[:-footer]
    header = theirs[final.result["header_line"] - 1] if final.result["header_line"] else []
    width = max(map(len, [header, *below]))
    padded = [[*row, *[""] * (width - len(row))] for row in [header, *below]]
    names = [any(column) for column in zip(*padded, strict=True)]
    kept = [[text for text, keep in zip(row, names, strict=True) if keep] for row in padded[1:]]
    ours = [[(cell or "").removesuffix("T00:00:00") for cell in row] for row in sink.rows]
    assert ours == kept

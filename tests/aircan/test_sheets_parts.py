"""The parts of `aircan.sheets`: streaming against the compiled reader, serial numbers, limits, broken markup."""

from __future__ import annotations

import datetime as dt
import io
import random
import re
import string
import threading
import zipfile
from itertools import product

import openpyxl
import pytest
from openpyxl.utils.datetime import CALENDAR_MAC_1904
from python_calamine import load_workbook

from aircan import apart
from aircan.errors import JobStopped, ReaderCrashed, SheetTooLarge, WorkbookDamaged
from aircan.sheets import binary, book, clean, stream, survey, xlsx
from aircan.sheets.cells import Converter, iso_duration, text
from aircan.sheets.package import Package
from aircan.sheets.survey import column_number, up_to
from aircan.status import Status
from aircan.table import Rejects
from tests.aircan.rig import MemorySource, load
from tests.aircan.test_sheets import EXPECTED, SAMPLES, SOUND

NEVER = threading.Event()
moment_of = dt.datetime
STREAMED = [path for path in SOUND if path.suffix in (".xlsx", ".xlsm")]


APART = ("stray_cell_at_the_very_end.xlsx", "east_asian_date_format.xlsx")
"""The compiled reader ends the process at the first, and takes the dates of the second for numbers."""


def streamed(path, tmp_path, sheet=None):
    """Return name -> rows of all sheets as our stream gives them, {number: cells}."""
    with Package(path) as package:
        workbook = xlsx.Workbook.of(package)
        return {
            part.name: dict(stream.rows(package, workbook, part.part, spill=tmp_path / "strings", stop=NEVER))
            for part in workbook.sheets
        }


def compiled(path):
    """Return the same by the compiled reader."""
    out = {}
    with load_workbook(path) as workbook:
        for name in workbook.sheet_names:
            if name == "Chart":
                continue
            sheet = workbook.get_sheet_by_name(name)
            left = [""] * (sheet.start[1] if sheet.start else 0)
            rows = {number: [*left, *row] for number, row in enumerate(sheet.iter_rows(), 1)}
            out[name] = rows
    return out


def trimmed(sheets):
    """Leave out blank rows and blank cells at the end of rows; a text of blanks alone counts as one."""
    out = {}
    for name, rows in sheets.items():
        out[name] = {}
        for number, row in rows.items():
            cells = ["" if isinstance(cell, str) and not cell.strip() else cell for cell in row]
            while cells and cells[-1] == "":
                cells.pop()
            if cells:
                out[name][number] = [(type(cell), cell) for cell in cells]
    return {name: rows for name, rows in out.items() if rows}


@pytest.fixture(params=["plain", "parsed"])
def way(request, monkeypatch):
    """Read markup both ways: without a parser where that is possible, and always with it."""
    if request.param == "parsed":
        monkeypatch.setattr(stream._Reader, "plain", lambda self, chunk: None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("path", [p for p in STREAMED if p.name not in APART], ids=lambda path: path.name)
def test_the_stream_gives_the_cells_of_the_compiled_reader(path, tmp_path):
    assert trimmed(streamed(path, tmp_path)) == trimmed(compiled(path))


@pytest.fixture
def no_compiled_reader(monkeypatch):
    """Let the compiled reader of XLSX crash, and read in this process what is streamed then."""

    def read(function, path, kind, hold, *, format_, memory_mb, **given):
        if hold:
            raise ReaderCrashed(format=format_, reason="SIGABRT")
        return function(path, kind, hold, **given)

    monkeypatch.setattr(apart, "read", read)


@pytest.mark.usefixtures("no_compiled_reader")
@pytest.mark.parametrize("path", STREAMED, ids=lambda path: path.name)
def test_a_streamed_sample_gives_the_rows_beside_it(path):
    expected = EXPECTED[path.name]
    final, sink, told = load(MemorySource(path.read_bytes(), path.name), expected.get("params"))
    assert final.status is Status.DONE, final.error
    assert sink.rows == expected["rows"]
    assert told.merged("warnings") == expected["warnings"]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("epoch_1904", [False, True])
def test_serial_numbers_become_the_moments_of_the_compiled_reader(epoch_1904, tmp_path):
    workbook = openpyxl.Workbook()
    if epoch_1904:
        workbook.epoch = CALENDAR_MAC_1904
    sheet, rand = workbook.active, random.Random(4)
    fixed = [
        0,
        0.5,
        0.25,
        1,
        1.5,
        58,
        59,
        59.5,
        60,
        60.5,
        61,
        366,
        1462,
        45000,
        45000.99999999999,
        2958465,
        2958465.999,
    ]
    serials = [
        *fixed,
        *(rand.uniform(0, 100) for _ in range(200)),
        *(rand.uniform(100, 2_900_000) for _ in range(1000)),
    ]
    for serial in serials:
        sheet.append([serial, serial, serial])
        for column, form in ((1, "yyyy-mm-dd hh:mm"), (2, "[h]:mm:ss"), (3, "0.00")):
            sheet.cell(sheet.max_row, column).number_format = form
    path = tmp_path / "serials.xlsx"
    workbook.save(path)
    assert trimmed(streamed(path, tmp_path)) == trimmed(compiled(path))


def test_random_cells_come_out_the_same_both_ways(tmp_path):
    rand, alphabet = random.Random(7), string.ascii_letters + "0123456789 \t\n<>&\"',;_äöüŁ€漢😀"
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    makers = (
        lambda: rand.uniform(-1e6, 1e6),
        lambda: rand.randrange(-(10**15), 10**15),
        lambda: "".join(rand.choices(alphabet, k=rand.randrange(1, 40))),
        lambda: rand.random() < 0.5,
        lambda: moment_of(1990, 1, 1) + dt.timedelta(seconds=rand.randrange(10**9)),
        lambda: None,
    )
    for _ in range(300):
        sheet.append([rand.choice(makers)() for _ in range(12)])
    path = tmp_path / "random.xlsx"
    workbook.save(path)
    assert trimmed(streamed(path, tmp_path)) == trimmed(compiled(path))


def test_strings_that_do_not_fit_in_memory_are_the_same_from_the_file(tmp_path, monkeypatch):
    path = SAMPLES / "kinds_by_xlsxwriter.xlsx"
    with Package(path) as package:
        held = xlsx.Strings(package, "xl/sharedStrings.xml", tmp_path / "a", stop=NEVER)
        monkeypatch.setattr(xlsx, "IN_MEMORY_BYTES", 0)
        monkeypatch.setattr(xlsx, "STRINGS_AT_ONCE", 3)
        spilled = xlsx.Strings(package, "xl/sharedStrings.xml", tmp_path / "b", stop=NEVER)
        count = len(held._few)
        assert count > 10
        assert [spilled[n] for n in range(count)] == [held[n] for n in range(count)]
        for strings in (held, spilled):
            with pytest.raises(IndexError):
                strings[count]
        spilled.close()


FORMATS = [
    ("yyyy-mm-dd", "moment"),
    ("[$-409]d/m/yy h:mm AM/PM;@", "moment"),
    ("mm:ss.0", "moment"),
    ("[h]:mm", "duration"),
    ("[Blue]\\+[mm]", "duration"),
    ("General", "number"),
    ("0.00", "number"),
    ('0" days"', "number"),
    ("0\\d", "number"),
    ("#,##0_d", "number"),
    ("0*y", "number"),
    ("[Red]0;[h]:mm", "number"),
    ("#,##0.00 [$€-407]", "number"),
    ("", "number"),
]


@pytest.mark.parametrize(("code", "kind"), FORMATS)
def test_a_format_code_tells_dates_from_numbers(code, kind):
    assert xlsx.format_of(code).value == kind


@pytest.mark.parametrize("last", ["A", "L", "Z", "AA", "AZ", "BC", "ZZ", "ABC", "XFD"])
def test_columns_up_to_a_column_are_matched_and_no_others(last):
    """The guard against stray cells rests on it."""
    pattern = re.compile(up_to(last.encode()) + rb"\d")
    columns = ["".join(letters) for size in (1, 2) for letters in product(string.ascii_uppercase, repeat=size)]
    for column in [*columns, "AAA", "ABB", "ABC", "ABD", "BAA", "XFC", "XFD"]:
        assert bool(pattern.match(column.encode() + b"1")) is (column_number(column) <= column_number(last)), column


def with_sheet(change, source="numbers_stored_as_text.xlsx"):
    """Return a sample whose sheet is changed, as bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(SAMPLES / source) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, change(data) if name == "xl/worksheets/sheet1.xml" else data)
    return out.getvalue()


def notes_of(data, tmp_path):
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    with Package(path) as package:
        return survey.xlsx(package, "xl/worksheets/sheet1.xml", NEVER)


def test_an_extent_that_the_sheet_denies_is_found(tmp_path):
    """The declared extent is not believed: a column or a row beyond it counts."""
    true = notes_of(with_sheet(lambda xml: xml), tmp_path)
    assert (true.rows, true.columns, true.exact) == (3, 2, True)
    wide = notes_of(with_sheet(lambda xml: xml.replace(b'r="B3"', b'r="XFD3"')), tmp_path)
    assert (wide.columns, wide.exact) == (16384, True)
    high = notes_of(with_sheet(lambda xml: xml.replace(b'r="3"', b'r="1048576"')), tmp_path)
    assert (high.rows, high.exact) == (1048576, True)


def test_cells_that_do_not_say_where_they_are_are_not_loaded_whole(tmp_path):
    assert not notes_of(with_sheet(lambda xml: xml.replace(b' r="B3"', b"")), tmp_path).exact


@pytest.mark.parametrize(("limit", "is_streamed"), [(7, True), (8, False), (9, False)])
def test_the_limit_decides_at_the_cell(limit, is_streamed, monkeypatch, tmp_path):
    """Four rows of two columns."""
    monkeypatch.setattr(book, "CELL_LIMIT", limit)
    path = SAMPLES / "totals_line_is_a_row.xlsx"
    with book.opened(path, "xlsx", wanted=None, workdir=tmp_path, stop=NEVER) as sheet:
        assert sheet.streamed is is_streamed


@pytest.mark.parametrize("name", ["other_sheets_are_told.ods", "hidden_sheet.xlsb", "hidden_sheet_is_not_chosen.xls"])
@pytest.mark.parametrize(("limit", "fails"), [(3, True), (6, False)])
def test_kinds_that_cannot_be_streamed_have_a_limit(name, limit, fails, monkeypatch, tmp_path):
    monkeypatch.setattr(book, "MOST_CELLS", limit)
    kind = name.rpartition(".")[2]
    if fails:
        with pytest.raises(SheetTooLarge), book.opened(SAMPLES / name, kind, wanted=None, workdir=tmp_path, stop=NEVER):
            pass
    else:
        with book.opened(SAMPLES / name, kind, wanted=None, workdir=tmp_path, stop=NEVER) as sheet:
            assert sheet.width


def damage(data, tmp_path, *, hold):
    """Return why a workbook that is held, or streamed, is called damaged."""
    path = tmp_path / "a.xlsx"
    path.write_bytes(data)
    with pytest.raises(WorkbookDamaged) as found:
        clean.read(path, "xlsx", hold, params={}, workdir=tmp_path, rejects=Rejects(0, list), stop=NEVER)
    return found.value.facts["reason"]


def test_a_sheet_that_breaks_off_is_damaged_when_streamed(tmp_path):
    data = with_sheet(lambda xml: xml[: xml.index(b'<row r="3"')])
    assert damage(data, tmp_path, hold=False) == "the sheet breaks off"
    assert load(data)[0].error["code"] == "workbook_damaged"


def test_a_shared_string_that_does_not_exist_is_damage(tmp_path):
    sheet = re.compile(rb't="s"><v>\d+<')
    data = with_sheet(lambda xml: sheet.sub(b't="s"><v>999999<', xml), source="kinds_by_xlsxwriter.xlsx")
    assert damage(data, tmp_path, hold=False) == "row 1 names a shared string that does not exist"
    assert load(data)[0].error["code"] == "workbook_damaged"


def test_reading_stops_when_asked(tmp_path):
    stop = threading.Event()
    stop.set()
    with Package(SAMPLES / "kinds_by_openpyxl.xlsx") as package, pytest.raises(JobStopped):
        survey.xlsx(package, "xl/worksheets/sheet1.xml", stop)


def test_a_bomb_is_refused_by_its_directory(tmp_path):
    with pytest.raises(WorkbookDamaged):
        Package(SAMPLES / "zip_bomb.xlsx")


def test_records_of_xlsb_are_walked_over_the_ends_of_blocks(monkeypatch):
    with Package(SAMPLES / "errors.xlsb") as package:
        part = next(iter(binary.sheets(package, NEVER).values()))
        whole = binary.notes(package, part, NEVER)
        blocks = package.blocks
        monkeypatch.setattr(package, "blocks", lambda name, stop, size=1: blocks(name, stop, 1))
        assert binary.notes(package, part, NEVER) == whole
        assert (whole.rows, whole.columns, whole.errors.count, whole.errors.line) == (4, 2, 2, 2)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e-05, "0.00001"),
        (1e16, "10000000000000000"),
        (9007199254740993.0, "9007199254740992"),
        (1.5e300, "15" + "0" * 299),
        (123, "123"),
        (True, "TRUE"),
        (dt.date(2024, 2, 29), "2024-02-29"),
        (moment_of(2024, 2, 29), "2024-02-29"),
        (moment_of(2024, 2, 29, 1, 2, 3, 250000), "2024-02-29T01:02:03.25"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(days=2, milliseconds=5), "48:00:00.005"),
        (dt.timedelta(minutes=-90), "-01:30:00"),
    ],
)
def test_a_cell_has_one_text_alone_and_in_a_column(cell, shown):
    assert text(cell) == shown
    assert Converter(1).lines([[cell], [cell]]) == [shown, shown]
    assert Converter(1).lines([[cell], ["x"]]) == [shown, "x"]


def test_durations_of_ods_are_read_and_other_texts_are_not():
    assert iso_duration("PT26H30M05.500S") == "26:30:05.5"
    assert iso_duration("PT about an hour") == "PT about an hour"


def test_no_cell_breaks_a_line_of_the_normal_form():
    cells = ['a"b', "c,d", "e\nf", "g\rh", "plain", ""]
    assert Converter(6).lines([cells]) == ['"a""b","c,d","e\nf","g\rh",plain,']


def test_the_text_of_a_rejected_row_is_its_row_of_the_sheet():
    """A value that does not fit the type a person chose is told with row number and text."""
    from aircan.contract import Type

    final, _, told = load((SAMPLES / "blank_rows_are_no_rows.xlsx").read_bytes(), None, {"b": Type.DATE})
    rejects = told.merged("rejects")
    assert [(r["line"], r["text"]) for r in rejects] == [(2, "1,2"), (5, "3,4"), (7, "5,6")]
    assert final.error["code"] == "rows_refused"

"""A process of its own for readers: what they do to it is an error, and it ends when it should."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from aircan import apart, progress
from aircan.errors import JobStopped, ReaderCrashed, ReaderOutOfMemory, WorkbookDamaged
from aircan.formats import parquet, sheets
from aircan.ports import never
from aircan.sheets import clean
from aircan.status import Status
from aircan.table import TEXT_KEPT, Rejects
from tests.aircan import biff, faults
from tests.aircan.rig import MemorySource, load

SAMPLES = Path(__file__).parent.parent / "samples" / "sheets"


@pytest.fixture
def read(tmp_path):
    """Call a function in a process of its own; `rejects` of the call takes what it rejects."""

    def call(function, *args, params=None, memory_mb=512, rejects=None, stop=None):
        return apart.read(
            function,
            *args,
            params=params or {},
            format_="XLS",
            memory_mb=memory_mb,
            workdir=tmp_path,
            rejects=rejects or Rejects(10, lambda batch: None),
            stop=stop or never(),
        )

    return call


@pytest.fixture
def sheet(tmp_path):
    """Read a workbook as a load does; return the texts of its rows."""

    def call(path):
        table = sheets.read(path, params={}, workdir=tmp_path, rejects=Rejects(0, list), stop=never())
        return [place.text for place in table.locate(range(1, min(table.rows, 100) + 1)).values()]

    return call


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("abort", "SIGABRT"), ("segfault", "SIGSEGV"), ("illegal", "SIGILL"), ("exit", "exit code 3")],
)
def test_a_crash_is_an_error_of_the_file(read, tmp_path, name, reason):
    with pytest.raises(ReaderCrashed) as found:
        read(faults.fault, name)
    assert found.value.facts == {"format": "XLS", "reason": reason}
    assert "save it as XLSX or CSV" in found.value.message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["memory", "killed"])
def test_too_much_memory_is_an_error_of_the_file(read, name):
    """Killed with SIGKILL: what a system does that has no more."""
    with pytest.raises(ReaderOutOfMemory) as found:
        read(faults.fault, name)
    assert found.value.facts == {"format": "XLS", "limit_mb": 512}


@pytest.mark.parametrize(("size_mb", "memory_mb"), [(300, 512), (900, 1024)])
def test_memory_below_the_limit_is_given(read, size_mb, memory_mb):
    assert read(faults.malloc, size_mb, memory_mb=memory_mb) == size_mb


@pytest.mark.parametrize(("size_mb", "memory_mb"), [(513, 512), (1025, 1024), (1 << 20, 1024)])
def test_compiled_code_that_asks_for_more_is_told_from_a_crash(read, size_mb, memory_mb):
    with pytest.raises(ReaderOutOfMemory):
        read(faults.malloc, size_mb, memory_mb=memory_mb)


def test_an_error_of_ours_comes_through_as_it_was(read):
    with pytest.raises(WorkbookDamaged) as found:
        read(faults.refused)
    assert (found.value.facts, found.value.detail) == ({"reason": "its container is broken"}, "for the log")


def test_a_defect_of_ours_says_where_it_is(read):
    with pytest.raises(RuntimeError, match=r"faults\.py[\s\S]*KeyError: 'not there'$"):
        read(faults.fault, "defect")


@pytest.mark.parametrize(("most", "before"), [(2000, 0), (700, 0), (700, 650), (700, 700), (0, 0)])
def test_rejects_are_counted_and_the_first_passed_on(read, tmp_path, most, before):
    kept = []
    rejects = Rejects(most, kept.extend)
    rejects.skip(before)
    assert read(faults.counted, 1234, params={"sheet": "x"}, rejects=rejects) == {"stop": False, "sheet": "x"}
    rejects.flush()
    assert rejects.count == before + 1234
    assert [reject.text for reject in kept] == [f"row {n + 1}" for n in range(min(1234, max(0, most - before)))]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]


def test_the_process_is_small_and_the_first_to_go(read):
    found = read(faults.told)
    assert found.pop("pid") != os.getpid()
    assert found == {"cores": 0, "badness": "1000", "duckdb": False}


def test_a_stop_kills_even_what_holds_the_interpreter(read, tmp_path):
    stop, pids = threading.Event(), []

    def cancel():
        until((tmp_path / "begun").exists)
        pids.append(int((tmp_path / progress.READER).read_text()))
        stop.set()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(JobStopped):
        read(faults.endless, stop=stop)
    thread.join()
    assert not is_alive(pids[0])


RUN = """
import signal, sys
from pathlib import Path
from aircan import apart
from aircan.ports import never
from aircan.table import Rejects
from tests.aircan import faults
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells let what runs in the background ignore it
folder = Path(sys.argv[1])
given = {"workdir": folder, "rejects": Rejects(0, list), "stop": never()}
apart.read(faults.endless, params={}, format_="XLS", memory_mb=512, **given)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_with_the_one_that_began_it_however_that_ends(tmp_path, how):
    root = Path(__file__).parent.parent.parent
    worker = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path)], cwd=root, stderr=subprocess.DEVNULL)
    try:
        until((tmp_path / "begun").exists)
        pid = int((tmp_path / progress.READER).read_text())
        assert is_alive(pid)
        worker.send_signal(how)
        worker.wait(30)
        until(lambda: not is_alive(pid))
    finally:
        worker.kill()
        worker.wait()


def test_it_does_not_take_modules_from_the_current_folder(read, tmp_path, monkeypatch):
    for name in ("json", "csv", "aircan", "lxml"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not mine')")
    monkeypatch.chdir(tmp_path)
    assert read(faults.told)["pid"]


def test_it_works_where_signals_of_children_are_ignored(read):
    """The exit code is lost then; what the process has written counts."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert read(faults.counted, 1) == {"stop": False}
    finally:
        signal.signal(signal.SIGCHLD, before)


OPEN = "import sys; f = open(sys.argv[1], 'rb', 0); f.read(250); print(flush=True); input()"


def test_the_bar_moves_with_what_the_process_reads(tmp_path):
    (tmp_path / "data").write_bytes(b"x" * 1000)
    reader = subprocess.Popen(
        [sys.executable, "-c", OPEN, str(tmp_path / "data")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        reader.stdout.readline()
        (tmp_path / progress.READER).write_text(str(reader.pid))
        assert list(progress.read_shares(f"{tmp_path}/")) == [(str(tmp_path / "data"), 0.25)]
    finally:
        reader.communicate(b"\n")
    assert list(progress.read_shares(f"{tmp_path}/")) == []


@pytest.mark.parametrize("name", ["kinds_by_xlwt.xls", "errors.xlsb", "errors.ods", "kinds_by_openpyxl.xlsx"])
def test_a_sheet_is_the_same_from_both_sides(tmp_path, name):
    there, here = tmp_path / "there", tmp_path / "here"
    for folder in (there, here):
        folder.mkdir()
    path, given = SAMPLES / name, {"params": {}, "rejects": Rejects(10, list), "stop": never()}
    one = sheets.read(path, workdir=there, **given)
    other = clean.read(path, path.suffix[1:], True, workdir=here, **given)
    assert (there / "rows.csv").read_bytes() == (here / "rows.csv").read_bytes()
    assert one.relation == other.relation.replace(str(here), str(there))
    assert (one.labels, one.rows, one.facts, one.warnings) == (other.labels, other.rows, other.facts, other.warnings)
    assert one.locate([1, one.rows]) == other.locate([1, one.rows])


def many_long_texts(path):
    """A text of 8,000 characters is in 65,536 cells: 1 MB that becomes 500."""
    cells = [biff.shared(row, 0, 0) for row in range(65_536)]
    biff.write(path, 65_536, 1, cells, ["x" * 8000])


def test_a_workbook_made_for_these_tests_is_sound(sheet, tmp_path):
    cells = [biff.shared(0, 0, 0), biff.shared(0, 1, 1), biff.number(1, 0, 5), biff.shared(1, 1, 2)]
    biff.write(tmp_path / "a.xls", 2, 2, cells, ["a", "b", "text"])
    assert sheet(tmp_path / "a.xls") == ["5,text"]


@pytest.mark.parametrize("make", [biff.nested_extent, many_long_texts])
def test_a_workbook_that_blows_its_reader_up_is_an_error(sheet, tmp_path, monkeypatch, make):
    monkeypatch.setattr(sheets, "MEMORY_MB", 256)
    make(tmp_path / "a.xls")
    with pytest.raises(ReaderOutOfMemory) as found:
        sheet(tmp_path / "a.xls")
    assert found.value.facts == {"format": "XLS", "limit_mb": 256}


def test_the_same_workbook_ends_the_process_that_reads_it(tmp_path):
    """What it is all for: read here, it would end this one."""
    biff.nested_extent(tmp_path / "a.xls")
    code = "import sys; from pathlib import Path; import python_calamine; python_calamine.load_workbook(sys.argv[1])"
    code += ".get_sheet_by_index(0)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.xls")], capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT


SHARED = b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>%b</t></si></sst>' % (
    b"x" * 30_000
)


def test_an_xlsx_whose_texts_do_not_fit_is_streamed(sheet, tmp_path, monkeypatch):
    row = b'<row r="%d"><c r="A%d" t="s"><v>0</v></c><c r="B%d"><v>%d</v></c></row>'
    rows = b"".join(row % (n, n, n, n) for n in range(1, 7000))
    with zipfile.ZipFile(SAMPLES / "kinds_by_xlsxwriter.xlsx") as old, zipfile.ZipFile(tmp_path / "a.xlsx", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                data = re.sub(rb"<sheetData>.*</worksheet>", b"<sheetData>%b</sheetData></worksheet>" % rows, data)
                data = re.sub(rb'<dimension ref="[^"]*"', b'<dimension ref="A1:B6999"', data)
            if name == "xl/sharedStrings.xml":
                data = data[: data.index(b"<sst")] + SHARED
            new.writestr(name, data)
    tried, read = [], apart.read
    monkeypatch.setattr(apart, "read", lambda *args, **given: tried.append(args[3]) or read(*args, **given))
    monkeypatch.setattr(sheets, "HELD_MB", 128)
    found = sheet(tmp_path / "a.xlsx")
    assert tried == [True, False]
    assert {len(text) for text in found} == {TEXT_KEPT}
    monkeypatch.setattr(sheets, "HELD_MB", 512)
    assert sheet(tmp_path / "a.xlsx") == found
    assert tried == [True, False, True]


def test_a_run_whose_reader_crashes_is_failed_and_leaves_no_table(monkeypatch):
    monkeypatch.setattr(parquet, "look", faults.aborts)
    path = SAMPLES.parent / "parquet" / "numbers.parquet"
    final, sink, _ = load(MemorySource(path.read_bytes(), path.name))
    assert (final.status, final.error["code"], final.error["blame"]) == (Status.FAILED, "reader_crashed", "DATA")
    assert final.error["facts"] == {"format": "Parquet", "reason": "SIGABRT"}
    assert sink.discarded == 1

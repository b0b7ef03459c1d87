"""Spreadsheets: reading and converting against openpyxl's read-only mode, and the memory of a full sheet.

    python bench/sheets.py [ROWS] [--full]

ROWS (200,000) x 12 mixed columns of XLSX: ours writes the normal form, openpyxl does the same conversion and writes
CSV; three rounds in turn, median of the ratios, and both files are compared row by row. With --full the peak memory
of a process that reads a full sheet (1,048,576 x 12). Needs no CKAN.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from _common import peak_mb, seconds

FULL_ROWS = 1_048_575
TIMES = 4
"""At least so many times as fast as openpyxl; the aim is 6."""
LIMIT_MB = 350
"""Most memory for a full sheet; the aim is 200."""

HEADER = ["id", "amount", "ratio", "name", "town", "day", "moment", "open", "note", "code", "price", "quantity"]
TOWNS = ("Łódź", "Aachen", "Quito", "Tromsø", "Hanoi", "São Paulo", "Ghent")
TEXTS = {3: 50_021, 4: 7, 8: 1_013, 9: 100_000}
"""Columns of text, and how many different ones they have."""


def write_book(path: Path, rows: int) -> None:
    """Write a workbook as Excel does: shared strings, two date formats, places in each cell. Deterministic."""
    namespace = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    content = "application/vnd.openxmlformats"
    package = "http://schemas.openxmlformats.org/package/2006"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Default Extension="rels" ContentType="{content}-package.relationships+xml"/>'
        + "".join(
            f'<Override PartName="/xl/{name}.xml" ContentType="{content}-officedocument.spreadsheetml.{kind}+xml"/>'
            for name, kind in (
                ("workbook", "sheet.main"),
                ("worksheets/sheet1", "worksheet"),
                ("sharedStrings", "sharedStrings"),
                ("styles", "styles"),
            )
        )
        + "</Types>",
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="rId1" '
        f'Type="{relations}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {namespace} xmlns:r="{relations}"><sheets><sheet name="Data" sheetId="1" '
        'r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="rId1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="rId2" Type="{relations}/sharedStrings" Target="sharedStrings.xml"/>'
        f'<Relationship Id="rId3" Type="{relations}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet {namespace}><fonts count="1"><font/></fonts>'
        '<fills count="1"><fill><patternFill/></fill></fills>'
        '<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="3">'
        '<xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0"/></cellStyles></styleSheet>',
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, text in parts.items():
            archive.writestr(name, head + text)
        with archive.open("xl/sharedStrings.xml", "w") as out:
            out.write(f"{head}<sst {namespace}>".encode())
            out.write("".join(f"<si><t>{text}</t></si>" for text in _strings()).encode())
            out.write(b"</sst>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as out:
            out.write(f'{head}<worksheet {namespace}><dimension ref="A1:L{rows + 1}"/><sheetData>'.encode())
            for block in _rows(rows):
                out.write(block.encode())
            out.write(b"</sheetData></worksheet>")


def _strings() -> Iterator[str]:
    yield from HEADER
    yield from (f"Name {n}" for n in range(TEXTS[3]))
    yield from TOWNS
    yield from (f"some words about row {n}" for n in range(TEXTS[8]))
    yield from (f"{n:06}" for n in range(TEXTS[9]))


def _rows(rows: int) -> Iterator[str]:
    names = len(HEADER)
    towns = names + TEXTS[3]
    notes = towns + TEXTS[4]
    codes = notes + TEXTS[8]
    cells = "".join(f'<c r="{chr(65 + i)}1" t="s"><v>{i}</v></c>' for i in range(len(HEADER)))
    yield f'<row r="1">{cells}</row>'
    for start in range(1, rows + 1, 1000):
        yield "".join(
            f'<row r="{n + 1}"><c r="A{n + 1}"><v>{n}</v></c><c r="B{n + 1}"><v>{n * 7 % 100003 / 100}</v></c>'
            f'<c r="C{n + 1}"><v>{n % 997 / 997}</v></c><c r="D{n + 1}" t="s"><v>{names + n * 31 % 50021}</v></c>'
            f'<c r="E{n + 1}" t="s"><v>{towns + n % 7}</v></c><c r="F{n + 1}" s="1"><v>{40000 + n % 5000}</v></c>'
            f'<c r="G{n + 1}" s="2"><v>{40000 + n % 5000 + n % 86400 / 86400}</v></c>'
            f'<c r="H{n + 1}" t="b"><v>{n % 3 and 1}</v></c><c r="I{n + 1}" t="s"><v>{notes + n % 1013}</v></c>'
            f'<c r="J{n + 1}" t="s"><v>{codes + n % 100000}</v></c><c r="K{n + 1}"><v>{n % 1000 + 0.5}</v></c>'
            f'<c r="L{n + 1}"><v>{n % 50}</v></c></row>'
            for n in range(start, min(start + 1000, rows + 1))
        )


def ours(path: Path, folder: Path) -> Path:
    """Read the sheet and return the file of its normal form."""
    from aircan.formats import sheets
    from aircan.table import Rejects

    table = sheets.read(path, params={}, workdir=folder, rejects=Rejects(0, list), stop=threading.Event())
    assert not table.rejected
    return folder / "rows.csv"


def openpyxls(path: Path, folder: Path) -> Path:
    """Do the same with openpyxl's read-only mode, cell by cell."""
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    with open(folder / "openpyxl.csv", "w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for row in book.active.iter_rows(values_only=True):
            writer.writerow([shown(value) for value in row])
    return folder / "openpyxl.csv"


def shown(value: Any) -> str:
    """Return the text of a cell."""
    if value is None:
        return ""
    if value is True or value is False:
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, dt.datetime):
        if value.time() == dt.time():
            return value.date().isoformat()
        return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
    return str(value)


def same(one: Path, other: Path) -> int:
    """Return how many rows of the two files differ, leaving out their first lines."""
    with open(one, encoding="utf-8") as a, open(other, encoding="utf-8") as b:
        next(a), next(b)
        return sum(x != y for x, y in zip(a, b, strict=True))


def peak_of(path: Path) -> dict[str, float]:
    """Return seconds and peak memory of a process that reads a sheet, the process of the reader included."""
    done = subprocess.run([sys.executable, __file__, "--one", str(path)], check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def one(path: Path) -> None:
    """Read a sheet in this process and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        took = seconds(lambda: ours(path, Path(folder)))
    readers_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"seconds": took, "peak_mb": peak_mb() + readers_mb}))


def main(arguments: Iterable[str]) -> int:
    """Measure, print, and return 1 if a target was missed."""
    given = list(arguments)
    if given[:1] == ["--one"]:
        one(Path(given[1]))
        return 0
    rows = int(next((word for word in given if word.isdecimal()), 200_000))
    good = True
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "book.xlsx"
        write_book(path, rows)
        ratios = []
        for _ in range(3):
            mine = seconds(lambda: ours(path, folder))
            theirs = seconds(lambda: openpyxls(path, folder))
            ratios.append(theirs / mine)
            print(f"{rows} rows: ours {mine:.1f} s, openpyxl {theirs:.1f} s")
        differ = same(folder / "rows.csv", folder / "openpyxl.csv")
        ratio = statistics.median(ratios)
        print(f"times as fast as openpyxl: {ratio:.1f} (at least {TIMES}); rows that differ: {differ}")
        print(f"peak memory: {peak_of(path)['peak_mb']:.0f} MB")
        good = ratio >= TIMES and not differ
        if "--full" in given:
            write_book(path, FULL_ROWS)
            found = peak_of(path)
            print(f"full sheet: {found['seconds']:.0f} s, {found['peak_mb']:.0f} MB (at most {LIMIT_MB})")
            good = good and found["peak_mb"] <= LIMIT_MB
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

"""Parts are the same, whether the engine writes them or the clean copy only gets numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aircan.contract import Type
from aircan.engine import Engine
from aircan.ports import never
from aircan.steps import convert as steps
from aircan.steps.infer import infer
from aircan.steps.sniff import sniff
from aircan.table import Rejects
from tests.aircan.rig import loaded

CELLS = st.one_of(
    st.sampled_from(["", "1", "-2.50", "007", "true", "2024-02-29", "2024-02-29T10:00:00", " 1", "NA", "\\.", '"']),
    st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=6),
)
ROWS = st.integers(1, 4).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=30))


def written(rows, quoting=csv.QUOTE_MINIMAL):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=quoting).writerows([[f"name{i}" for i in range(len(rows[0]) if rows else 1)], *rows])
    return out.getvalue().encode()


def converted(data, folder, monkeypatch=None):
    """Return the rows of both ways, and whether the copy could be taken."""
    path = folder / "file.csv"
    path.write_bytes(data)
    table = sniff(path, params={}, workdir=folder, rejects=Rejects(0, list), stop=never())
    with Engine(folder, stop=never()) as engine:
        columns = infer(table, engine, types={}).columns
        ways = [table, replace(table, copy=None)]
        parts = [list(steps.convert(way, columns, engine, workdir=folder, stop=never(), part_bytes=64)) for way in ways]
    texts = [b"".join(part.data for part in one).decode() for one in parts]
    for one in parts:
        for part in one:
            assert part.rows == len(list(csv.reader(io.StringIO(part.data.decode(), newline=""))))
    found = [list(csv.reader(io.StringIO(text, newline=""))) for text in texts]
    return found, bool(table.copy) and not any(column.changed for column in columns)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(rows=ROWS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_both_ways_give_the_same_rows(tmp_path_factory, rows, quoting):
    (numbered, engines), _ = converted(written(rows, quoting), tmp_path_factory.mktemp("both"))
    assert numbered == engines


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
def test_records_across_blocks(tmp_path, monkeypatch, size):
    monkeypatch.setattr(steps, "READ_BYTES", size)
    rows = [[str(n), f'said "{n}"\nand, more\n', "Ü" * n] for n in range(1, 20)]
    (numbered, engines), is_copy = converted(written(rows), tmp_path)
    assert is_copy
    assert numbered == engines == [[str(n), *row] for n, row in enumerate(rows, 1)]


@pytest.mark.parametrize(
    "cell", [" 1", "1 ", "NA", "\u00a01"], ids=["blank before", "blank behind", "null word", "hard blank"]
)
def test_a_value_that_changes_goes_through_the_engine(tmp_path, cell):
    (numbered, engines), is_copy = converted(written([["2", "a"], [cell, "b"]]), tmp_path)
    assert not is_copy
    assert numbered == engines
    assert [row[1] for row in numbered] == ["2", "" if cell == "NA" else "1"]


def test_a_quoted_empty_cell_of_a_number_is_null(tmp_path):
    (numbered, _), is_copy = converted(b'n,t\n1,x\n"",""\n', tmp_path)
    assert not is_copy
    assert numbered == [["1", "1", "x"], ["2", "", ""]]


def test_a_plain_file_is_only_numbered(tmp_path):
    (numbered, _), is_copy = converted(b"n,d,b,t\n1.50,2024-02-29,true,x\n,,,y\n", tmp_path)
    assert is_copy
    assert numbered == [["1", "1.50", "2024-02-29", "true", "x"], ["2", "", "", "", "y"]]


@pytest.mark.parametrize(
    ("size_bytes", "connections", "expected"),
    [
        (0, 2, steps.LEAST_BYTES),
        (16 * steps.LEAST_BYTES, 2, steps.LEAST_BYTES),
        (16 * steps.LEAST_BYTES + 16, 2, steps.LEAST_BYTES + 1),
        (20_000_000, 2, 1_250_000),
        (16 * steps.PART_BYTES - 16, 2, steps.PART_BYTES - 1),
        (16 * steps.PART_BYTES, 2, steps.PART_BYTES),
        (10**10, 2, steps.PART_BYTES),
        (20_000_000, 4, 625_000),
    ],
)
def test_smaller_files_are_cut_into_smaller_parts(size_bytes, connections, expected):
    assert steps.part_size(size_bytes, most=steps.PART_BYTES, connections=connections) == expected


def test_parts_are_never_larger_than_the_order_says():
    assert steps.part_size(10**10, most=1000, connections=2) == 1000


def test_rows_stay_in_order_where_others_are_rejected():
    """DuckDB made a join of a long list of words, and wrote the rows behind it in another order."""
    cells = ["odd" if number % 9000 == 5 else "true" for number in range(30_000)]
    data = "ok,number\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(cells))
    rows, rejects, _ = loaded(data.encode(), types={"ok": Type.BOOLEAN})
    assert [reject["line"] for reject in rejects] == [7, 9007, 18007, 27007]
    assert [int(number) for _, number in rows] == [n for n, cell in enumerate(cells) if cell == "true"]

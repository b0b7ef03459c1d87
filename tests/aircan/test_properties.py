"""What must hold for any table and for any bytes."""

from __future__ import annotations

import csv
import io

import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aircan.contract import Type
from aircan.status import Status
from tests.aircan.rig import load, loaded

QUIET = settings(
    deadline=None, database=None, max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck)
)

CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12) | st.sampled_from(
    ["", '"', '""', "\r", "\n", "\r\n", ",", " ", "\ufeff", "\\.", "\\N", "NA", "007", "1.5", "-0", "\u2028"]
)
TABLE = st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=12))
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str)


def written(rows, **options):
    out = io.StringIO(newline="")
    writer = csv.writer(out, **options)
    writer.writerow([f"h{i}" for i in range(len(rows[0]))])
    writer.writerows(rows)
    return out.getvalue().encode()


def is_blank(row, data_quotes_all=False):
    return not data_quotes_all and all(not cell.strip(" \t") for cell in row) and not (len(row) == 1 and row[0] == "")


@QUIET
@given(TABLE, st.sampled_from(["\r\n", "\n", "\r"]), st.sampled_from([",", ";", "\t", "|"]))
def test_any_table_written_by_python_comes_through_as_the_same_cells(rows, end, delimiter):
    """Everything quoted, so that no record is blank; columns are forced to text."""
    data = written(rows, lineterminator=end, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    types = {f"h{i}": Type.TEXT for i in range(len(rows[0]))}
    got, rejects, _ = loaded(data, {"delimiter": delimiter, "header_line": 1, "encoding": "utf-8"}, types)
    assert rejects == []
    assert got == rows


@QUIET
@given(TABLE)
def test_minimal_quotes_come_through_with_empty_as_null(rows):
    """Python quotes a lone empty cell, so in one column only blanks are blank records."""
    rows = [row for row in rows if not is_blank(row)]
    if not rows:
        return
    types = {f"h{i}": Type.TEXT for i in range(len(rows[0]))}
    got, rejects, _ = loaded(written(rows), {"delimiter": ",", "header_line": 1, "encoding": "utf-8"}, types)
    alone = len(rows[0]) == 1
    assert rejects == []
    assert got == [[cell if cell or alone else None for cell in row] for row in rows]


@QUIET
@given(TABLE)
def test_inferred_text_is_never_changed(rows):
    got, _, result = loaded(
        written(rows, quoting=csv.QUOTE_ALL), {"delimiter": ",", "header_line": 1, "encoding": "utf-8"}
    )
    for i, field in enumerate(result["fields"]):
        if field["type"] == "text":
            assert [row[i] for row in got] == [row[i] for row in rows]


@QUIET
@given(st.lists(st.tuples(NUMBER, st.integers().map(str)), min_size=1, max_size=30))
def test_numbers_are_numeric_and_keep_each_digit(rows):
    got, _, result = loaded(written(rows), {"delimiter": ","})
    kinds = [field["type"] for field in result["fields"]]
    for i, kind in enumerate(kinds):
        column = [row[i] for row in rows]
        assert [row[i] for row in got] == column
        lossless = all(not value.startswith("-0") or any(c in "123456789" for c in value) for value in column)
        plain = all("E" not in value for value in column)
        if plain:
            assert kind == ("numeric" if lossless else "text")


@QUIET
@given(st.binary(max_size=400), st.integers(0, 100))
def test_every_record_is_loaded_or_rejected_whatever_the_bytes(noise, at):
    base = b'a,b,c\n1,"x\ny",2024-01-01\n2,z,\n' * 6
    data = base[:at] + noise + base[at:]
    final, sink, told = load(data, {"delimiter": ",", "header_line": 1})
    if final.status is Status.FAILED:
        assert final.error["code"] != "unexpected", final.error
        return
    rejects = told.merged("rejects")
    assert final.result["rejected"] == len(rejects)
    assert final.result["rows"] == len(sink.rows)
    assert [reject["line"] for reject in rejects] == sorted(reject["line"] for reject in rejects)


MANGLE = st.lists(
    st.sampled_from(['"', ",", "\n", "\r", "\r\n", "a", " ", '""', "é", "\0", "1", "2024-01-01", "NA"]), max_size=60
).map("".join)


@QUIET
@given(MANGLE, st.sampled_from([1, 2, 3]))
def test_lines_are_all_accounted_for(body, columns):
    """Every line of the file belongs to exactly one record: the header, a row, a reject or a blank one."""
    header = ",".join(f"h{i}" for i in range(columns)) + "\n"
    types = {f"h{i}": Type.TEXT for i in range(columns)}
    params = {"delimiter": ",", "header_line": 1, "encoding": "utf-8"}
    final, sink, told = load((header + body).encode(), params, types)
    if final.status is Status.FAILED:
        assert final.error["code"] == "rows_refused"
        return
    rejects = told.merged("rejects")
    for reject in rejects:
        assert reject["text"] == "" or reject["text"].splitlines()[0] in (header + body).replace("\r", "\n")
    in_rows = "".join(cell or "" for row in sink.rows for cell in row)
    in_rejects = "".join(reject["text"] for reject in rejects)
    for letter in "aé1":
        assert body.count(letter) == in_rows.count(letter) + in_rejects.count(letter)

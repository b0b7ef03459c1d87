"""What must hold for any table and for any bytes."""

from __future__ import annotations

import csv
import io

import pytest

pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aircan.contract import Type
from aircan.status import Status
from tests.aircan import slow_reader
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


WRITERS = st.sampled_from(
    [
        {"quoting": csv.QUOTE_ALL, "lineterminator": "\r"},
        {"quoting": csv.QUOTE_ALL, "lineterminator": "\n", "delimiter": "^"},
        {"quoting": csv.QUOTE_NONNUMERIC, "lineterminator": "\n", "delimiter": ";"},
        {"quoting": csv.QUOTE_NONNUMERIC, "delimiter": "\t"},
        {"delimiter": "|"},
        {"delimiter": "~"},
        {"delimiter": ":"},
    ]
)
ENCODINGS = ["utf-8", "utf-8-sig"]


@settings(QUIET, max_examples=25, phases=[Phase.generate])
@given(TABLE, WRITERS, st.sampled_from(ENCODINGS))
def test_a_table_comes_through_whatever_the_dialect_and_the_encoding(rows, options, encoding):
    rows = [[cell.replace("\ufeff", "") for cell in row] for row in rows]
    rows = [row for row in rows if not is_blank(row, "quoting" in options)]
    if not rows:
        return
    data = written(rows, **options).decode().encode(encoding)
    types = {f"h{i}": Type.TEXT for i in range(len(rows[0]))}
    params = {"delimiter": options["delimiter"]} if "delimiter" in options else {"delimiter": ","}
    got, rejects, _ = loaded(data, {**params, "header_line": 1, "header_rows": 1, "encoding": encoding}, types)
    quoted = "quoting" in options or len(rows[0]) == 1
    assert rejects == []
    assert got == [[cell if cell or quoted else None for cell in row] for row in rows]


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


POOLS = [
    ["0", "1", "-1", "1.50", "0.5", "1.5E-3", "1e-05", "9" * 30, "-7.0"],
    ["1,5", "12,50", "1,234", "0,123", "1234,567", "7", "1,5e-05", "1e+06"],
    ["2024-02-29", "2024-01-31", "0001-01-01", "9999-12-31", "1582-10-10"],
    ["2024-02-29T10:00", "2024-01-31 23:59:59.123456", "1969-12-31T00:00:00.5"],
    ["2024-02-29T10:00Z", "2024-01-31 23:59:59+00:00", "2024-01-31T10:00+00"],
    ["13/01/2024", "1/2/2024", "31/12/1999", "29/02/2024"],
    ["01/13/2024", "1/2/2024", "12/31/1999"],
    ["31.12.2024 10:30", "1.2.2024 9:05", "01.01.2000 00:00"],
    ["1/31/2024 1:05 PM", "12/1/2024 12:00 am"],
    ["2024/01/31", "2024/1/2"],
    ["1 May 2024", "31 Jan 2024", "2 feb 1999"],
    ["January 31, 2024", "May 1, 2024"],
    ["Jan 31 2024", "may 1 2024"],
    ["true", "false"],
    ["TRUE", "FALSE"],
]
_ODD = """007 +1 -0 5. .5 1_000 1,000 1e5 0x1f 5% -0,0 1.5e 1e1000 --1 1e-1.5 2023-02-29 0000-01-01 2024-1-1 x yes True
2024-01-01T24:00 2016-12-31T23:59:60 2024-01-01T10:00+02:00 10000-01-01 -0044-03-15 2024-W05-1 10:30 31/02/2024 1/2/24
t 2024-01-01T10 2024-01-01T10:00:00.1234567 32.1.2024"""
ODD = [*_ODD.split(), "1 000", "1/2/2024 10:60", "31 Feb 2024", "1/13/2024 13:00 PM", "1 Mai 2024"]
NOTHING = ["NA", "", " ", "-", "null", "NaN"]
COLUMN = st.sampled_from(POOLS).flatmap(
    lambda pool: st.lists(
        st.sampled_from(pool * 6 + NOTHING + [f" {pool[0]}", f"{pool[-1]}\t"]) | st.sampled_from(pool * 8 + ODD),
        min_size=8,
        max_size=8,
    )
)
RULES = st.fixed_dictionaries(
    {},
    optional={
        "decimal_comma": st.booleans(),
        "date_order": st.sampled_from(["dmy", "mdy", "ymd"]),
        "null_words": st.sampled_from([[], ["NA"], ["x", "1", "true"]]),
        "strip": st.booleans(),
    },
)
KINDS = st.sampled_from([None, None, "numeric", "date", "timestamp", "bool", "text"])


@settings(QUIET, max_examples=200)
@given(st.lists(st.tuples(COLUMN, KINDS), min_size=1, max_size=8), RULES, st.sampled_from([",", ";", "\t"]))
def test_types_values_and_rejects_are_those_of_the_slow_reader(columns, rules, delimiter):
    """Columns of nearly one type, blanks, null words and odd values: another hand decides the same."""
    rows = [list(row) for row in zip(*(column for column, _ in columns), strict=True)]
    data = written(rows, delimiter=delimiter)
    kinds = {i: kind for i, (_, kind) in enumerate(columns) if kind}
    params = {"delimiter": delimiter, "header_line": 1, "header_rows": 1, **rules}
    final, sink, told = load(data, params, {f"h{i}": Type(kind) for i, kind in kinds.items()})
    slow = slow_reader.read(data, encoding="utf-8", delimiter=delimiter, params=params, types=kinds)
    assert slow.rejects == [[reject["line"], reject["code"]] for reject in told.merged("rejects")]
    if final.status is Status.FAILED:
        assert (final.error["code"], slow.rows) == ("rows_refused", [])
        return
    found = [field["type"] for field in final.result["fields"]]
    assert slow.kinds == found
    assert slow.rows == [
        [slow_reader.value_of(k, cell) for k, cell in zip(found, row, strict=True)] for row in sink.rows
    ]


@QUIET
@given(MANGLE, st.sampled_from([1, 2, 3]), st.sampled_from([",", ";", "^"]))
def test_records_of_mangled_text_are_those_of_the_slow_reader(body, columns, delimiter):
    """Rows in the file are rows loaded and rows rejected, counted and judged by another reader too."""
    data = (delimiter.join(f"h{i}" for i in range(columns)) + "\n" + body.replace(",", delimiter)).encode()
    types = dict.fromkeys(range(columns), "text")
    params = {"delimiter": delimiter, "header_line": 1, "header_rows": 1, "encoding": "utf-8"}
    final, sink, told = load(data, params, {f"h{i}": Type.TEXT for i in types})
    slow = slow_reader.read(data, encoding="utf-8", delimiter=delimiter, params=params, types=types)
    assert slow.rejects == [[reject["line"], reject["code"]] for reject in told.merged("rejects")]
    assert slow.rows == ([] if final.status is Status.FAILED else sink.rows)
    if final.status is Status.DONE:
        assert final.result["rows"] + final.result["rejected"] == len(slow.rows) + len(slow.rejects)


@QUIET
@given(
    st.binary(max_size=300) | st.sampled_from([b"\0", b"\xff", b'"\0"', b"\xc3"]),
    st.integers(0, 300),
    st.integers(0, 40),
)
def test_records_of_damaged_bytes_are_those_of_the_slow_reader(noise, at, cut):
    base = 'a,b,c\n1,"x\ny",2024-01-01\n2,é,\n,"",\n'.encode() * 6
    data = base[:at] + noise + base[at + cut :]
    params = {"delimiter": ",", "header_line": 1, "header_rows": 1, "encoding": "utf-8"}
    if not data.startswith(b"a,b,c\n"):
        data = b"a,b,c\n" + data
    types = dict.fromkeys(range(3), "text")
    final, sink, told = load(data, params, {name: Type.TEXT for name in "abc"})
    slow = slow_reader.read(data, encoding="utf-8", delimiter=",", params=params, types=types)
    assert slow.rejects == [[reject["line"], reject["code"]] for reject in told.merged("rejects")]
    assert slow.rows == ([] if final.status is Status.FAILED else sink.rows)

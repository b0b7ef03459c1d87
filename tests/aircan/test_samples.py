"""Every file in tests/samples/csv becomes the rows, types, rejects and facts in the JSON beside it."""

from __future__ import annotations

import csv
import functools
import io
import json

import pytest

from aircan.contract import Type
from aircan.status import Status
from tests.aircan import slow_reader
from tests.aircan.rig import SAMPLES, load

FILES = sorted(path for path in SAMPLES.iterdir() if path.suffix not in (".json", ".md"))


@functools.cache
def outcome(path):
    """Load a file once for all tests."""
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    types = {name: Type(kind) for name, kind in expected.get("types", {}).items()}
    return path, expected, *load(path.read_bytes(), expected.get("params"), types)


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def sample(request):
    return outcome(request.param)


def test_sample_gives_the_rows_beside_it(sample):
    _, expected, final, sink, told = sample
    rejects = [[reject["line"], reject["code"]] for reject in told.merged("rejects")]
    assert rejects == expected["rejects"]
    if not expected["rows"] and expected["rejects"]:
        assert final.error["code"] == "rows_refused"
        return
    assert final.status is Status.DONE, final.error
    assert [[f["id"], f["type"]] for f in final.result["fields"]] == expected["fields"]
    assert sink.rows == expected["rows"]
    assert [warning["code"] for warning in told.merged("warnings")] == expected["warnings"]
    assert {name: final.result[name] for name in expected["facts"]} == expected["facts"]
    reasons = {f["id"]: f["reason"] for f in final.result["fields"]}
    for name, reason in expected.get("reasons", {}).items():
        assert reasons[name].items() >= reason.items()


def test_sample_agrees_with_the_slow_reader_value_by_value(sample):
    """Labels, types, values and rejects are those that another reader finds, which shares no code with ours."""
    path, expected, final, sink, told = sample
    if final.status is not Status.DONE:
        pytest.skip("there is no table to compare")
    ids = [field["id"] for field in final.result["fields"]]
    slow = slow_reader.read(
        path.read_bytes(),
        encoding=final.result["encoding"],
        delimiter=final.result["delimiter"],
        header_line=final.result["header_line"] or expected.get("first_line", 1),
        header_rows=final.result["header_rows"],
        loose=final.result.get("blanks_around_quotes", False),
        params=expected.get("params"),
        types={ids.index(name): kind for name, kind in expected.get("types", {}).items()},
    )
    kinds = [field["type"] for field in final.result["fields"]]
    assert slow.labels == [field["label"] for field in final.result["fields"]]
    assert slow.kinds == kinds
    assert slow.rejects == sorted([reject["line"], reject["code"]] for reject in told.merged("rejects"))
    ours = [[slow_reader.value_of(kind, cell) for kind, cell in zip(kinds, row, strict=True)] for row in sink.rows]
    assert slow.rows == ours


def test_sample_agrees_with_pythons_reader_cell_by_cell(sample):
    """All columns forced to text: the cells are those of Python's csv module, NULL taken for empty."""
    path, expected, *_ = sample
    if any(code not in ("cells",) for _, code in expected["rejects"]):
        pytest.skip("Python's reader has no word for this reject")
    if set(expected.get("params", ())) & {"header_rows", "skip_lines", "skip_footer", "strip"}:
        pytest.skip("Python's reader has no such parameter")
    if expected["facts"].keys() & {"header_rows", "blanks_around_quotes"}:
        pytest.skip("Python's reader knows one header row and no blanks before quotes")
    types = {name: Type.TEXT for name, _ in expected["fields"]}
    final, sink, _ = load(path.read_bytes(), expected.get("params"), types)
    ours = sink.rows if final.status is Status.DONE else []
    assert [[cell or "" for cell in row] for row in ours] == pythons_rows(path, final, expected)


def pythons_rows(path, final, expected):
    facts = {"encoding": "utf-8", "delimiter": ",", "header_line": 1, **dict(final.result), **expected["facts"]}
    text = path.read_bytes().decode(facts["encoding"]).removeprefix("\ufeff")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=facts["delimiter"], strict=True)
    lines = io.StringIO(text, newline="").readlines()
    rows, header, before = [], None, 0
    for row in reader:
        line, raw = before + 1, "".join(lines[before : reader.line_num])
        before = reader.line_num
        if line < facts["header_line"]:
            continue
        if header is None:
            header = row
        elif len(row) == len(header) and (any(cell.strip(" \t") for cell in row) or '"' in raw):
            rows.append(row)
    return rows

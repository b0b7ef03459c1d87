"""Files in tests/samples/{json,parquet,archives} become what `<file>.expected.json` beside them says.

It has "fields", "rows", "rejects", "warnings" and "facts" as the samples of delimited text do, or "error": the code and
facts with which the run fails; and, where the order says something, "params" and "types".
"""

from __future__ import annotations

import json

import pytest

from aircan.contract import Type
from aircan.status import Status
from tests.aircan import shapes
from tests.aircan.rig import MemorySource, load

ENDING = ".expected.json"
FILES = sorted(
    path
    for folder in shapes.FOLDERS
    for path in folder.iterdir()
    if not path.name.endswith((ENDING, ".md")) and path.is_file()
)


def run(path, expected, types=None):
    types = types or {name: Type(kind) for name, kind in expected.get("types", {}).items()}
    return load(MemorySource(path.read_bytes(), path.name), expected.get("params"), types)


@pytest.fixture(params=FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def sample(request):
    expected = json.loads(request.param.with_name(request.param.name + ENDING).read_text(encoding="utf-8"))
    return request.param, expected


def test_sample_gives_what_is_beside_it(sample):
    path, expected = sample
    final, sink, told = run(path, expected)
    if "error" in expected:
        assert (final.status, final.error["code"]) == (Status.FAILED, expected["error"]["code"])
        assert final.error["facts"].items() >= expected["error"]["facts"].items()
        return
    assert final.status is Status.DONE, final.error
    assert [[f["id"], f["type"]] for f in final.result["fields"]] == expected["fields"]
    assert sink.rows == expected["rows"]
    assert [[reject["line"], reject["code"]] for reject in told.merged("rejects")] == expected["rejects"]
    assert [warning["code"] for warning in told.merged("warnings")] == expected["warnings"]
    assert {name: final.result[name] for name in expected["facts"]} == expected["facts"]


def test_sample_agrees_with_a_slow_reader_cell_by_cell(sample):
    """All columns forced to text: the cells are those of a reader that is slow, obvious and not ours."""
    path, expected = sample
    if "error" in expected:
        pytest.skip("there are no rows")
    types = {name: Type.TEXT for name, _ in expected["fields"]}
    final, sink, _ = run(path, expected, types)
    assert final.status is Status.DONE, final.error
    labels = [field["label"] for field in final.result["fields"]]
    rejected = sum(code != "value" for _, code in expected["rejects"])
    assert (labels, sink.rows, rejected) == shapes.read(path, expected)

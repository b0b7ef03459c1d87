"""What samples cannot show about JSON: borders of blocks, limits, places, and any table that Python writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aircan.contract import Type
from aircan.errors import JsonInvalid, OrderRefused, RecordsMissing, TooManyColumns
from aircan.table import Rejects
from aircan.text import jsonrows, jsonscan, jsonshape, records
from tests.aircan.rig import load, loaded
from tests.aircan.test_sniff import sniffed

RECORDS = [
    {"id": 1, "text": 'a "quoted", [bracket] {brace} \\ back', "more": {"a": [1, 2, {"b": "]}"}]}},
    {"id": 2, "text": "é\n\u2028", "more": None},
    {"id": 3, "text": "", "more": []},
    {"other": 1.50, "id": 4},
] * 40
TEXTS = {
    "list": json.dumps(RECORDS, indent=1),
    "lines": "\n".join(json.dumps(record, ensure_ascii=False) for record in RECORDS),
    "sequence": "\r\n".join(json.dumps(record, indent=2) for record in RECORDS),
    "wrapped": json.dumps({"meta": {"a": [1, 2], "s": "[{"}, "data": RECORDS, "end": {"x": "]"}}),
}


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
@pytest.mark.parametrize("kind", TEXTS)
def test_block_borders_change_nothing(kind, size, tmp_path, monkeypatch):
    """Borders fall into strings, escapes, CR LF, numbers and words."""
    data = TEXTS[kind].encode()
    whole = sniffed(data, tmp_path)
    rows, lines = (tmp_path / "rows.csv").read_bytes(), whole.locate([1, 2, 3, 160])
    monkeypatch.setattr(jsonscan, "BLOCK_BYTES", size)
    monkeypatch.setattr(jsonrows, "HELD_BYTES", size)
    table = sniffed(data, tmp_path)
    assert (table.rows, table.labels, table.nested) == (160, ("id", "text", "more", "other"), frozenset({2}))
    assert ((tmp_path / "rows.csv").read_bytes(), table.locate([1, 2, 3, 160])) == (rows, lines)


@pytest.mark.parametrize("kind", TEXTS)
def test_the_place_of_a_row_is_the_line_and_the_text_of_its_record(kind, tmp_path):
    table = sniffed(TEXTS[kind].encode(), tmp_path)
    physical = TEXTS[kind].replace("\r\n", "\n").split("\n")
    for row, place in table.locate([1, 2, 3, 4, 159, 160]).items():
        assert json.loads(place.text) == RECORDS[row - 1]
        assert physical[place.line - 1].lstrip(" ")[0] == "{"
        assert place.text.split("\r\n")[0].split("\n")[0] in physical[place.line - 1]


@pytest.mark.parametrize(("room", "fits"), [(-1, False), (0, True), (1, True)])
@pytest.mark.parametrize("layout", ["[%s,\n%s,\n%s]", "%s\n%s\n%s\n"])
def test_record_over_the_limit_is_rejected_and_the_next_is_not(layout, room, fits, tmp_path, monkeypatch):
    long = '{"a": "%s"}' % ("x" * 5000)
    for module in (records, jsonscan, jsonrows, jsonshape):
        monkeypatch.setattr(module, "RECORD_BYTES", len(long) + room)
    monkeypatch.setattr("aircan.formats.json.RECORD_BYTES", len(long) + room)
    monkeypatch.setattr(jsonscan, "BLOCK_BYTES", 100)
    told = []
    rejects = Rejects(9, told.extend)
    table = sniffed((layout % ('{"a": "y"}', long, '{"a": "z"}')).encode(), tmp_path, rejects)
    rejects.flush()
    assert table.rows == 2 + fits
    assert [(reject.line, reject.code) for reject in told] == ([] if fits else [(2, "size")])


@pytest.mark.parametrize(("levels", "fits"), [(199, True), (200, True), (201, False)])
def test_levels_at_the_limit(levels, fits, tmp_path):
    data = '[{"a": ' + "[" * (levels - 1) + "]" * (levels - 1) + '}, {"a": 1}]'
    assert sniffed(data.encode(), tmp_path).rows == 1 + fits


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 1_000_000, b'[{"a": "' + b"\\" * 3_000_001])
def test_a_text_that_is_all_brackets_or_escapes_ends_soon(data, tmp_path):
    with pytest.raises(JsonInvalid):
        sniffed(data, tmp_path)


@pytest.mark.parametrize(("count", "fits"), [(1597, True), (1598, True), (1599, False)])
def test_columns_at_the_limit(count, fits, tmp_path):
    data = "\n".join(json.dumps({f"c{i}": i}) for i in range(count)).encode() + b"\n{}"
    if fits:
        assert len(sniffed(data, tmp_path).labels) == count
    else:
        with pytest.raises(TooManyColumns):
            sniffed(data, tmp_path)


def test_a_key_that_first_appears_in_the_last_of_many_records():
    text = "".join(json.dumps({"a": i, "b": 'x"\n'}) + "\n" for i in range(60_000)) + '{"z": 1}\n'
    rows, rejects, result = loaded(text.encode())
    assert [field["id"] for field in result["fields"]] == ["a", "b", "z"]
    assert (len(rows), rows[0], rows[59_999], rows[-1]) == (
        60_001,
        ["0", 'x"\n', None],
        ["59999", 'x"\n', None],
        [None, None, "1"],
    )
    assert rejects == []


def test_a_refused_record_leaves_no_trace_in_the_columns():
    data = b'[{"a": [1]}, {"a": "x", "z": {"y": 1}, "b": "\\u0000"}, {"a": [2]}]'
    rows, rejects, result = loaded(data)
    assert [[field["id"], field["type"]] for field in result["fields"]] == [["a", "json"]]
    assert (rows, [reject["code"] for reject in rejects]) == ([["[1]"], ["[2]"]], ["nul"])


def test_rows_of_one_column_that_are_null_are_rows():
    rows, _, _ = loaded(b'[{"a": null}, {"a": 1}, {}, {"a": null}]')
    assert rows == [[None], ["1"], [None], [None]]


def test_a_value_that_a_persons_type_refuses_is_told_with_its_record():
    data = b'[{"a": 1},\n{"a": "x",\n "b": 2},\n{"a": 3}]'
    _, _, told = load(data, types={"a": Type.NUMERIC})
    assert [(r["line"], r["field"], r["value"], r["text"]) for r in told.merged("rejects")] == [
        (2, "a", "x", '{"a": "x",\n "b": 2}')
    ]


def test_a_person_may_want_nested_values_as_text_or_as_json():
    data = b'[{"a": {"x": 1}, "b": {"x": 1}, "c": "[1]"}, {"a": [2], "b": [2], "c": "no"}]'
    rows, rejects, result = loaded(data, types={"a": Type.TEXT, "b": Type.JSON, "c": Type.JSON})
    assert [field["type"] for field in result["fields"]] == ["text", "json", "json"]
    assert rows == [['{"x":1}', '{"x":1}', "[1]"]]
    assert [reject["code"] for reject in rejects] == ["value"]


@pytest.mark.parametrize("wanted", [3, ["a"]])
def test_a_path_that_is_no_text_is_refused(wanted, tmp_path):
    with pytest.raises(OrderRefused) as caught:
        sniffed(b'[{"a": 1}]', tmp_path, records=wanted)
    assert caught.value.facts == {"field": "params.records"}


@pytest.mark.parametrize("data", [b'[{"a": 1}]', b'{"a": 1}\n{"a": 2}\n'])
def test_a_path_into_what_is_not_wrapped_is_refused(data, tmp_path):
    with pytest.raises(RecordsMissing):
        sniffed(data, tmp_path, records="data")


CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(CHARACTERS),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARACTERS, max_size=3), inner, max_size=3),
    max_leaves=5,
)
keys = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"_'), min_size=1, max_size=5).filter(
    str.strip
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(st.dictionaries(keys, values, max_size=4), min_size=1, max_size=6), st.booleans(), st.integers(0, 2))
def test_any_table_that_python_writes_comes_back_as_the_same_text(table, ascii_only, form):
    dumped = [json.dumps(record, ensure_ascii=ascii_only, indent=form or None) for record in table]
    text = "[" + ",\n".join(dumped) + "]"
    labels = list(dict.fromkeys(key for record in table for key in record))
    final, sink, told = load(text.encode(), types={field: Type.TEXT for field in labels})
    if not labels:
        assert final.error["code"] == "records_missing"
        return
    types = {field["id"]: Type.TEXT for field in final.result["fields"]}
    final, sink, told = load(text.encode(), types=types)
    assert [field["label"] for field in final.result["fields"]] == labels
    assert told.merged("rejects") == []
    assert [[_text(record.get(label)) for label in labels] for record in table] == sink.rows


def _text(value):
    """A cell as Python would have it; nested values are compared as values, words that are no JSON as strings."""
    if value is None or isinstance(value, str):
        return value
    return _Nested(value) if isinstance(value, (list, dict)) else json.dumps(value)


class _Nested:
    """Equal to the JSON text of a value."""

    def __init__(self, value):
        self.value = json.loads(json.dumps(value), parse_constant=str)

    def __eq__(self, text):
        return text is not None and json.loads(text) == self.value

    __hash__ = None

"""What a parameter of a LOAD may be."""

from __future__ import annotations

import pytest

from aircan import params

GOOD = {
    "sheet": ["Data", 1, "2024"],
    "member": ["a/b.csv"],
    "records": ["data.items"],
    "delimiter": [";", "tab", "\t", "|"],
    "encoding": ["utf-8", "windows-1252", "shift_jis"],
    "header_line": [1, 40],
    "header_rows": [0, 3],
    "skip_lines": [0, 7],
    "skip_footer": [0, 1],
    "date_order": ["dmy"],
    "decimal_comma": [True, False],
    "null_words": [[], ["NA", " "]],
    "strip": [True, False],
    "write": ["replace", "append", "upsert", "delete"],
    "key": [["a"], ["a", "b"]],
    "on_type_change": ["adopt", "fail"],
    "max_reject_share": [0, 0.5, 1],
    "publish": ["complete", "searchable"],
    "load_connections": [1, 16],
}
BAD = {
    "sheet": ["", 0, True, "\0"],
    "member": [" ", 1],
    "records": [["data"], ""],
    "delimiter": ["", ";;", "\n", '"', "é", 7],
    "encoding": ["utf-88", "", "base64", 8, "\0"],
    "header_line": [0, "1", True, 1.0],
    "header_rows": [-1, 4],
    "skip_lines": [-1],
    "skip_footer": [-1, None],
    "date_order": ["DMY", "", ["dmy"]],
    "decimal_comma": ["true", 1],
    "null_words": ["NA", [""], [1], ["x"] * 1001],
    "strip": [0, "no"],
    "write": ["overwrite", None],
    "key": [[], "a", ["a", "a"], [""]],
    "on_type_change": ["ask"],
    "max_reject_share": [-0.1, 1.01, True, "0.5"],
    "publish": ["soon", 1],
    "load_connections": [0, 17],
}


def test_every_parameter_is_tried():
    assert set(GOOD) == set(BAD) == set(params.MENU)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in GOOD.items() for value in values])
def test_good_values(name, value):
    assert params.wrong({name: value}) == {}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_bad_values(name, value):
    assert params.wrong({name: value}) == {name: params.MENU[name].must_be}


def test_names_of_other_recipes_are_not_judged():
    assert params.wrong({"depth": object()}) == {}


def test_what_is_not_to_be_kept_with_a_file():
    assert params.unknown({"delimiter": ";", "depth": 1, "load_connections": 2}) == ["depth", "load_connections"]


@pytest.mark.parametrize("write", params.KEYED)
def test_rows_that_are_found_by_a_key_need_one(write):
    assert params.lacks_key({"write": write})
    assert not params.lacks_key({"write": write, "key": ["a"]})
    assert not params.lacks_key({"write": "append"})
    assert not params.lacks_key({})

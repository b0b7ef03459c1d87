"""The form of a file's settings: from text to parameters and back."""

from __future__ import annotations

import pytest

from aircan import params
from ckanext.aircan_connector import form

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins", "with_request_context"),
]


def shown(given, found=None, errors=None):
    found_sections = form.sections(given, found or {}, errors or {})
    return {ask["name"]: ask for section in found_sections for ask in section["asks"]}


def test_every_parameter_that_may_be_kept_is_asked():
    assert set(form.ASKS) == {name for name, param in params.MENU.items() if param.lasting}


FILLED = {
    "sheet": ("Data 2024", "Data 2024"),
    "member": ("a.csv", "a.csv"),
    "records": ("data.items", "data.items"),
    "skip_lines": ("3", 3),
    "header_line": (" 4 ", 4),
    "header_rows": ("2", 2),
    "skip_footer": ("1", 1),
    "delimiter": (";", ";"),
    "encoding": ("cp1252", "cp1252"),
    "date_order": ("dmy", "dmy"),
    "decimal_comma": ("true", True),
    "null_words": ("NA\r\n\r\n n.a. \r\n", ["NA", "n.a."]),
    "strip": ("false", False),
    "write": ("upsert", "upsert"),
    "key": ("code\nyear", ["code", "year"]),
    "on_type_change": ("fail", "fail"),
    "max_reject_share": ("12,5", 0.125),
    "publish": ("complete", "complete"),
}


def test_text_becomes_parameters_that_may_be_used():
    assert set(FILLED) == set(form.ASKS)
    read = form.read({name: text for name, (text, _) in FILLED.items()}, {})
    assert read == {name: value for name, (_, value) in FILLED.items()}
    assert form.wrong(read) == {}


def test_parameters_come_back_as_text():
    """What the form shows and is sent back unchanged gives the same parameters."""
    given = {name: value for name, (_, value) in FILLED.items()}
    assert form.read({name: ask["value"] for name, ask in shown(given).items()}, {}) == given


def test_what_is_left_open_is_no_parameter():
    assert form.read(dict.fromkeys(form.ASKS, "  "), {}) == {"delimiter": "  "}
    assert form.read(dict.fromkeys(form.ASKS, ""), {}) == {}


def test_a_blank_may_be_the_delimiter():
    assert form.read({"delimiter": " "}, {}) == {"delimiter": " "}


@pytest.mark.parametrize(("sheets", "sheet"), [(["2023", "2024"], "2024"), (["Data"], 2024), ([], 2024)])
def test_a_sheet_whose_name_is_a_number(sheets, sheet):
    assert form.read({"sheet": "2024"}, {"sheets": sheets}) == {"sheet": sheet}


def test_no_word_for_nothing():
    read = form.read({"null_words": "", form.NO_WORD: "1"}, {})
    assert read == {"null_words": []}
    assert shown(read)["null_words"]["none"]


def test_each_wrong_answer_is_named_and_kept():
    read = form.read({"skip_lines": "two", "max_reject_share": "many", "encoding": "utf-88"}, {})
    errors = form.wrong(read)
    assert set(errors) == {"skip_lines", "max_reject_share", "encoding"}
    assert "0 to 100" in errors["max_reject_share"]
    asks = shown(read, errors=errors)
    assert {name: asks[name]["value"] for name in errors} == {
        "skip_lines": "two", "max_reject_share": "many", "encoding": "utf-88",
    }  # fmt: skip
    assert all(asks[name]["error"] for name in errors)


def test_shows_what_was_found_last_time():
    found = {"delimiter": ";", "encoding": "cp1252", "header_line": 4, "sheets": ["A", "B"], "columns": ["a", "b"]}
    asks = shown({}, found)
    assert [asks[n]["found"] for n in ("delimiter", "encoding", "header_line")] == ["semicolon (;)", "cp1252", "4"]
    assert (asks["sheet"]["choices"], asks["key"]["choices"]) == (["A", "B"], ["a", "b"])

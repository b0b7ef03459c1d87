"""What was found in a file and why, as the page of a run says it."""

from __future__ import annotations

import pytest

from ckanext.aircan_connector import found, words

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins", "with_request_context"),
]


def lines(result=None, **info):
    return [tuple(line.values()) for line in found.lines({"result": result or {}, **info})]


def test_delimited_text():
    result = {
        "rows": 3, "format": "csv", "encoding": "cp1252", "encoding_evidence": "fallback", "delimiter": ";",
        "header_line": 4, "header_evidence": "below_titles", "delimiter_evidence": "cells",
        "blank_records": 0, "sha256": "x", "fields": [{}],
    }  # fmt: skip
    assert lines(result) == [
        ("Format", "delimited text (CSV)", ""),
        ("Encoding", "cp1252", "It is not valid UTF-8; this is what such files mostly are."),
        ("Delimiter", "semicolon (;)", "With it most lines have as many cells as the header."),
        ("Line of the header", "4", "The lines above have far fewer cells than the table."),
    ]


def test_a_sheet_with_the_others():
    result = {"format": "xlsx", "sheet": "Data", "sheet_evidence": "first", "sheets": ["Notes", "Data", "Old"]}
    why = "It is the first visible sheet with data. There are also: Notes, Old."
    assert lines(result) == [("Format", "Excel workbook (XLSX)", ""), ("Sheet", "Data", why)]


def test_what_was_set_is_told_from_what_was_found():
    params = {"delimiter": ";", "strip": True, "null_words": [], "write": "append", "max_reject_share": 0.125}
    told = lines({"delimiter": ";", "delimiter_evidence": "order"}, params=params, given={"delimiter": ";"})
    assert told == [
        ("Delimiter", "semicolon (;)", "It was said when the run was started."),
        ("Remove blanks around texts", "yes", "It is set for this file."),
        ("Words for an empty cell", "none", "It is set for this file."),
        ("The rows of the file", "add the rows of the file to the table", "It is set for this file."),
        ("Refused rows that fail a run, in per cent", "12.5 %", "It is set for this file."),
    ]


def test_a_fact_that_is_not_known_is_shown_under_its_name():
    assert lines({"epoch_year": 1904}) == [("epoch year", "1,904", "")]


def test_nothing_is_made_of_nothing():
    assert lines({"encoding": "", "blank_records": 0, "rows": 7}) == []


def test_a_warning_that_is_not_known_can_be_read():
    assert words.by_code(words.WARNINGS, {"code": "cells_folded", "count": 1200, "first": "B7"}) == (
        "cells folded: count 1,200, first B7"
    )


def test_every_error_that_a_setting_helps_against_exists():
    assert words.SETTABLE - set(words.errors.leaves()) == set()

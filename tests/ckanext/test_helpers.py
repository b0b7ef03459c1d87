"""The sentences, numbers and times of the pages; and that no code is without a sentence."""

from __future__ import annotations

import ast
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from aircan import errors, table
from aircan.columns import reasons, values
from aircan.status import Status
from ckanext.aircan_connector import helpers, words

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins", "with_request_context"),
]


def constants(folder: str, name: str) -> set[str]:
    """Return the texts that stand under the key or argument `name` in the code of a folder."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            pairs = []
            if isinstance(node, ast.Dict):
                items = zip(node.keys, node.values, strict=True)
                pairs = [(key.value, value) for key, value in items if isinstance(key, ast.Constant)]
            elif isinstance(node, ast.Call):
                pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
            for key, value in pairs:
                if key == name and isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value:
                    found.add(value.value)
    return found


def reason_codes() -> set[str]:
    asked = set()
    for node in ast.walk(ast.parse((ROOT / "aircan/columns/reasons.py").read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Question":
            asked |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    readings = [r for kind in values.PERSONS for r in values.chosen(kind, values.Rules(), comma_possible=True)]
    readings += [values.NUMERIC, values.DECIMAL_COMMA, values.DATE, values.TIMESTAMP, values.TIMESTAMP_UTC]
    missed = {f"not_{reading.type.value}" for reading in readings}
    named = {reading.name for reading in readings}
    return asked | missed | named | set(reasons.NUMBERLIKE) | set(reasons.DATELIKE) | {"blank", "person"}


def test_every_error_has_a_sentence_and_tells_what_to_do():
    for code, leaf in errors.leaves().items():
        told = leaf(**{"line": 7}).to_dict()
        assert helpers.aircan_error(told)["sentence"], code
        if code not in ("aircan", "job_stopped"):
            assert helpers.aircan_error(told)["advice"], code


def test_every_reason_has_a_sentence():
    assert reason_codes() - set(words.REASONS) == set()


def test_every_reject_has_a_sentence():
    told = set(table.EXPLAINED) | constants("aircan/text", "code")
    assert told - {"blank"} - set(words.REJECTS) == set()


def test_every_warning_has_a_sentence():
    told = constants("aircan", "code") | constants("ckanext/aircan_connector/datastore", "code")
    assert told - set(table.EXPLAINED) - {"blank", "person", "table"} - set(words.WARNINGS) == set()


def test_every_explanation_of_the_library_is_known_again():
    assert set(table.EXPLAINED.values()) <= set(words.FACTS)


def test_every_task_has_a_title():
    tasks = set()
    for path in (ROOT / "aircan/recipes").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "task":
                tasks.add(node.args[0].value)
    assert tasks
    assert tasks <= set(words.TASKS)


def test_every_status_has_a_word():
    assert set(words.STATUSES) == {status.value for status in Status}


def test_facts_are_shown_in_the_manner_of_the_language():
    error = errors.TooLarge(size_bytes=99, limit_bytes=10737418240).to_dict()
    assert "10,737,418,240 bytes" in helpers.aircan_error(error)["sentence"]


def test_an_error_that_this_page_does_not_know_keeps_its_own_words():
    assert helpers.aircan_error({"code": "of_tomorrow", "message": "Out of tea."})["sentence"] == "Out of tea."
    assert helpers.aircan_error(None) == {"sentence": "", "advice": ""}


def test_a_code_that_this_page_does_not_know_can_be_read():
    assert helpers.aircan_warning({"code": "of_tomorrow"}) == "of tomorrow"
    assert helpers.aircan_reject({"code": "of_tomorrow", "line": 3, "facts": {"n": 1}}) == "of tomorrow: line 3, n 1"


def test_a_fact_that_is_missing_shows_as_a_question_mark():
    assert "line ?" in helpers.aircan_reason({"type": "text", "reason": {"code": "words", "value": "x"}})


def test_markup_in_a_fact_is_left_for_the_template_to_escape():
    assert "<b>" in helpers.aircan_reason({"type": "text", "reason": {"code": "words", "value": "<b>", "line": 2}})


def test_a_reason_says_why_with_its_first_proof():
    for field, sentence in [
        ({"type": "bool", "reason": {"code": "words"}}, "Every value is one of two words for true and false."),
        (
            {"type": "text", "reason": {"code": "words", "value": "UA", "line": 2}},
            "There are words, such as UA in line 2.",
        ),
        ({"type": "date", "reason": {"code": "layout", "layout": "%d %b %Y"}}, "One way of writing fits every value."),
        (
            {"type": "date", "reason": {"code": "layout", "value": "31/1/2024", "line": 1234, "count": 1}},
            "One way of writing fits every value; 31/1/2024 in line 1,234 shows which part is the day.",
        ),
        (
            {"type": "text", "reason": {"code": "leading_zero", "count": 3, "line": 18, "value": "00712"}},
            "A number would lose the zeros at the start: 00712 in line 18 (3 in all).",
        ),
        (
            {"type": "text", "reason": {"code": "decimal_comma", "count": 1, "line": 2, "value": "1,5"}},
            "There are decimal commas: 1,5 in line 2 (1 in all).",
        ),
    ]:
        assert helpers.aircan_reason(field) == sentence


def test_durations_are_said_as_people_say_them():
    for seconds, text in [
        (None, ""),
        (0.04, "0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (80, "1 min 20 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ]:
        assert helpers.aircan_duration(seconds) == text


def job(status: str = "RUNNING", **info) -> dict:
    began = (datetime.now(timezone.utc) - timedelta(seconds=10)).isoformat()
    return {"status": status, "started": began, "finished": None, "info": {"tasks": [], **info}}


def test_progress_counts_bytes_and_estimates_what_remains():
    told = helpers.aircan_progress(job(progress={"rows": 5, "bytes": 50, "total_bytes": 100}))
    assert told["percent"] == 50
    assert 9 <= told["remaining_s"] <= 12


def test_progress_by_phases():
    told = {"phase": "index", "share": 0.52, "percent": 75, "eta_s": 90, "rows": 7, "bytes": 9, "total_bytes": 9}
    since = (datetime.now(timezone.utc) - timedelta(seconds=4)).isoformat()
    running = {**job(progress=told), "last_report": since}
    seen = helpers.aircan_progress(running)
    assert (seen["percent"], seen["phase"], seen["share"], seen["rows"]) == (75, "index", 52, 7)
    assert 84 <= seen["remaining_s"] <= 87
    assert helpers.aircan_summary(running) == "75 %, Build the index for searching, about 1 min 26 s left in this step"


def test_a_phase_whose_end_nobody_knows():
    running = job(progress={"phase": "infer", "share": 0.0, "percent": 8, "eta_s": None})
    assert helpers.aircan_progress(running)["remaining_s"] is None
    assert helpers.aircan_summary(running) == "8 %, Decide the types"
    late = {**job(progress={"phase": "load", "share": 0.9, "percent": 40, "eta_s": 3}), "last_report": job()["started"]}
    assert helpers.aircan_progress(late)["remaining_s"] == 1


def test_progress_that_is_not_known_is_not_made_up():
    full, odd = {"bytes": 100, "total_bytes": 100}, {"bytes": 1, "total_bytes": 0}
    for progress in ({}, {"rows": 5}, full, odd, {"bytes": 1}):
        told = helpers.aircan_progress(job(progress=progress))
        assert told["percent"] is None
        assert told["remaining_s"] is None
        assert helpers.aircan_progress(job("DONE", progress=progress)) is None


def test_a_summary_is_one_line():
    assert helpers.aircan_summary(job("DONE", result={"rows": 12345, "rejected": 1})) == "12,345 rows, 1 row refused"
    assert helpers.aircan_summary(job("DONE")) == ""
    assert helpers.aircan_summary(job("FAILED", error=errors.FileEmpty().to_dict())) == "The file is empty."
    assert helpers.aircan_summary(job("FAILED")) == ""
    assert helpers.aircan_summary(job("WAITING")) == "waits to be taken up"
    assert helpers.aircan_summary(job(progress={"rows": 1})) == "1 row"


def test_a_moment_that_has_just_been_is_in_the_past():
    soon = (datetime.now(timezone.utc) + timedelta(seconds=2)).isoformat()
    assert helpers.aircan_ago(soon) == "1 second ago"

"""The last lines of a task: what is kept, what is hidden, and which line is the reason."""

from __future__ import annotations

import pytest

from ckanext.aircan_connector.factories.airflow import logs

KEY = "the key of this site, which is long"


@pytest.mark.parametrize(
    "line",
    [
        f"connecting with {KEY} now",
        "X-AirCan-Token: " + "a1" * 32,
        "token=" + "0f" * 32 + ";",
        "Authorization: Bearer abc.def",
        "authorization='Basic YWRtaW46YWRtaW4='",
        "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJhZG1pbiJ9.c2lnbmF0dXJl",
        "postgresql://user:secret@db.example/datastore",
    ],
)
def test_secrets_are_hidden(line):
    shown = logs.masked(line, (KEY,))
    assert logs.HIDDEN in shown
    for secret in (KEY, "a1a1", "0f0f", "abc.def", "YWRt", "c2ln", "secret"):
        assert secret not in shown


@pytest.mark.parametrize("line", ["12 rows in 3 parts", "https://example.org/a.csv", "sha256 of nothing", ""])
def test_other_lines_stay_as_they_are(line):
    assert logs.masked(line, (KEY, "")) == line


def test_the_last_lines_are_kept_in_order_and_cut():
    lines = logs.tail([f"line {n}" for n in range(100)] + ["x" * 2000], ())
    assert len(lines) == logs.MAX_LINES
    assert lines[0] == "line 71"
    assert len(lines[-1]) == logs.MAX_LINE


def test_where_the_log_is_and_folds_are_left_out():
    told = [
        " INFO - ::group::Log message source details",
        "*** Found local files:",
        "***   * /opt/airflow/logs/attempt=1.log",
        " INFO - ::endgroup::",
        "[2026-11-21T00:54:02.535+0000] {a.py:123} INFO - ::group::Pre task execution logs",
        "kept",
        "",
        "::endgroup::",
    ]
    assert logs.tail(told, ()) == ("kept",)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["ValueError: no rows", "Task failed"], "ValueError: no rows"),
        (["aircan.errors.wire.TokenRefused: The run token was refused."], None),
        (["[2026-11-21T10:00:00.1+0000] {taskinstance.py:3336} ERROR - Task failed with exception", "x"], None),
        (["started", "Task killed!"], "Task killed!"),
        (["ConnectionError: refused", "GatewayUnreachable: no way", "Note: more"], "GatewayUnreachable: no way"),
        (["airflow.exceptions.AirflowFailException: The file is empty."], "The file is empty"),
        (["only this"], "only this"),
        ([], ""),
    ],
)
def test_the_reason(lines, reason):
    wanted = {
        "aircan": "TokenRefused: The run token was refused",
        "[2026-": "Task failed with exception",
    }
    assert logs.reason(lines) == (wanted[lines[0][:6]] if reason is None else reason)


def test_events_of_airflow_3_with_their_errors_causes_first():
    events = [
        {"event": "Task failed", "error_detail": [{"exc_type": "Outer", "exc_value": "o"}, {"exc_type": "Inner"}]},
        "a plain line",
    ]
    assert logs.of_events(events) == ["Task failed", "Inner:", "Outer: o", "a plain line"]
    assert logs.of_events(None) == []

"""The judge itself: what fits a published document passes, what does not is named."""

from __future__ import annotations

import pytest

from .openapi import published

RUN = "/api/v2/dags/d/dagRuns"


def test_a_body_that_fits_passes():
    body = {"dag_run_id": "r", "logical_date": None, "conf": {"a": 1}}
    assert published("v2").wrong_in_request("POST", RUN, {}, body) == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"dag_run_id": "r"}, "'logical_date' is a required property"),
        ({"logical_date": None, "run_id": "r"}, "Additional properties are not allowed"),
        ({"logical_date": None, "conf": "text"}, "is not valid under any of the given schemas"),
    ],
)
def test_a_body_that_does_not_fit_is_named(body, words):
    assert words in " ".join(published("v2").wrong_in_request("POST", RUN, {}, body))


def test_a_path_a_parameter_and_a_status_that_are_not_described_are_named():
    v2 = published("v2")
    assert "is not described" in v2.wrong_in_request("GET", "/api/v2/nothing", {}, None)[0]
    assert "no parameter sort" in v2.wrong_in_request("GET", RUN, {"sort": "up"}, None)[0]
    assert "status 418" in v2.wrong_in_answer("GET", RUN, 418, "application/json", {})[0]
    assert "takes no body" in v2.wrong_in_request("GET", RUN, {}, {"a": 1})[0]


def test_null_is_a_value_only_where_the_document_says_so():
    """OpenAPI 3.0 has `nullable`."""
    v1 = published("v1")
    path = "/api/v1/dags/d/dagRuns/r"
    assert v1.wrong_in_answer("GET", path, 200, "application/json", {"note": None, "state": "queued"}) == []
    assert v1.wrong_in_answer("GET", path, 200, "application/json", {"conf": None})
    assert v1.wrong_in_answer("GET", path, 200, "application/json", {"state": "sleeping"})

"""Amazon MWAA, judged by botocore's own model of the service: its Stubber checks every request and answer."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError, ReadTimeoutError
from botocore.stub import ANY, Stubber

from aircan.errors import DagMissing, FactoryMisconfigured, FactoryUnreachable, RunRefused, SignInRefused
from ckanext.aircan_connector import factories
from ckanext.aircan_connector.factories.airflow.mwaa import MAX_PATH
from ckanext.aircan_connector.factories.base import Capability, State

from .player import published
from .record import job_id

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins"),
]

RUN = f"/dags/rec_good/dagRuns/{job_id('good')}"


def recorded(method, path, version="3.3.2", scenario="good"):
    """Return the last answer of a real Airflow to a request."""
    told = json.loads((Path(__file__).parent / "recordings" / f"airflow-{version}.json").read_text(encoding="utf-8"))
    same = [i for i in told["scenarios"][scenario] if (i["request"]["method"], i["request"]["path"]) == (method, path)]
    return same[-1]["answer"]["body"]


@pytest.fixture
def amazon(options, monkeypatch):
    """Amazon's client, stubbed: `expect` says what is to be asked, and what is answered."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")
    client = boto3.client("mwaa", region_name="eu-central-1")
    stubber = Stubber(client)
    monkeypatch.setattr(boto3, "client", lambda *args, **kwargs: client)
    options(auth="mwaa", mwaa_environment="portal", mwaa_region="eu-central-1", url="")

    def expect(method, path, answer, status=200, **given):
        wanted = {"Name": "portal", "Path": path, "Method": method, **given}
        told = {"RestApiStatusCode": status, "RestApiResponse": answer}
        if status < 400:
            stubber.add_response("invoke_rest_api", told, wanted)
        else:
            kind = "RestApiClientException" if status < 500 else "RestApiServerException"
            stubber.add_client_error("invoke_rest_api", kind, modeled_fields=told, expected_params=wanted)

    sent = []
    client.meta.events.register("provide-client-params.mwaa.InvokeRestApi", lambda params, **rest: sent.append(params))
    expect.sent = sent
    expect.stubber = stubber
    expect.client = client
    with stubber:
        yield expect
        stubber.assert_no_pending_responses()


def airflow():
    return factories.get("airflow")


def test_airflow_3_gets_a_real_date_and_no_null(amazon, order):
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    amazon("GET", "/dags/rec_good", recorded("GET", "/api/v2/dags/rec_good"))
    body = {"dag_run_id": job_id("good"), "logical_date": ANY, "run_after": ANY, "conf": ANY, "note": ANY}
    amazon("POST", "/dags/rec_good/dagRuns", recorded("POST", "/api/v2/dags/rec_good/dagRuns"), Body=body)
    assert airflow().submit(order("good", "rec_good")).factory_id == f"rec_good/{job_id('good')}"
    _, _, started = amazon.sent
    assert None not in started["Body"].values()
    assert datetime.fromisoformat(started["Body"]["logical_date"]).tzinfo is not None
    assert wrong(started) == []


def wrong(sent):
    """Return what Airflow's own document finds wrong in a request that went through Amazon's API."""
    if published is None:
        return []
    path = "/api/v2" + sent["Path"]
    return published("v2").wrong_in_request(sent["Method"], path, sent.get("QueryParameters", {}), sent.get("Body"))


def test_airflow_2_is_known_by_its_number(amazon, order):
    amazon("GET", "/version", {"version": "2.10.3", "git_version": None})
    amazon("GET", "/dags/rec_good", recorded("GET", "/api/v1/dags/rec_good", "2.11.2"))
    body = {"dag_run_id": job_id("good"), "conf": ANY, "note": ANY}
    answer = recorded("POST", "/api/v1/dags/rec_good/dagRuns", "2.11.2")
    amazon("POST", "/dags/rec_good/dagRuns", answer, Body=body)
    airflow().submit(order("good", "rec_good"))


def test_tasks_are_asked_for_by_a_path_that_is_short_enough(amazon):
    """A path may have 64 characters; the one of a run's tasks has more."""
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    amazon("GET", RUN, recorded("GET", f"/api/v2{RUN}"))
    wanted = {"dag_ids": ["rec_good"], "dag_run_ids": [job_id("good")], "page_limit": 100, "page_offset": 0}
    tasks = recorded("GET", f"/api/v2{RUN}/taskInstances")
    amazon("POST", "/dags/~/dagRuns/~/taskInstances/list", tasks, Body=wanted)
    seen = airflow().see(f"rec_good/{job_id('good')}")
    assert seen.state is State.SUCCEEDED
    assert [task.id for task in seen.tasks] == ["first", "second"]
    assert seen.url == ""
    assert [text for sent in amazon.sent for text in wrong(sent)] == []


@pytest.mark.parametrize("dag_id", ["aircan_load", "aircan_doctor"])
def test_our_dags_fit_into_a_path(dag_id):
    assert len(f"/dags/{dag_id}/dagRuns/{job_id('good')}") <= MAX_PATH


def test_a_dag_whose_name_is_too_long_is_told(amazon):
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    with pytest.raises(FactoryMisconfigured, match="the name of the DAG makes it longer"):
        airflow().see(f"aircan_api_load/{job_id('good')}")


def test_of_a_failed_run_there_is_no_log(amazon):
    run = f"/dags/rec_fails/dagRuns/{job_id('fails')}"
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    amazon("GET", run, recorded("GET", f"/api/v2{run}", scenario="fails"))
    tasks = recorded("GET", f"/api/v2{run}/taskInstances", scenario="fails")
    amazon("POST", "/dags/~/dagRuns/~/taskInstances/list", tasks, Body=ANY)
    seen = airflow().see(f"rec_fails/{job_id('fails')}")
    assert (seen.state, seen.error.facts["task"]) == (State.FAILED, "load")
    assert Capability.LOGS not in airflow().capabilities
    assert Capability.CANCEL in airflow().capabilities


def test_a_run_is_stopped(amazon):
    run = f"/dags/rec_good/dagRuns/{job_id('good')}"
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    amazon("GET", run, {**recorded("GET", f"/api/v2{RUN}"), "state": "running"})
    amazon("PATCH", run, recorded("GET", f"/api/v2{RUN}"), Body={"state": "failed", "note": ANY})
    airflow().cancel(f"rec_good/{job_id('good')}")
    assert [text for sent in amazon.sent for text in wrong(sent)] == []


def test_refusals_of_airflow_come_through(amazon, order):
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    amazon("GET", "/dags/rec_good", {"detail": "The Dag with ID: `rec_good` was not found"}, status=404)
    errors = {"import_errors": [], "total_entries": 0}
    amazon("GET", "/importErrors", errors, QueryParameters={"limit": "100"})
    with pytest.raises(DagMissing):
        airflow().submit(order("good", "rec_good"))


def test_the_same_run_again_must_be_ours(amazon, order):
    amazon("GET", "/version", {"version": "3.0.6", "git_version": None})
    amazon("GET", "/dags/rec_good", recorded("GET", "/api/v2/dags/rec_good"))
    amazon("POST", "/dags/rec_good/dagRuns", {"detail": {"reason": "Unique constraint violation"}}, 409, Body=ANY)
    amazon("GET", RUN, {**recorded("GET", f"/api/v2{RUN}"), "conf": {}})
    with pytest.raises(RunRefused, match="not this site's"):
        airflow().submit(order("good", "rec_good"))


def test_failure_of_airflow_passes(amazon, order):
    amazon("GET", "/version", {"detail": "down"}, status=503)
    with pytest.raises(FactoryUnreachable, match="status 503"):
        airflow().submit(order("good", "rec_good"))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("AccessDeniedException", SignInRefused),
        ("ExpiredTokenException", SignInRefused),
        ("ResourceNotFoundException", FactoryMisconfigured),
        ("ThrottlingException", FactoryUnreachable),
        ("InternalServerException", FactoryUnreachable),
    ],
)
def test_refusals_of_amazon(amazon, order, code, error):
    amazon.stubber.add_client_error("invoke_rest_api", code, "no")
    with pytest.raises(error, match=code):
        airflow().submit(order("good", "rec_good"))


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (NoCredentialsError(), SignInRefused),
        (EndpointConnectionError(endpoint_url="https://env.airflow.example"), FactoryUnreachable),
        (ReadTimeoutError(endpoint_url="https://env.airflow.example"), FactoryUnreachable),
    ],
)
def test_amazon_cannot_be_asked(amazon, order, monkeypatch, trouble, error):
    def fails(**given):
        raise trouble

    monkeypatch.setattr(amazon.client, "invoke_rest_api", fails)
    with pytest.raises(error):
        airflow().submit(order("good", "rec_good"))


def test_library_that_is_missing_is_named_with_what_to_install(options, order, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    options(auth="mwaa", mwaa_environment="portal", url="")
    with pytest.raises(FactoryMisconfigured, match=r"pip install ckanext-aircan-connector\[mwaa\]"):
        airflow().submit(order("good"))


def test_region_that_nobody_says(options, order, monkeypatch):
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    options(auth="mwaa", mwaa_environment="portal", url="")
    with pytest.raises(FactoryMisconfigured, match="region"):
        airflow().submit(order("good"))

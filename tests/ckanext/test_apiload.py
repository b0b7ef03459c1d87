"""The DAG aircan_api_load against a real CKAN, with our extension and without a job of it."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest
from ckan.tests import factories, helpers

from aircan import apiload
from aircan.contract import Report
from aircan.errors import ApiRefused, JobStopped, OrderRefused, ValueRefused
from aircan.status import Status
from ckanext.aircan_connector import config, jobs, orders

from .conftest import row_of
from .serving import Proxy, served

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.ckan_config("ckanext.aircan_connector.submit.on_change", False),
    pytest.mark.ckan_config("ckanext.aircan_connector.local.key", "the-key-of-the-factory"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

DATA = b"code,amount\n007,1.50\n010,\n"


@dataclass
class Connection:
    host: str | None
    password: str | None
    extra_dejson: dict[str, Any] = field(default_factory=dict)
    port: int | None = None
    schema: str | None = None


@dataclass
class DagRun:
    conf: dict[str, Any] | None
    run_id: str = "manual__2026"
    dag_id: str = "aircan_api_load"


@pytest.fixture
def proxy(make_app) -> Proxy:
    return Proxy(make_app().app)


@pytest.fixture
def scene(proxy, people, upload):
    """Return (address, token of an editor, resource of a private dataset with an uploaded file)."""
    dataset = factories.Dataset(owner_org=people["organisation"]["id"], private=True)
    resource = upload(dataset["id"], DATA, filename="ä b.csv")
    editor = people["editor"]["name"]
    token = helpers.call_action("api_token_create", {"user": editor}, user=editor, name="t")["token"]
    with served(proxy) as url:
        yield url, token, resource


def run(conf, url, token, **extra):
    return apiload.load(apiload.ApiRun.of(DagRun(conf), Connection(url, token, extra)))


def table(resource):
    return helpers.call_action("datastore_search", resource_id=resource["id"])["records"]


def order_of(resource):
    job = jobs.submit(resource=resource["id"], dataset=resource["package_id"], user=None, name="a", mark="m")
    return job["id"], {**orders.make(job).to_dict(), "site_url": "http://elsewhere.example"}


def test_a_person_names_a_resource_and_its_private_upload_is_loaded(scene, caplog):
    url, token, resource = scene
    caplog.set_level(logging.INFO)
    assert run({"resource_id": resource["id"], "url": "", "params": {}}, url, token) == {
        "status": "DONE",
        "rows": 2,
        "rejected": 0,
    }
    assert [(r["code"], r["amount"]) for r in table(resource)] == [("007", 1.5), ("010", None)]
    assert "publish: DONE The table holds 2 rows." in caplog.text
    assert token not in caplog.text


def test_parameters_and_a_persons_types_count(scene):
    url, token, resource = scene
    given = [{"id": "amount", "type": "numeric", "info": {"type_override": "text"}}]
    helpers.call_action("datastore_create", resource_id=resource["id"], fields=given, force=True)
    run({"resource_id": resource["id"], "params": {"skip_lines": 0}}, url, token)
    assert [r["amount"] for r in table(resource)] == ["1.50", None]


def test_a_job_of_ckan_learns_how_it_went(scene):
    url, token, resource = scene
    job_id, order = order_of(resource)
    run(order, url, token, key=config.local_key())
    row = row_of(job_id)
    assert (row["status"], row["info"]["result"]["rows"]) == (Status.DONE.value, 2)
    assert [task["id"] for task in row["info"]["tasks"]] == ["fetch", "sniff", "infer", "load", "publish"]


def test_a_job_of_ckan_learns_why_it_failed(scene, proxy):
    url, token, resource = scene
    job_id, order = order_of(resource)
    proxy.plan = lambda action, _number: 404 if action.endswith(".csv") else None
    with pytest.raises(Exception) as caught:
        run(order, url, token, previous_key="x", key=config.local_key())
    row = row_of(job_id)
    assert row["status"] == Status.FAILED.value
    assert row["info"]["error"]["code"] == caught.value.code == "link_refused"


def test_a_job_of_ckan_learns_of_a_wrong_token(scene):
    url, _token, resource = scene
    job_id, order = order_of(resource)
    with pytest.raises(ApiRefused):
        run(order, url, "wrong", key=config.local_key())
    assert row_of(job_id)["info"]["error"]["code"] == "api_refused"


def test_a_cancelled_job_takes_its_rows_back(scene, proxy):
    url, token, resource = scene
    job_id, order = order_of(resource)

    def cancel(action, number):
        if action == "insert" and number == 1:
            jobs.report(job_id, Report(Status.RUNNING))
            jobs.cancel(job_id, "Cancelled.")

    proxy.plan = cancel
    with pytest.raises(JobStopped):
        run(order, url, token, key=config.local_key())
    assert row_of(job_id)["status"] == Status.CANCELLED.value
    assert not helpers.call_action("resource_show", {"user": "x"}, id=resource["id"]).get("datastore_active")


WORKER = """
import json, sys
from types import SimpleNamespace
from aircan import apiload
told = json.load(sys.stdin)
connection = SimpleNamespace(host=told["url"], password=told["token"], port=None, schema=None, extra_dejson={})
run = apiload.ApiRun.of(SimpleNamespace(conf={"resource_id": told["resource"]}, run_id="r", dag_id="d"), connection)
apiload.load(run)
"""


def test_a_task_that_is_told_to_end_takes_its_rows_back(scene, proxy, upload):
    """SIGTERM comes when the first of two requests with rows is done."""
    url, token, resource = scene
    large = b"code,amount\n" + b"".join(b"%03d,%s\n" % (n, b"word " * 140_000) for n in range(12))
    resource = upload(resource["package_id"], large)
    given = [{"id": "code", "type": "text"}, {"id": "amount", "type": "text"}]
    helpers.call_action(
        "datastore_create", resource_id=resource["id"], fields=given, records=[{"code": "old"}], force=True
    )
    ended: list[int] = []

    def end(action, number):
        if action == "insert" and number == 2:
            worker.terminate()
            ended.append(number)
            return 503
        return None

    proxy.plan = end
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, text=True)
    worker.communicate(json.dumps({"url": url, "token": token, "resource": resource["id"]}), timeout=120)
    assert (worker.returncode, len(ended)) == (128 + signal.SIGTERM, 1)
    assert [r["code"] for r in table(resource)] == ["old"]


def test_the_token_goes_to_the_connections_address_alone(scene, proxy):
    """The order says another address; and its link is fetched without a token."""
    url, token, resource = scene
    link = f"{url}/dataset/{resource['package_id']}/resource/{resource['id']}/download/a.csv"
    seen = len(proxy.headers)
    with pytest.raises(Exception) as caught:
        run({"resource_id": resource["id"], "url": link}, url, token, allow_hosts="127.0.0.1")
    assert caught.value.code == "link_refused"
    with_token = [name for name, h in zip(proxy.asked[seen:], proxy.headers[seen:], strict=True) if token in h.values()]
    assert "a.csv" in proxy.asked
    assert "a.csv" not in with_token


def test_a_value_that_ckan_refuses_is_named_by_its_line(scene):
    """Its own trigger refuses what the type allows."""
    url, token, resource = scene
    given = [{"id": "code", "type": "text"}, {"id": "amount", "type": "numeric"}]
    helpers.call_action("datastore_create", resource_id=resource["id"], fields=given, force=True)
    helpers.call_action(
        "datastore_function_create",
        name="no_010",
        or_replace=True,
        rettype="trigger",
        definition="BEGIN IF NEW.code = '010' THEN RAISE EXCEPTION 'no \"010\"'; END IF; RETURN NEW; END;",
    )
    helpers.call_action("datastore_create", resource_id=resource["id"], triggers=[{"function": "no_010"}], force=True)
    with pytest.raises(ValueRefused) as caught:
        run({"resource_id": resource["id"]}, url, token)
    assert {name: caught.value.facts[name] for name in ("line", "field", "value")} == {
        "line": 3,
        "field": "code",
        "value": "010",
    }


@pytest.mark.parametrize(
    ("conf", "field"),
    [
        ({}, "resource_id"),
        (None, "resource_id"),
        ({"resource_id": 7}, "resource_id"),
        ({"resource_id": "r", "params": 1}, "params"),
    ],
)
def test_what_a_person_left_out_is_named(scene, conf, field):
    url, token, resource = scene
    if conf and conf.get("resource_id") == "r":
        conf = {**conf, "resource_id": resource["id"]}
    with pytest.raises(OrderRefused) as caught:
        run(conf, url, token)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize(
    ("host", "password", "field"),
    [
        (None, "t", "connection.host"),
        ("ckan.example", "t", "connection.host"),
        ("http://c", None, "connection.password"),
    ],
)
def test_a_connection_that_lacks_something_is_refused(host, password, field):
    with pytest.raises(OrderRefused) as caught:
        apiload.ApiRun.of(DagRun({}), Connection(host, password))
    assert caught.value.facts["field"] == field


def test_secrets_are_named_so_that_they_can_be_masked():
    made = apiload.ApiRun.of(DagRun({"job_id": "j"}), Connection("http://c", "token-1", {"key": "key-1"}))
    assert made.secrets[:2] == ["token-1", "key-1"]
    assert len(made.secrets) == 3
    assert not [secret for secret in made.secrets if secret in repr(made)]

"""A worker by hand, `aircan run --key-env`: a whole run outside CKAN, through the gateway over real HTTP."""

from __future__ import annotations

import io
import json
import threading
import time

import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from aircan.cli import main
from aircan.keys import run_token
from ckanext.aircan_connector import factories, jobs, orders
from tests.ckanext.datastore.conftest import search

from .conftest import IN_CKAN

pytestmark = IN_CKAN

FILE = "id;name;day\n1;Zoë;2024-05-13\n2;Ben;2024-05-14\n3;only two\n4;Cleo;2024-05-31\n".encode()


@pytest.fixture
def key(monkeypatch):
    """The factory's key, which stands in the environment as well."""
    found = factories.get("local").keys()[0]
    monkeypatch.setenv("KEY_OF_THE_FACTORY", found)
    return found


@pytest.fixture
def job():
    """Make a job for an uploaded file that was handed over to a factory elsewhere."""

    def make(data=FILE, **params):
        dataset = ckan_factories.Dataset()["id"]
        given = {"package_id": dataset, "format": "CSV", "name": "Größen", "url": "größen.csv"}
        upload = FileStorage(io.BytesIO(data), "größen.csv")
        resource = helpers.call_action("resource_create", {"ignore_auth": True}, upload=upload, **given)
        found = jobs.submit(
            resource=resource["id"], dataset=dataset, user=None, name="x", mark="m", params={"threads": 1, **params}
        )
        assert jobs.handed_over(found["id"], f"elsewhere/{found['id']}")
        return found

    return make


@pytest.fixture
def by_hand(served, queue, key, tmp_path):
    """Carry a job out with the command, while CKAN's background worker does its part; return the exit code."""

    def run(job, *options):
        order = {**orders.make(job).to_dict(), "site_url": served}
        path = tmp_path / "order.json"
        path.write_text(json.dumps(order), encoding="utf-8")
        codes = []
        arguments = ["run", str(path), "--key-env", "KEY_OF_THE_FACTORY", *options]
        thread = threading.Thread(target=lambda: codes.append(main(arguments)))
        thread.start()
        end = time.monotonic() + 300
        while thread.is_alive() and time.monotonic() < end:
            queue()
            thread.join(timeout=0.1)
        assert codes
        return codes[0]

    return run


def test_a_run_outside_is_like_one_inside(job, by_hand, key, capsys):
    found = job(max_reject_share=1)
    assert by_hand(found) == 0
    info = jobs.get(found["id"])["info"]
    records = search(found["resource"])["records"]
    assert [(record["_id"], record["name"], record["day"][:10]) for record in records] == [
        (1, "Zoë", "2024-05-13"),
        (2, "Ben", "2024-05-14"),
        (3, "Cleo", "2024-05-31"),
    ]
    assert (info["result"]["rows"], info["result"]["rejected"], info["result"]["delimiter"]) == (3, 1, ";")
    assert {task["id"]: task["status"] for task in info["tasks"]} == dict.fromkeys(
        ["fetch", "sniff", "infer", "load", "publish"], "DONE"
    )
    assert jobs.get(found["id"])["status"] == "DONE"
    told = capsys.readouterr()
    assert "Done: 3 rows." in told.out
    assert not [s for s in (key, run_token(key, found["id"])) if s in told.out + told.err + json.dumps(info)]


def test_a_run_that_fails_outside_says_why_inside(job, by_hand, capsys):
    found = job(b"%PDF-1.7 no table")
    assert by_hand(found) == 1
    row = jobs.get(found["id"])
    assert (row["status"], row["info"]["error"]["code"]) == ("FAILED", "format_unknown")
    assert "format_unknown" in capsys.readouterr().err


def test_another_key_opens_nothing(job, by_hand, monkeypatch, capsys):
    found = job()
    monkeypatch.setenv("KEY_OF_THE_FACTORY", "another")
    assert by_hand(found) == 1
    assert "token_refused" in capsys.readouterr().err
    assert jobs.get(found["id"])["status"] == "WAITING"


def test_a_job_that_is_over_is_not_begun(job, by_hand, capsys):
    found = job()
    jobs.cancel(found["id"], "no more")
    assert by_hand(found) == 1
    assert "cancelled" in capsys.readouterr().err
    assert jobs.get(found["id"])["status"] == "CANCELLED"

from __future__ import annotations

import json

import pytest
from ckan.cli.cli import ckan as ckan_cli
from ckan.tests import factories as ckan_factories

from ckanext.aircan_connector import reconcile

from .conftest import row_of

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]


@pytest.fixture
def run(cli):
    """Call `ckan aircan ...`; return (exit code, what it printed)."""

    def call(*args: str) -> tuple[int, str]:
        result = cli.invoke(ckan_cli, ["aircan", *args])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output

    return call


def as_json(printed: str):
    """Return the JSON in what was printed; log lines may stand before it."""
    lines = printed.splitlines()
    start = next(n for n, line in enumerate(lines) if line in ("{", "["))
    return json.loads("\n".join(lines[start:]))


@pytest.fixture
def resource():
    dataset = ckan_factories.Dataset(resources=[{"url": "http://example.org/a.dat", "format": "DAT", "name": "a"}])
    return dataset["resources"][0]["id"]


def test_submit_list_show_cancel_retry(run, resource):
    code, printed = run("submit", resource, "--params", '{"delimiter": ";"}', "--json")
    job = as_json(printed)
    assert (code, job["status"], job["info"]["params"]) == (0, "WAITING", {"delimiter": ";"})
    assert as_json(run("list", "--resource", resource, "--json")[1])["count"] == 1
    assert "Submitted." in run("show", job["id"])[1]
    assert run("cancel", job["id"])[0] == 0
    assert row_of(job["id"])["status"] == "CANCELLED"
    again = as_json(run("retry", job["id"], "--json")[1])
    assert again["retry_of"] == job["id"]


def test_words_without_json(run, resource):
    run("submit", resource)
    printed = run("list")[1]
    assert "WAITING" in printed
    assert "1 run" in printed


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["submit", "nowhere"], "nowhere"),
        (["show", "nothing"], "nothing"),
        (["cancel", "nothing"], "nothing"),
        (["list", "--status", "PENDING"], "status"),
    ],
)
def test_bad_input_is_a_line_and_an_exit_code(run, args, words):
    code, printed = run(*args)
    assert code == 1
    assert words in printed
    assert "Traceback" not in printed


def test_reconcile_once(run):
    assert as_json(run("reconcile", "--json")[1]) == {
        "active": 0, "looked_after": 0, "tables_dropped": 0, "jobs_deleted": 0, "settings_deleted": 0,
    }  # fmt: skip


def test_reconcile_loop_outlives_a_round_that_fails(run, monkeypatch):
    rounds = []

    def one_round():
        rounds.append(1)
        if len(rounds) == 1:
            raise RuntimeError("the database is away")
        raise KeyboardInterrupt

    monkeypatch.setattr(reconcile, "reconcile", one_round)
    monkeypatch.setattr("ckanext.aircan_connector.cli.time.sleep", lambda seconds: None)
    run("reconcile", "--loop")
    assert len(rounds) == 2


def test_doctor_names_what_is_missing(run):
    code, printed = run("doctor", "--json")
    found = {finding["name"]: finding for finding in as_json(printed)}
    assert code == 1
    assert (found["options"]["ok"], found["tables"]["ok"], found["datastore"]["ok"]) == (True, True, True)
    assert found["factory"]["ok"] is False
    assert "ckan jobs worker" in found["factory"]["message"]


def test_settings(run, resource):
    assert run("settings", resource)[1].strip().endswith("as this site does.")
    pairs = ["delimiter=;", "header_rows=2", "strip=true", 'null_words=["NA"]', "member=7"]
    kept = as_json(run("settings", resource, *pairs, "--json")[1])["params"]
    assert kept == {"delimiter": ";", "header_rows": 2, "strip": True, "null_words": ["NA"], "member": "7"}
    code, printed = run("settings", resource, "delimiter=", "header_rows=1")
    assert (code, "header_rows = 1" in printed, "delimiter" in printed) == (0, True, False)
    assert as_json(run("settings", resource, "--clear", "strip=false", "--json")[1])["params"] == {"strip": False}


@pytest.mark.parametrize("pair", ["header_rows=9", "depth=1", "strip"])
def test_settings_that_cannot_be_used(run, resource, pair):
    code, printed = run("settings", resource, pair)
    assert code != 0
    assert pair.partition("=")[0] in printed
    assert "Traceback" not in printed

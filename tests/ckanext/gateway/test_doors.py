"""Who gets in: the run token of this very job while it is active, and nothing else."""

from __future__ import annotations

import io
import logging
import uuid

import pytest
from ckan.tests import factories as ckan_factories
from sqlalchemy.engine import make_url

from aircan.errors import FactoryUnavailable, leaves
from aircan.keys import run_token
from aircan.status import Status
from ckanext.aircan_connector import background, checks, config, factories, gateway, gateway_views, jobs, tokens

from ..conftest import force, row_of
from ..datastore.conftest import fields, part
from .conftest import Worker

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "clean_redis"),
]

DOORS = [
    ("GET", "/file"),
    ("HEAD", "/file"),
    ("GET", "/columns"),
    ("PUT", "/stage"),
    ("DELETE", "/stage"),
    ("PUT", "/parts/0"),
    ("POST", "/publish"),
    ("GET", "/publish"),
]


def another(worker, app, submit, word):
    """Return the worker with something wrong about it."""
    key = factories.get("local").keys()[0]
    if word == "another job's token":
        worker.token = run_token(key, submit(resource="r2")["id"])
    elif word == "wrong key":
        worker.token = run_token(key + "x", worker.job_id)
    elif word == "changed id":
        worker = Worker(app, str(uuid.uuid4()), worker.token, worker.resource)
    elif word == "changed case of the id":
        worker = Worker(app, worker.job_id.upper(), run_token(key, worker.job_id.upper()), worker.resource)
    elif word == "id that is none":
        worker = Worker(app, "x%0aINFO", worker.token, worker.resource)
    else:
        worker.token = {"no token": "", "odd token": "\xff\xfe", "token of no key": run_token("", worker.job_id)}[word]
    return worker


WRONG = [
    "another job's token",
    "wrong key",
    "changed id",
    "changed case of the id",
    "id that is none",
    "no token",
    "odd token",
    "token of no key",
]


@pytest.mark.parametrize("wrong", WRONG)
def test_every_way_to_be_wrong_gets_the_same_answer(worker, app, submit, caplog, wrong):
    right = worker.token
    worker = another(worker, app, submit, wrong)
    for count, (method, door) in enumerate(DOORS, 1):
        with caplog.at_level(logging.DEBUG):
            answer = worker.ask(method, door)
        assert answer.status == 403
        assert method == "HEAD" or answer.json == {"error": {**leaves()["token_refused"]().to_dict(), "detail": ""}}
        assert background.refused_tokens() == count
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert said.count("A run token was refused") == len(DOORS)
    assert right not in said
    assert not worker.token or worker.token not in said
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("ckanext.aircan")]
    assert not any("\n" in line for line in ours)


def test_the_token_of_a_factory_that_is_gone_is_refused(worker, monkeypatch):
    def gone(name):
        raise FactoryUnavailable("gone", factory=name)

    monkeypatch.setattr(factories, "get", gone)
    answer = worker.ask("GET", "/columns")
    assert (answer.status, answer.code) == (403, "token_refused")


def test_an_empty_key_opens_nothing(worker, monkeypatch):
    monkeypatch.setattr(factories.Local, "keys", lambda self: ("", "real"))
    worker.token = run_token("", worker.job_id)
    assert worker.ask("GET", "/columns").status == 403
    worker.token = run_token("real", worker.job_id)
    assert worker.ask("GET", "/columns").status == 200


@pytest.mark.parametrize("key", ["new", "old"])
def test_two_keys_are_valid_while_a_key_is_changed(worker, monkeypatch, key):
    monkeypatch.setattr(factories.Local, "keys", lambda self: ("new", "old"))
    worker.token = run_token(key, worker.job_id)
    assert worker.ask("GET", "/columns").status == 200
    told = {"job_id": worker.job_id, "status": "RUNNING", "token": worker.token}
    assert worker._client.post("/api/3/action/aircan_status_update", json=told).status_code == 200


@pytest.mark.parametrize("status", [Status.DONE, Status.FAILED, Status.CANCELLED])
def test_the_doors_close_with_the_job(worker, status, caplog):
    right = worker.token
    force(worker.job_id, status)
    for count, (method, door) in enumerate(DOORS, 1):
        worker.token = right
        with caplog.at_level(logging.DEBUG):
            answer = worker.ask(method, door)
        assert answer.status == 410
        assert background.refused_tokens(background.LATE) == count
        if method != "HEAD":
            assert (answer.code, answer.facts) == ("job_closed", {"status": status.value})
            worker.token = "0" * 64
            assert worker.ask(method, door).code == "token_refused"
    assert caplog.text.count(f"of job {worker.job_id}: job_closed") == len(DOORS)
    assert right not in caplog.text
    assert background.refused_tokens() == len([method for method, _ in DOORS if method != "HEAD"])


def test_the_doctor_tells_how_many_came_too_late(worker):
    force(worker.job_id, Status.CANCELLED)
    worker.ask("GET", "/columns")
    (found,) = [finding for finding in checks.findings() if finding.name == "tokens"]
    assert found.ok
    assert found.message.startswith("1 requests with the token of a run that is over")


def test_a_waiting_job_is_open(worker):
    assert row_of(worker.job_id)["status"] == "WAITING"
    assert worker.ask("GET", "/columns").status == 200


@pytest.mark.parametrize("known", [True, False])
def test_the_token_is_compared_for_a_job_that_is_not_there_too(worker, monkeypatch, known):
    """So the time that an answer takes does not tell which jobs there are."""
    compared = []
    monkeypatch.setattr(tokens, "is_run_token", lambda token, keys, job_id: bool(compared.append(keys)))
    job = row_of(worker.job_id) if known else None
    with pytest.raises(leaves()["token_refused"]):
        tokens.check("x", job, door="test")
    assert len(compared) == 1
    assert len(compared[0]) == 1


def test_without_redis_a_wrong_token_is_refused_all_the_same(worker, monkeypatch, caplog):
    monkeypatch.setattr(config, "redis_url", lambda: "redis://127.0.0.1:1/0")
    worker.token = "wrong"
    assert worker.ask("GET", "/columns").code == "token_refused"
    assert "was not counted: ConnectionError" in caplog.text
    assert background.refused_tokens() is None


def test_the_doctor_tells_how_many_tokens_were_refused(worker):
    worker.token = "wrong"
    worker.ask("GET", "/columns")
    worker.ask("GET", "/file")
    (found,) = [finding for finding in checks.findings() if finding.name == "tokens"]
    assert found.ok
    assert found.message.startswith("2 requests with a wrong run token")


@pytest.mark.ckan_config("ckan.csrf_protection.ignore_extensions", False)
def test_a_session_and_ckans_check_of_forms_do_not_matter(worker, app):
    """A cookie of somebody who is logged in neither opens a door nor makes CKAN ask for its own token."""
    user = ckan_factories.Sysadmin(password="a long password")
    said = {"login": user["name"], "password": "a long password"}
    assert worker._client.post("/user/login", data=said, follow_redirects=False).status_code == 302
    app.flask_app.config["WTF_CSRF_ENABLED"] = True
    assert worker._client.post("/user/edit", data={}, follow_redirects=False).status_code == 400
    assert worker.begin(fields(a="text")).status == 200
    assert worker.put(part([["x"]])).status == 200
    assert worker.publish(1).status == 202
    worker.token = "wrong"
    assert worker.ask("DELETE", "/stage").status == 403


def test_nothing_is_kept_by_caches(worker):
    """CKAN lets proxies keep what anonymous visitors get, for as long as ckan.cache_expires says."""
    right = worker.token
    for method, door in DOORS:
        for token in (right, "wrong"):
            worker.token = token
            kept = worker.ask(method, door).headers["Cache-Control"]
            assert "no-store" in kept
            assert "private" in kept
            assert "public" not in kept


def test_what_goes_wrong_with_us_is_no_page_and_shows_nothing(worker, monkeypatch, caplog):
    def broken(job):
        raise ZeroDivisionError("postgresql://user:secret@host/db")

    monkeypatch.setattr(gateway, "columns", broken)
    answer = worker.ask("GET", "/columns")
    assert (answer.status, answer.code) == (500, "unexpected")
    assert b"secret" not in answer.data
    assert b"ZeroDivision" not in answer.data
    assert worker.token not in caplog.text


def test_no_answer_holds_an_address_or_a_password(worker, monkeypatch):
    """Not even when the DataStore is away, and its driver says where it looked for it."""
    real = make_url(config.datastore_write_url())
    away = real.set(port=1).render_as_string(hide_password=False)
    monkeypatch.setattr(config, "datastore_write_url", lambda: away)
    secrets = [
        away,
        real.password,
        f"{real.host}:{real.port}",
        str(real.host),
        str(real.database),
        config.site_secret(),
    ]
    told = {"fields": [f.to_dict() for f in fields(a="text")], "rows": 1}
    for method, door in DOORS:
        body = {"data": b"1,x\n", "headers": {"X-AirCan-Rows": "1"}} if door == "/parts/0" else {"json": told}
        answer = worker.ask(method, door, **body)
        if door != "/file" and (method, door) != ("GET", "/publish"):
            assert (answer.status, answer.code) == (503, "datastore_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
        for secret in secrets:
            assert secret not in answer.data.decode() + str(answer.headers)


STATUSES = {
    400: ["request_refused", "part_broken"],
    403: ["token_refused"],
    404: ["source_missing"],
    409: ["stage_missing", "stage_closed"],
    410: ["job_closed", "job_stopped"],
    411: ["length_missing"],
    413: ["body_too_large"],
    422: ["value_refused", "rows_missing", "key_not_unique", "too_many_columns", "table_in_use"],
    500: ["datastore_misconfigured", "load_failed", "unexpected"],
    503: ["table_busy", "datastore_unavailable", "factory_unavailable"],
}


def test_status_of_an_error():
    found = {code: gateway_views.status_of(leaves()[code]()) for codes in STATUSES.values() for code in codes}
    assert found == {code: status for status, codes in STATUSES.items() for code in codes}


def test_a_body_is_read_to_its_end_though_nobody_wants_it(worker):
    """Else who sends it sees a broken connection instead of the answer."""
    worker.token = "wrong"
    body = io.BytesIO(b"x" * 200_000)
    environ = {"CONTENT_LENGTH": "200000", "wsgi.input": body}
    answer = worker.ask("PUT", "/parts/0", environ_overrides=environ)
    assert (answer.status, body.tell()) == (403, 200_000)


def test_reports_move_the_job_that_the_gateway_serves(worker):
    told = {"job_id": worker.job_id, "status": "DONE", "token": worker.token, "result": {"rows": 1}}
    assert worker._client.post("/api/3/action/aircan_status_update", json=told).status_code == 200
    assert jobs.get(worker.job_id)["status"] == "DONE"
    assert worker.ask("GET", "/columns").code == "job_closed"


def test_an_odd_token_of_a_report_is_refused_not_stumbled_over(worker):
    told = {"job_id": worker.job_id, "status": "DONE", "token": "\ud800"}
    assert worker._client.post("/api/3/action/aircan_status_update", json=told).status_code == 403

"""What may go wrong between CKAN and Airflow: each ends in a clear error, and nothing is done twice."""

from __future__ import annotations

import socket
import threading

import pytest

from aircan.errors import (
    FactoryMisconfigured,
    FactoryUnreachable,
    NotTheFactory,
    SignInRefused,
)
from ckanext.aircan_connector import factories
from ckanext.aircan_connector.factories.airflow import factory as factory_module
from ckanext.aircan_connector.factories.airflow import signin
from ckanext.aircan_connector.factories.base import State

from .player import Answered
from .record import job_id

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins"),
]

PAGE = "<!doctype html><html><body>Bad gateway</body></html>"
DAG_RUNS = "/dagRuns$"


def airflow():
    return factories.get("airflow")


def test_nobody_listens(options, order, nobody):
    options(url=nobody)
    with pytest.raises(FactoryUnreachable, match="the connection failed"):
        airflow().submit(order("good"))
    assert "the connection failed" in airflow().health().message


def test_somebody_listens_and_never_answers(options, order):
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        options(url=f"http://127.0.0.1:{door.getsockname()[1]}", timeout_s=1)
        with pytest.raises(FactoryUnreachable, match="no answer within 1 seconds"):
            airflow().submit(order("good"))


def test_answer_lost_after_the_order_had_arrived(playing, order):
    """The same order again finds the run, sees that it is ours, and starts no second one."""
    player = playing("3.3.2", "twice")
    player.fault("POST", DAG_RUNS, Answered(cut=True), early=False)
    with pytest.raises(FactoryUnreachable):
        airflow().submit(order("twice", "rec_good"))
    assert airflow().submit(order("twice", "rec_good")).factory_id == f"rec_good/{job_id('twice')}"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_server_error_passes(playing, order, status):
    player = playing("3.3.2", "good")
    player.fault("POST", DAG_RUNS, Answered(status, "text/html", PAGE))
    with pytest.raises(FactoryUnreachable, match=f"status {status}") as caught:
        airflow().submit(order("good", "rec_good"))
    assert "<" not in caught.value.message
    assert airflow().submit(order("good", "rec_good"))


def test_too_many_requests_says_when_to_come_again(playing, order):
    player = playing("3.3.2", "good")
    player.fault("POST", DAG_RUNS, Answered(429, body={"detail": "slow down"}, headers={"Retry-After": "17"}))
    with pytest.raises(FactoryUnreachable, match="too often") as caught:
        airflow().submit(order("good", "rec_good"))
    assert caught.value.facts["retry_after_s"] == 17


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", PAGE),
        (200, "application/json", "{ no json"),
        (200, "application/json", '"a text"'),
        (200, "application/json", ""),
        (404, "text/html", PAGE),
        (404, "application/json", {"message": "no Route matched with those values"}),
    ],
)
def test_what_is_not_airflow_never_ends_a_run(playing, order, status, kind, body):
    """A proxy that answers for Airflow must not make a run look lost."""
    player = playing("3.3.2", "good")
    airflow().submit(order("good", "rec_good"))
    player.fault("GET", f"/dagRuns/{job_id('good')}$", Answered(status, kind, body))
    with pytest.raises(NotTheFactory) as caught:
        airflow().see(f"rec_good/{job_id('good')}")
    assert caught.value.facts["url"] == player.url


def test_a_wrong_address_is_known_though_airflow_3_answers_it_with_a_page(playing, order, options):
    player = playing("3.3.2", "good")
    player.fault("GET", "version|test", Answered(200, "text/html", PAGE), times=9)
    with pytest.raises(NotTheFactory, match="text/html"):
        airflow().submit(order("good"))


def test_a_redirect_is_told_and_not_followed(playing, order):
    player = playing("3.3.2", "good")
    away = Answered(302, "text/html", "", {"Location": "https://login.example/?next=secret"})
    player.fault("GET", "version|test", away, times=9)
    with pytest.raises(NotTheFactory, match=r"it leads to https://login\.example/") as caught:
        airflow().submit(order("good"))
    assert "secret" not in str(caught.value)
    assert len(player.asked) == 3


def test_path_of_the_address_is_kept(playing, order):
    """Astronomer: each deployment has a path of its own, and a token that does not change."""
    player = playing("3.3.2", "good", base="/team/deployment", auth="bearer", token="TOKEN")
    airflow().submit(order("good", "rec_good"))
    assert player.url.endswith("/team/deployment")
    assert {item["secret"] for item in player.asked} == {"", "TOKEN"}


def test_token_refused_twice_is_a_refused_sign_in(playing, order):
    player = playing("3.3.2", "good")
    bad = Answered(401, body={"detail": "Token Expired"})
    player.fault("GET", "/dags/rec_good$", bad, times=2)
    with pytest.raises(SignInRefused, match="Token Expired"):
        airflow().submit(order("good", "rec_good"))
    assert player.paths("POST").count("/auth/token") == 2


def test_token_endpoint_that_gives_none(playing, order):
    player = playing("3.3.2", "good")
    player.fault("POST", "/auth/token", Answered(200, "text/html", PAGE))
    with pytest.raises(SignInRefused, match="no token"):
        airflow().submit(order("good"))


def test_airflow_that_was_upgraded_is_asked_anew(playing, order):
    """API v1 was remembered; Airflow 3 says that it is gone; the next time v2 is found."""
    player = playing("3.3.2", "good")
    signin.remembered(player.url, "admin").api = "v1"
    moved = "/api/v1 has been removed in Airflow 3, please use its upgraded version /api/v2 instead."
    player.fault("GET", "/api/v1/", Answered(404, body={"error": moved}))
    with pytest.raises(NotTheFactory, match="does not speak API v1"):
        airflow().submit(order("good"))
    assert airflow().submit(order("good"))


def test_conflict_without_a_run_is_not_a_success(playing, order):
    """Airflow 3 does not say which key collided."""
    player = playing("3.3.2", "twice")
    player.fault("POST", DAG_RUNS, Answered(409, body={"detail": {"reason": "Unique constraint violation"}}))
    player.fault("GET", f"/dagRuns/{job_id('twice')}$", Answered(404, body={"detail": "not found"}))
    with pytest.raises(FactoryUnreachable, match="that it is not"):
        airflow().submit(order("twice", "rec_good"))


def test_state_that_is_not_known_is_worked_on_and_kept_as_it_is(playing, order):
    player = playing("3.3.2", "good")
    airflow().submit(order("good", "rec_good"))
    player.fault("GET", f"/dagRuns/{job_id('good')}$", Answered(200, body={"state": "hibernating", "conf": None}))
    seen = airflow().see(f"rec_good/{job_id('good')}")
    assert (seen.state, seen.raw) == (State.WORKING, "hibernating")


def test_log_that_cannot_be_had_does_not_hide_the_failure(playing, order):
    player = playing("3.3.2", "fails")
    found = airflow().submit(order("fails", "rec_fails")).factory_id
    player.fault("GET", "/logs/", Answered(502, "text/html", PAGE), times=99)
    for _ in range(20):
        seen = airflow().see(found)
    assert seen.state is State.FAILED
    assert seen.error.facts["task"] == "load"
    assert "could not be had" in seen.error.detail


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"url": ""}, "airflow.url is empty"),
        ({"username": ""}, "airflow.username is empty"),
        ({"password": ""}, "airflow.password is empty"),
        ({"auth": "bearer"}, "airflow.token is empty"),
        ({"auth": "mwaa"}, "airflow.mwaa_environment is empty"),
        ({"auth": "smile"}, "auth is smile"),
        ({"api": "v9"}, "api is v9"),
        ({"key": ""}, "no key"),
    ],
)
def test_option_that_is_missing_or_wrong_is_named(options, order, nobody, given, words):
    options(**{"url": nobody, **given})
    with pytest.raises(FactoryMisconfigured, match=words):
        airflow().submit(order("good"))
    assert words in airflow().health().message
    assert airflow().capabilities


@pytest.mark.parametrize(
    ("option", "variable"), [("password", "AIRCAN_AIRFLOW_PASSWORD"), ("key", "AIRCAN_AIRFLOW_KEY")]
)
def test_secrets_may_come_from_the_environment(playing, order, monkeypatch, ckan_config, option, variable):
    playing("3.3.2", "good")
    value = ckan_config[f"ckanext.aircan_connector.airflow.{option}"]
    monkeypatch.setitem(ckan_config, f"ckanext.aircan_connector.airflow.{option}", "")
    monkeypatch.setenv(variable, value)
    assert airflow().submit(order("good"))


def test_two_keys(options):
    options(key="k" * 32, previous_key="p" * 32)
    assert airflow().keys() == ("k" * 32, "p" * 32)


def test_no_secret_in_a_repr():
    made = [
        signin.Basic("u", "sesame"),
        signin.Bearer("sesame"),
        signin.Password("u", "sesame", lambda body: None, signin.Remembered(token="sesame")),
    ]
    assert "sesame" not in repr(made)


def test_a_netrc_of_the_machine_signs_nothing(playing, order, monkeypatch, tmp_path):
    player = playing("3.3.2", "good")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    airflow().submit(order("good", "rec_good"))
    assert {item["auth"] for item in player.asked} == {"", "Bearer"}


def test_answer_without_end_is_cut(options, order, monkeypatch):
    """A server that sends a byte now and then does not hold a worker for ever."""
    ended = threading.Event()

    def drip(door):
        with door.accept()[0] as there:
            there.recv(65536)
            there.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
            while not ended.wait(0.05):
                try:
                    there.sendall(b" " * 70_000)
                except OSError:
                    return

    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        thread = threading.Thread(target=drip, args=(door,), daemon=True)
        thread.start()
        options(url=f"http://127.0.0.1:{door.getsockname()[1]}", timeout_s=1)
        try:
            with pytest.raises(FactoryUnreachable, match="too long or too slow"):
                airflow().submit(order("good"))
        finally:
            ended.set()
            thread.join(5)


def test_health_waits_less_than_a_run(options, monkeypatch):
    monkeypatch.setattr(factory_module, "HEALTH_S", 1)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        options(url=f"http://127.0.0.1:{door.getsockname()[1]}", timeout_s=60)
        assert "within 1 seconds" in airflow().health().message

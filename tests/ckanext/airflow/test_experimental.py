"""Airflow 1.10's experimental API.

Its answers were written by hand after those of a real 1.10.15 and its source (airflow/www/api/experimental):
1.10 needs Python 3.8 or older, which these tests do not have, and no published document describes its API.
"""

from __future__ import annotations

import pytest

from aircan.errors import DagMissing, DagPaused, RunEnded, SignInRefused
from ckanext.aircan_connector import factories
from ckanext.aircan_connector.factories.base import Capability, State

from .player import Answered
from .record import job_id
from .test_recorded import states

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins"),
]

VERSION = "1.10.15"


def airflow():
    return factories.get("airflow")


def test_a_run_is_worked_on_and_a_success(playing, order):
    player = playing(VERSION, "good")
    handed = airflow().submit(order("good", "rec_good"))
    assert states(handed.factory_id) == [State.WORKING, State.SUCCEEDED]
    seen = airflow().see(handed.factory_id)
    assert seen.url.startswith(f"{player.url}/admin/airflow/graph?dag_id=rec_good&")
    assert seen.tasks == ()
    body = next(item["body"] for item in player.asked if item["method"] == "POST")
    assert "." in body["execution_date"]


def test_sent_twice_it_runs_once(playing, order):
    playing(VERSION, "twice")
    once = airflow().submit(order("twice", "rec_good"))
    assert airflow().see(once.factory_id).state is State.WORKING
    again = Answered(400, body={"error": f"Run id {job_id('twice')} already exists for dag id rec_good"})
    player = playing(VERSION, "twice")
    player.acts = 1
    player.fault("POST", "dag_runs$", again)
    assert airflow().submit(order("twice", "rec_good")) == once


def test_it_says_what_it_cannot_do(playing):
    playing(VERSION, "health")
    made = airflow()
    health = made.health()
    assert health.ok, health.message
    assert "1.10" in health.message
    assert made.capabilities == Capability.FIND


def test_a_run_cannot_be_stopped(playing):
    player = playing(VERSION, "cancel")
    airflow().cancel(f"rec_slow/{job_id('cancel')}")
    assert player.paths("POST") == player.paths("PATCH") == []


def test_unknown_dag(playing, order):
    playing(VERSION, "unknown")
    with pytest.raises(DagMissing, match="nowhere"):
        airflow().submit(order("unknown", "nowhere"))


def test_paused_dag(playing, order):
    player = playing(VERSION, "paused")
    with pytest.raises(DagPaused):
        airflow().submit(order("paused", "rec_paused"))
    assert player.paths("POST") == []


def test_failed_run_has_no_log(playing, order):
    playing(VERSION, "fails")
    handed = airflow().submit(order("fails", "rec_fails"))
    seen = airflow().see(handed.factory_id)
    assert seen.state is State.FAILED
    assert isinstance(seen.error, RunEnded)
    assert seen.log == ()


def test_deleted_run_is_gone(playing):
    playing(VERSION, "vanished")
    assert airflow().see(f"rec_good/{job_id('vanished')}").state is State.GONE


def test_wrong_password(playing, order):
    playing(VERSION, "password", password="wrong")
    with pytest.raises(SignInRefused):
        airflow().submit(order("password", "rec_good"))

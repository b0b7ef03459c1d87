"""Airflow 1.10's experimental API.

live_1_10.py recorded what a real 1.10.15 answered; no published document describes its API.
"""

from __future__ import annotations

import pytest

from aircan.errors import DagMissing, DagPaused, FactoryUnreachable, RunEnded, SignInRefused
from ckanext.aircan_connector import factories
from ckanext.aircan_connector.factories.base import Capability, State

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
    player = playing(VERSION, "twice")
    once = airflow().submit(order("twice", "rec_good"))
    assert airflow().submit(order("twice", "rec_good")) == once
    assert len(player.paths("POST")) == 2
    assert airflow().see(once.factory_id).state is State.WORKING
    assert airflow().find(job_id("twice"), "rec_good") == once.factory_id


def test_it_says_what_it_cannot_do(playing):
    playing(VERSION, "health")
    made = airflow()
    health = made.health()
    assert health.ok, health.message
    assert "1.10" in health.message
    assert made.capabilities == Capability.FIND


def test_a_run_cannot_be_stopped(playing):
    player = playing(VERSION, "cancel")
    found = f"rec_slow/{job_id('cancel')}"
    airflow().cancel(found)
    assert airflow().see(found).state is State.WORKING
    assert player.paths("POST") == player.paths("PATCH") == []


def test_unknown_dag(playing, order):
    playing(VERSION, "unknown")
    with pytest.raises(DagMissing, match="nowhere"):
        airflow().submit(order("unknown", "nowhere"))
    assert airflow().see(f"nowhere/{job_id('unknown')}").state is State.GONE


def test_the_file_of_a_dag_cannot_be_read(playing, order):
    """Its runs are not gone, and the round of the reconcile loop goes on."""
    playing(VERSION, "broken")
    with pytest.raises(DagMissing, match="brk_good"):
        airflow().submit(order("broken", "brk_good"))
    with pytest.raises(FactoryUnreachable, match="Dag id brk_good not found"):
        airflow().see(f"brk_good/{job_id('broken')}")


def test_paused_dag(playing, order):
    player = playing(VERSION, "paused")
    with pytest.raises(DagPaused):
        airflow().submit(order("paused", "rec_paused"))
    assert player.paths("POST") == []


def test_dag_paused_after_the_run_was_there(playing, order):
    playing(VERSION, "paused_later")
    handed = airflow().submit(order("paused_later", "rec_paused"))
    assert airflow().see(handed.factory_id).state is State.WORKING


def test_failed_run_has_no_log(playing, order):
    playing(VERSION, "fails")
    handed = airflow().submit(order("fails", "rec_fails"))
    assert states(handed.factory_id) == [State.WORKING, State.FAILED]
    seen = airflow().see(handed.factory_id)
    assert seen.state is State.FAILED
    assert isinstance(seen.error, RunEnded)
    assert seen.log == ()


def test_deleted_run_is_gone(playing):
    playing(VERSION, "vanished")
    assert airflow().see(f"rec_good/{job_id('vanished')}").state is State.GONE


@pytest.mark.parametrize("api", ["auto", "experimental"])
def test_wrong_password(playing, order, api):
    """1.10 answers it with 403."""
    playing(VERSION, "password", password="wrong", api=api)
    with pytest.raises(SignInRefused, match="Forbidden"):
        airflow().submit(order("password", "rec_good"))

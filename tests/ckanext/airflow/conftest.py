"""Fixtures: an Airflow that plays recordings, and the options that lead to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from aircan.contract import Dataset, Order, Resource
from ckanext.aircan_connector.factories.airflow import factory as factory_module
from ckanext.aircan_connector.factories.airflow import signin

from .player import Player, Playing
from .record import KEY, job_id

OPTIONS = {
    "username": "admin",
    "password": "admin",
    "key": KEY,
    "dag_id": "rec_good",
    "ckan_url": "http://ckan.example",
    "timeout_s": 60,
}


@pytest.fixture(autouse=True)
def _nothing_remembered():
    signin.remembered.cache_clear()
    yield
    signin.remembered.cache_clear()


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """A busy machine may need longer for an answer than a doctor would wait."""
    monkeypatch.setattr(factory_module, "HEALTH_S", OPTIONS["timeout_s"])


@pytest.fixture
def nobody() -> Iterator[str]:
    """Return an address at which nobody listens; its port is kept, so that nobody else begins to."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{door.getsockname()[1]}"


@pytest.fixture
def options(monkeypatch, ckan_config):
    """Set options of Airflow by their last names; others are as in `OPTIONS`."""

    def put(**given: Any) -> None:
        for name, value in {**OPTIONS, **given}.items():
            monkeypatch.setitem(ckan_config, f"ckanext.aircan_connector.airflow.{name}", value)

    return put


@pytest.fixture
def playing(options):
    """Start a player of (version, scenario), and lead the options there; at the end nothing may have been wrong."""
    started: list[Player] = []

    def play(version: str, scenario: str = "good", *, base: str = "", **given: Any) -> Player:
        player = Player(version, scenario, base)
        started.append(player)
        options(url=player.url, **given)
        return player

    made: Playing = play
    yield made
    for player in started:
        player.close()
    assert [text for player in started for text in player.wrong] == []


@pytest.fixture
def order():
    """Return the order of a recorded scenario."""

    def make(scenario: str, dag_id: str = "") -> Order:
        return Order(job_id(scenario), "LOAD", Resource("r1", "a.csv"), Dataset("d1", "d", "D"), dag_id=dag_id)

    return make

"""What Airflow is started with, and what CKAN is told of it, without starting either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stack import airflow, airflow_venv, ini
from stack.airflow import Airflow
from stack.site import Site
from stack.state import PROJECT, State

DECLARED = (PROJECT / "ckanext/aircan_connector/config_declaration.yaml").read_text()


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path, shift=50)


def environment(state: State, generation: int) -> dict[str, str]:
    return airflow.environment(Airflow(state, generation), ckan_url="http://127.0.0.1:5000")


@pytest.mark.parametrize("generation", airflow_venv.GENERATIONS)
def test_both_sides_get_the_same_key(state: State, generation: int):
    connection = json.loads(environment(state, generation)["AIRFLOW_CONN_AIRCAN_CKAN"])
    assert connection["password"] == Airflow(state, generation).options()["ckanext.aircan_connector.airflow.key"]
    assert len(connection["password"]) >= 32
    assert connection["host"] == "http://127.0.0.1:5000"


@pytest.mark.parametrize("generation", airflow_venv.GENERATIONS)
def test_nothing_listens_beyond_loopback(state: State, generation: int):
    hosts = [value for name, value in environment(state, generation).items() if name.endswith(("API__HOST", "_HOST"))]
    assert hosts == ["127.0.0.1"]
    scheduler = airflow.commands(Airflow(state, generation))[airflow.SCHEDULER]
    assert "--skip-serve-logs" in scheduler


def test_generations_share_address_key_and_user_and_no_folder(state: State):
    three, two = Airflow(state, 3), Airflow(state, 2)
    assert three.options() == two.options()
    assert three.home != two.home


def test_secrets_are_made_for_each_stack(tmp_path: Path):
    one, other = (Airflow(State(tmp_path / name)) for name in ("one", "other"))
    assert one.key != other.key
    assert one.password != other.password
    assert one.key != one.password


def test_every_option_that_ckan_gets_is_declared(state: State):
    for name in Airflow(state).options():
        assert f"key: {name}\n" in DECLARED


def test_a_site_s_own_options_come_and_go_with_it(state: State):
    with_airflow = Site(state, "demo", "2.12.0", options=tuple(Airflow(state).options().items()))
    assert ini.ensure(with_airflow)
    assert f"ckanext.aircan_connector.airflow.key = {Airflow(state).key}\n" in with_airflow.ini.read_text()
    assert not ini.ensure(with_airflow)
    assert ini.ensure(Site(state, "demo", "2.12.0"))
    assert "airflow" not in with_airflow.ini.read_text()


@pytest.mark.parametrize("generation", airflow_venv.GENERATIONS)
def test_the_locks_are_exact_and_have_what_the_tasks_need(generation: int):
    lines = airflow_venv.lock(generation).read_text().splitlines()
    names = {line.partition("==")[0]: line.partition("==")[2] for line in lines if not line.startswith("#")}
    assert all(names.values())
    assert {"apache-airflow", "duckdb", "msgspec", "lxml", "olefile", "python-calamine", "requests"} <= set(names)
    assert names["apache-airflow"].startswith(f"{generation}.")

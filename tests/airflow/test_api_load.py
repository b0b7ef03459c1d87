"""The DAG aircan_api_load on a real Airflow, by order of CKAN and by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from .rig import Rig, eventually

DAG = "aircan_api_load"


@pytest.fixture
def connected(rig: Rig) -> Rig:
    """Airflow that knows this DAG; its connection, which also holds the key of CKAN, is in the environment."""
    eventually(lambda: rig.knows(DAG), f"Airflow saw the DAG {DAG}")
    return rig


def test_a_private_upload_becomes_the_table_that_ckan_itself_makes(connected: Rig, mixed: Path):
    resource = connected.resource(mixed, private=True)
    job = connected.load(resource, dag_id=DAG)
    assert job["status"] == "DONE", connected.story(job["id"])
    assert job["factory_id"] == f"{DAG}/{job['id']}"
    fields, rows = connected.table(resource)
    inside = connected.load(resource, factory="local")
    assert connected.table(resource) == (fields, rows)
    for name in ("rows", "rejected", "fields", "bytes"):
        assert job["info"]["result"][name] == inside["info"]["result"][name], name


def test_a_person_starts_it_without_a_job(connected: Rig, mixed: Path):
    resource = connected.resource(mixed, private=True)
    run_id = f"by-hand-{resource}"
    connected.trigger(DAG, run_id, conf={"resource_id": resource})
    eventually(lambda: connected.run_state(run_id, DAG) == "success", "the run ended well")
    assert len(connected.table(resource)[1]) == 2999

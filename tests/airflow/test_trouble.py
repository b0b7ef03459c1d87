"""What goes wrong around a run: people cancel it, processes die, CKAN is away. The table is the old one or the new."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from stack import airflow, processes

from . import files
from .links import Links
from .rig import Rig, eventually, is_alive

AWAY_S = 60
TWICE = """
import json, sys
from ckan.cli import CKANConfigLoader
from ckan.config.middleware import make_app
app = make_app(CKANConfigLoader(sys.argv[1]).get_config())
with app._wsgi_app.test_request_context():
    from ckanext.aircan_connector import factories, jobs, orders
    factory, order = factories.get("airflow"), orders.make(jobs.get(sys.argv[2]))
    print(json.dumps([factory.submit(order).factory_id for _ in range(2)]))
"""


@pytest.fixture(scope="module")
def queued(rig: Rig, mixed: Path):
    """Two runs that were queued while Airflow had no scheduler: one was cancelled, one handed over twice more.

    The fixture is what the second and the third hand-over answered, after the first one's.
    """
    processes.stop(rig.state.folder, airflow.SCHEDULER, grace_s=airflow.GRACE_S)
    cancelled, twice = (rig.submit(rig.resource(mixed)) for _ in range(2))
    for job_id in (cancelled, twice):
        rig.when(job_id, lambda job: bool(job["factory_id"]))
        assert rig.run_state(job_id) == "queued"
    cancel(rig, cancelled)
    command = [sys.executable, "-c", TWICE, str(rig.site.ini), twice]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [rig.job(twice)["factory_id"], *json.loads(done.stdout.splitlines()[-1])]
    rig.start()
    return cancelled, twice, answers


@contextlib.contextmanager
def reading(rig: Rig, resource: str) -> Iterator[None]:
    """Read a table in a transaction that stays open, so that nobody can take its place."""
    connection = psycopg2.connect(rig.site.environment()["CKAN_DATASTORE_WRITE_URL"])
    try:
        connection.cursor().execute(f'SELECT 1 FROM "{resource}"')
        yield
    finally:
        connection.close()


def works_on(task_id: str) -> Callable[[dict[str, Any]], bool]:
    """Return a condition: CKAN knows that this task of a job is at work."""
    return lambda job: any(
        task["id"] == task_id and task["status"] == "RUNNING" for task in job["info"].get("tasks") or []
    )


def cancel(rig: Rig, job_id: str) -> None:
    """Cancel a run and see that it ends everywhere and leaves nothing."""
    pids = rig.running(job_id)
    rig.api.call("aircan_job_cancel", id=job_id)
    assert rig.job(job_id)["status"] == "CANCELLED"
    # A task that learns of it before Airflow does leaves a run that ended without failures.
    eventually(lambda: rig.run_state(job_id) in ("failed", "success"), "Airflow ended the run")
    eventually(lambda: not any(is_alive(pid) for pid in pids), "the processes of the tasks ended")
    assert rig.job(job_id)["status"] == "CANCELLED"


def leaves_nothing(rig: Rig, job_id: str) -> None:
    eventually(lambda: rig.hidden_tables(job_id) == [], "the hidden tables were dropped")


@pytest.mark.only(3)
def test_cancelled_while_queued_it_never_starts(rig: Rig, queued: Any):
    cancelled, _, _ = queued
    assert rig.run_state(cancelled) == "failed"
    assert not [task for task in rig.task_instances(cancelled) if task["pid"]]
    assert rig.hidden_tables(cancelled) == []


@pytest.mark.only(3)
def test_handed_over_twice_it_runs_once(rig: Rig, queued: Any):
    _, twice, answers = queued
    assert answers == [f"aircan_load/{twice}"] * 3
    job = rig.ended(twice)
    assert job["status"] == "DONE", rig.story(twice)
    assert len(rig.table(job["resource"])[1]) == 2999


@pytest.mark.only(3)
def test_cancelled_while_the_file_comes(rig: Rig, links: Links):
    links.hold()
    job_id = rig.submit(rig.link(f"{links.url}/held/{os.urandom(4).hex()}"))
    eventually(links.asked.is_set, "the worker asked for the file")
    cancel(rig, job_id)
    leaves_nothing(rig, job_id)


@pytest.mark.only(3)
def test_cancelled_while_types_are_decided(rig: Rig, large: Path):
    job_id = rig.submit(rig.resource(large))
    rig.when(job_id, works_on("infer"))
    cancel(rig, job_id)
    leaves_nothing(rig, job_id)


def test_cancelled_while_parts_arrive(rig: Rig, large: Path):
    job_id = rig.submit(rig.resource(large), params={"part_bytes": 400_000})
    rig.when(job_id, works_on("load"))
    assert rig.hidden_tables(job_id) != []
    cancel(rig, job_id)
    leaves_nothing(rig, job_id)


@pytest.mark.only(3)
def test_cancelled_while_the_table_is_published(rig: Rig, mixed: Path, folder: Path):
    resource = rig.resource(mixed)
    assert rig.load(resource)["status"] == "DONE"
    before = rig.table(resource)
    with reading(rig, resource):
        job_id = rig.submit(resource)
        rig.when(job_id, works_on("publish"))
        cancel(rig, job_id)
    leaves_nothing(rig, job_id)
    assert rig.table(resource) == before


@pytest.mark.only(3)
def test_a_killed_worker_is_replaced(rig: Rig, large: Path):
    job_id = rig.submit(rig.resource(large), params={"part_bytes": 400_000})
    rig.when(job_id, works_on("load"))
    (pid, *_) = eventually(lambda: rig.running(job_id), "a task ran")
    os.kill(pid, signal.SIGKILL)
    job = rig.ended(job_id)
    assert job["status"] == "DONE", rig.story(job_id)
    assert job["info"]["result"]["rows"] == files.LARGE_ROWS


@pytest.mark.only(3)
def test_ckan_may_be_away_for_a_minute(rig: Rig, large: Path):
    job_id = rig.submit(rig.resource(large), params={"part_bytes": 400_000})
    rig.when(job_id, works_on("load"))
    rig.web_down()
    try:
        time.sleep(AWAY_S)
    finally:
        rig.web_up()
    job = rig.ended(job_id)
    assert job["status"] == "DONE", rig.story(job_id)
    assert job["info"]["result"]["rows"] == files.LARGE_ROWS


def test_airflow_killed_in_the_middle_ends_the_run_when_it_is_back(rig: Rig, large: Path):
    job_id = rig.submit(rig.resource(large), params={"part_bytes": 400_000})
    rig.when(job_id, works_on("load"))
    rig.power_failure()
    rig.start()
    job = rig.ended(job_id)
    assert job["status"] == "DONE", rig.story(job_id)
    assert job["info"]["result"]["rows"] == files.LARGE_ROWS

"""What a factory shows of a run is kept, and moves a job only forward."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aircan.contract import Report
from aircan.errors import DagPaused, FactoryUnreachable, RunFailed
from aircan.status import Status
from ckanext.aircan_connector import jobs, model
from ckanext.aircan_connector.factories.base import MAX_TASKS, Seen, SeenTask, State

from .conftest import force, row_of

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_queues"),
]

WORKING = Seen(State.WORKING, "running", url="http://airflow.example/dags/d/runs/r", started="2026-11-21T10:00:00Z")


def messages(job_id):
    with model.begin() as connection:
        return [event["message"] for event in model.list_events(connection, job_id, limit=1000)]


def test_a_run_that_is_worked_on_is_running(submit):
    job = submit()
    jobs.seen(job["id"], WORKING)
    row = row_of(job["id"])
    assert row["status"] == "RUNNING"
    assert row["started"] is not None
    assert row["info"]["factory"]["raw"] == "running"
    assert row["info"]["factory"]["url"] == WORKING.url


@pytest.mark.parametrize("state", [State.QUEUED, State.FAILED, State.SUCCEEDED, State.GONE])
def test_no_other_state_moves_a_waiting_job(submit, state):
    job = submit()
    jobs.seen(job["id"], Seen(state, "x"))
    assert row_of(job["id"])["status"] == "WAITING"


def test_a_running_job_never_goes_back(submit):
    """In Airflow a run that was cleared is queued again."""
    job = submit()
    jobs.report(job["id"], Report(Status.RUNNING))
    jobs.seen(job["id"], Seen(State.QUEUED, "queued"))
    row = row_of(job["id"])
    assert (row["status"], row["info"]["factory"]["raw"]) == ("RUNNING", "queued")


@pytest.mark.parametrize("status", ["DONE", "FAILED", "CANCELLED"])
def test_a_final_job_stays_as_it_ended(submit, status):
    job = submit()
    force(job["id"], Status(status))
    assert jobs.seen(job["id"], WORKING) is None
    row = row_of(job["id"])
    assert row["status"] == status
    assert "factory" not in row["info"]


def test_the_lease_is_renewed_by_reports_alone(submit):
    job = submit()
    jobs.seen(job["id"], WORKING)
    assert row_of(job["id"])["last_report"] == job["last_report"]


def test_one_that_runs_keeps_the_next_of_its_file_waiting(submit):
    first = submit(mark="m1")
    jobs.report(first["id"], Report(Status.RUNNING))
    second = submit(mark="m2")
    jobs.seen(second["id"], WORKING)
    row = row_of(second["id"])
    assert (row["status"], row["info"]["factory"]["raw"]) == ("WAITING", "running")


def test_why_a_run_waits_is_said_once(submit):
    job = submit()
    paused = Seen(State.QUEUED, "queued", error=DagPaused(factory="airflow", dag_id="aircan_load"))
    jobs.seen(job["id"], paused)
    jobs.seen(job["id"], paused)
    assert "paused" in row_of(job["id"])["info"]["message"]
    assert sum("paused" in text for text in messages(job["id"])) == 1


def test_tries_of_a_task_and_the_log_of_a_failed_one_are_events(submit):
    job = submit()
    again = SeenTask("load", "up_for_retry", index=3, tries=1)
    jobs.seen(job["id"], Seen(State.WORKING, "running", (again,)))
    jobs.seen(job["id"], Seen(State.WORKING, "running", (again,)))
    failed = SeenTask("load", "failed", index=3, tries=2)
    error = RunFailed(factory="airflow", task="load[3]", tries=2, reason="x")
    jobs.seen(job["id"], Seen(State.FAILED, "failed", (failed,), error=error, log=("one", "two")))
    said = messages(job["id"])
    assert said.count("Try 1 of the task load[3]: up_for_retry.") == 1
    assert said[-3:] == ["Try 2 of the task load[3]: failed.", "one", "two"]


def test_of_very_many_tasks_those_that_went_well_are_only_counted(submit):
    job = submit()
    tasks = [SeenTask("load", "success", index=n, tries=1) for n in range(MAX_TASKS + 50)]
    tasks[-1] = SeenTask("load", "failed", index=MAX_TASKS + 49, tries=1)
    jobs.seen(job["id"], Seen(State.WORKING, "running", tuple(tasks)))
    kept = row_of(job["id"])["info"]["factory"]
    assert len(kept["tasks"]) == MAX_TASKS
    assert kept["tasks"][-1]["state"] == "failed"
    assert kept["count"] == {"success": MAX_TASKS + 49, "failed": 1}


def test_hand_over_without_an_answer_is_kept_and_counted(submit):
    job = submit()
    error = FactoryUnreachable(factory="airflow", reason="no answer", retry_after_s=120)
    jobs.not_handed_over(job["id"], error)
    jobs.not_handed_over(job["id"], error)
    row = row_of(job["id"])
    tried = row["info"]["hand_over"]
    assert (row["status"], row["factory_id"], tried["tries"]) == ("WAITING", None, 2)
    assert tried["error"]["code"] == "factory_unreachable"
    assert tried["after"] > (model.now() + timedelta(seconds=110)).isoformat()
    assert "no answer" in row["info"]["message"]
    assert sum("no answer" in text for text in messages(job["id"])) == 1


def test_hand_over_that_was_answered_meanwhile_is_not_undone(submit):
    job = submit()
    jobs.handed_over(job["id"], "aircan_load/x")
    jobs.not_handed_over(job["id"], FactoryUnreachable(factory="airflow", reason="no answer"))
    assert "hand_over" not in row_of(job["id"])["info"]

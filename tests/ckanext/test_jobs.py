from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from aircan.contract import Report, Task
from aircan.errors import FileEmpty, WorkerLost
from aircan.status import FINAL, Status, sources
from ckanext.aircan_connector import jobs, model

from .conftest import force, row_of

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_queues"),
]

LEGAL = [(s, t) for t in Status for s in sources(t)]
ILLEGAL = [(s, t) for s in Status for t in Status if (s, t) not in LEGAL and t is not Status.WAITING]


@pytest.mark.parametrize(("source", "target"), LEGAL)
def test_legal_move(submit, source, target):
    job = submit()
    force(job["id"], source)
    assert jobs.report(job["id"], Report(target))["status"] == target.value


@pytest.mark.parametrize(("source", "target"), ILLEGAL)
def test_illegal_move_changes_nothing_and_is_kept_as_event(submit, source, target):
    job = submit()
    force(job["id"], source)
    before = row_of(job["id"])
    answer = jobs.report(job["id"], Report(target, message="late words", result={"rows": 7}))
    assert answer["status"] == source.value
    assert row_of(job["id"]) == before
    with model.begin() as connection:
        events = model.list_events(connection, job["id"])
    assert "late words" in events[-1]["message"]
    assert target.value in events[-1]["message"]


def test_nobody_can_write_a_sixth_status(submit):
    job = submit()
    with pytest.raises(IntegrityError), model.begin() as connection:
        connection.execute(model.JOB.update().where(model.JOB.c.id == job["id"]).values(status="PENDING"))


def test_repeated_final_report_is_kept_but_not_applied(submit):
    job = submit()
    jobs.report(job["id"], Report(Status.DONE, result={"rows": 3}))
    jobs.report(job["id"], Report(Status.DONE, result={"rows": 99}))
    assert row_of(job["id"])["info"]["result"]["rows"] == 3


@pytest.mark.parametrize(
    ("told", "waits"),
    [
        (Report(Status.RUNNING), False),
        (Report(Status.RUNNING, "Fetched.", Task("fetch", Status.DONE), {"bytes": 7}), False),
        (Report(Status.RUNNING, result={"warnings": [{"code": "no_rows"}]}), True),
        (Report(Status.DONE), True),
        (Report(Status.FAILED), True),
    ],
)
def test_a_report_is_on_the_disk_when_it_is_answered_unless_it_only_says_where_the_run_is(
    submit, monkeypatch, told, waits
):
    seen, update = [], model.update_job

    def look(connection, *args, **kwargs):
        set_here = "SELECT source = 'session' FROM pg_settings WHERE name = 'synchronous_commit'"
        seen.append(not connection.execute(text(set_here)).scalar())
        return update(connection, *args, **kwargs)

    job = submit()
    monkeypatch.setattr(model, "update_job", look)
    jobs.report(job["id"], told)
    assert set(seen) == {waits}


def test_done_without_running_has_a_start(submit):
    job = submit()
    row = jobs.report(job["id"], Report(Status.DONE))
    assert row["started"] is not None
    assert row["finished"] >= row["started"]


def test_report_on_unknown_job(submit):
    with pytest.raises(LookupError):
        jobs.report("no-such-job", Report(Status.RUNNING))


def test_report_merges_tasks_progress_result_and_warnings(submit):
    job = submit()
    jobs.report(job["id"], Report(Status.RUNNING, task=Task("fetch", Status.RUNNING), progress={"bytes": 5}))
    jobs.report(job["id"], Report(Status.RUNNING, task=Task("fetch", Status.DONE, "5 bytes"), progress={"rows": 1}))
    jobs.report(job["id"], Report(Status.RUNNING, result={"rows": 1, "warnings": [{"code": "a"}]}))
    row = jobs.report(job["id"], Report(Status.RUNNING, result={"rejected": 2, "warnings": [{"code": "b"}]}))
    info = row["info"]
    assert [t["status"] for t in info["tasks"]] == ["DONE"]
    assert info["tasks"][0]["started"] <= info["tasks"][0]["finished"]
    assert info["progress"] == {"bytes": 5, "rows": 1}
    assert info["result"] == {"rows": 1, "rejected": 2}
    assert [w["code"] for w in info["warnings"]] == ["a", "b"]


def test_rejects_become_events_and_stay_out_of_the_row(submit):
    job = submit()
    row = jobs.report(job["id"], Report(Status.RUNNING, result={"rejects": [{"line": 3}]}))
    assert "rejects" not in row["info"].get("result", {})
    with model.begin() as connection:
        kept = model.list_events(connection, job["id"], rejects=True)
        log = model.list_events(connection, job["id"])
    assert [event["data"] for event in kept] == [{"rejects": [{"line": 3}]}]
    assert all(event["level"] != model.REJECT for event in log)


def test_what_a_second_try_tells_again_is_there_once(submit):
    job = submit()
    one, other = {"line": 3, "text": "é,1.5"}, {"line": 4}
    told = Report(Status.RUNNING, result={"warnings": [{"code": "a"}], "rejects": [one]})
    for report in (told, told, Report(Status.RUNNING, result={"warnings": [{"code": "a"}, {"code": "b"}]}), told):
        row = jobs.report(job["id"], report)
    jobs.report(job["id"], Report(Status.RUNNING, result={"rejects": [one, other]}))
    assert row["info"]["warnings"] == [{"code": "a"}, {"code": "b"}]
    with model.begin() as connection:
        kept = model.list_events(connection, job["id"], rejects=True)
    assert [event["data"]["rejects"] for event in kept] == [[one], [one, other]]


def test_the_bar_never_goes_back(submit):
    job = submit()
    for percent, rows in ((5, 1), (40, 9), (20, 4)):
        row = jobs.report(job["id"], Report(Status.RUNNING, progress={"percent": percent, "rows": rows}))
    assert row["info"]["progress"] == {"percent": 40, "rows": 4}
    row = jobs.report(job["id"], Report(Status.RUNNING, progress={"rows": 5}))
    assert row["info"]["progress"] == {"percent": 40, "rows": 5}


def test_a_job_that_fails_leaves_no_task_under_way(submit):
    job = submit()
    for name, status in (("fetch", Status.DONE), ("sniff", Status.RUNNING)):
        jobs.report(job["id"], Report(Status.RUNNING, task=Task(name, status)))
    tasks = jobs.fail(job["id"], WorkerLost(seconds=9))["info"]["tasks"]
    assert [(task["id"], task["status"]) for task in tasks] == [("fetch", "DONE"), ("sniff", "FAILED")]
    assert tasks[1]["finished"]


def test_fail_keeps_the_error(submit):
    job = submit()
    row = jobs.fail(job["id"], FileEmpty())
    assert row["status"] == "FAILED"
    assert row["info"]["error"]["code"] == "file_empty"
    assert row["info"]["error"]["blame"] == "DATA"


def test_a_failure_is_one_line_of_the_log(submit):
    job = submit()
    error = FileEmpty()
    jobs.report(job["id"], Report(Status.FAILED, message=error.message, error=error.to_dict()))
    with model.begin() as connection:
        events = model.list_events(connection, job["id"])
    assert [event["message"] for event in events].count(error.message) == 1
    assert events[-1]["level"] == "error"


def test_waiting_job_of_the_same_file_is_returned(submit):
    assert submit()["id"] == submit()["id"]


def test_newer_file_supersedes_a_waiting_job(submit):
    old = submit(mark="m1")
    new = submit(mark="m2")
    assert row_of(old["id"])["status"] == "CANCELLED"
    assert new["id"] in row_of(old["id"])["info"]["message"]
    assert new["status"] == "WAITING"


def test_other_parameters_supersede_a_waiting_job(submit):
    old = submit()
    new = submit(params={"delimiter": ";"})
    assert new["id"] != old["id"]
    assert row_of(old["id"])["status"] == "CANCELLED"


def test_one_more_is_queued_behind_a_running_job(submit):
    first = submit()
    jobs.report(first["id"], Report(Status.RUNNING))
    second = submit()
    assert second["id"] != first["id"]
    assert submit()["id"] == second["id"]
    assert row_of(first["id"])["status"] == "RUNNING"


@pytest.mark.parametrize("status", sorted(Status))
def test_hook_does_not_run_the_same_file_again(submit, status):
    first = submit()
    force(first["id"], status)
    assert submit(by_hand=False)["id"] == first["id"]
    assert submit(by_hand=False, mark="m2")["id"] != first["id"]


def test_queued_job_cannot_run_beside_a_running_one(submit):
    first = submit()
    jobs.report(first["id"], Report(Status.RUNNING))
    second = submit()
    assert not jobs.may_start(second)
    assert jobs.report(second["id"], Report(Status.RUNNING))["status"] == "WAITING"
    jobs.report(first["id"], Report(Status.DONE))
    assert jobs.may_start(second)
    assert jobs.report(second["id"], Report(Status.RUNNING))["status"] == "RUNNING"


def test_other_resources_and_job_types_do_not_wait_for_each_other(submit):
    ids = {submit()["id"], submit(resource="r2")["id"], submit(job_type="VALIDATE")["id"]}
    assert len(ids) == 3
    for job_id in ids:
        assert jobs.report(job_id, Report(Status.RUNNING))["status"] == "RUNNING"


def test_fifty_simultaneous_submits_leave_one_waiting_job(submit):
    start = threading.Barrier(50)

    def one(number: int) -> str:
        start.wait()
        return submit(mark=f"m{number % 5}")["id"]

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    with model.begin() as connection:
        count, rows = model.list_jobs(connection, {}, order="created desc", limit=100, offset=0)
    assert len(answers) == 50
    assert [row["status"] for row in rows].count("WAITING") == 1
    assert {row["status"] for row in rows} <= {"WAITING", "CANCELLED"}
    assert count == len(rows) >= 5


def test_fifty_simultaneous_submits_of_one_file_make_one_job(submit):
    threads = [threading.Thread(target=submit) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with model.begin() as connection:
        assert model.list_jobs(connection, {}, order="created desc", limit=1, offset=0)[0] == 1


def test_hand_over_is_kept_once(submit):
    job = submit()
    assert jobs.handed_over(job["id"], "first")
    assert not jobs.handed_over(job["id"], "second")
    assert row_of(job["id"])["factory_id"] == "first"


@pytest.mark.parametrize("status", sorted(FINAL))
def test_final_job_is_not_handed_over_nor_cancelled(submit, status):
    job = submit()
    force(job["id"], status)
    assert not jobs.handed_over(job["id"], "late")
    assert jobs.cancel(job["id"], "Cancelled.") is None
    assert row_of(job["id"])["status"] == status.value


def test_cancel_ends_open_tasks(submit):
    job = submit()
    jobs.report(job["id"], Report(Status.RUNNING, task=Task("fetch", Status.DONE)))
    jobs.report(job["id"], Report(Status.RUNNING, task=Task("load", Status.RUNNING)))
    row = jobs.cancel(job["id"], "Cancelled.")
    assert [(t["id"], t["status"]) for t in row["info"]["tasks"]] == [("fetch", "DONE"), ("load", "CANCELLED")]


def test_times_have_a_zone(submit):
    assert submit()["created"].utcoffset() == timedelta(0)


def test_log_of_a_job_ends_at_its_limit(submit, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_EVENTS", 5)
    job = submit()
    for number in range(10):
        jobs.report(job["id"], Report(Status.RUNNING, message=str(number)))
    with model.begin() as connection:
        assert model.count_events(connection, job["id"]) == 5

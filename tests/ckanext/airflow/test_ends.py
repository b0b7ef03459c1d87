"""Every run at Airflow comes to an end that its page explains: handed over, looked at and cancelled by CKAN itself."""

from __future__ import annotations

import contextlib
import uuid
from datetime import timedelta

import pytest
from ckan.tests import factories as ckan_factories

from aircan.contract import Field, Part, Publish, Report
from aircan.status import Status
from ckanext.aircan_connector import jobs, model, reconcile
from ckanext.aircan_connector.datastore import janitor
from ckanext.aircan_connector.datastore import sink as sink_module
from ckanext.aircan_connector.datastore.sink import DirectSink
from ckanext.aircan_connector.factories.airflow.factory import Airflow

from ..conftest import row_of
from .player import Answered
from .record import job_id
from .test_faults import PAGE

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.ckan_config("ckanext.aircan_connector.factory", "airflow"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]

DAGS = {"fails": "rec_fails", "cancel": "rec_slow", "paused": "rec_paused", "tries": "rec_tries"}


@pytest.fixture
def run(submit, queue, monkeypatch):
    """Submit a job with the id of a recorded scenario, and let a background worker hand it over."""

    def make(scenario: str):
        resource = ckan_factories.Resource(url="http://example.org/a.dat", format="DAT")
        dag_id = DAGS.get(scenario, "rec_good")
        with monkeypatch.context() as known:
            known.setattr(jobs.uuid, "uuid4", lambda: uuid.UUID(job_id(scenario)))
            job = submit(resource=resource["id"], dataset=resource["package_id"], dag_id=dag_id)
        queue()
        return row_of(job["id"])

    return make


def aged(job, seconds):
    """Make a job older, as if nothing had been heard of it for that long."""
    with model.begin() as connection:
        then = model.now() - timedelta(seconds=seconds)
        statement = model.JOB.update().where(model.JOB.c.id == job["id"])
        connection.execute(statement.values(last_report=then, created=then))


def rounds(job, most=30):
    """Reconcile until the job is over; return its row."""
    for _ in range(most):
        look_again(job)
        reconcile.reconcile()
        row = row_of(job["id"])
        if row["status"] not in ("WAITING", "RUNNING"):
            return row
    raise AssertionError(row)


def look_again(job):
    """Let the next round look though it looked just now."""
    info = row_of(job["id"])["info"]
    if "factory" in info:
        info["factory"]["seen"] = (model.now() - timedelta(minutes=1)).isoformat()
        with model.begin() as connection:
            connection.execute(model.JOB.update().where(model.JOB.c.id == job["id"]).values(info=info))


def messages(job):
    with model.begin() as connection:
        return [event["message"] for event in model.list_events(connection, job["id"], limit=1000)]


def ended(job):
    row = row_of(job["id"])
    return row["status"], (row["info"].get("error") or {}).get("code")


def test_run_is_handed_over_and_looked_at_though_it_is_not_silent(playing, run):
    playing("3.3.2", "good")
    job = run("good")
    assert (job["status"], job["factory_id"]) == ("WAITING", f"rec_good/{job_id('good')}")
    reconcile.reconcile()
    kept = row_of(job["id"])["info"]["factory"]
    assert kept["raw"] in ("queued", "running")
    assert kept["url"].endswith(f"/dags/rec_good/runs/{job_id('good')}")


def test_a_round_soon_after_does_not_ask_again(playing, run, monkeypatch):
    monkeypatch.setattr(Airflow, "look_every_s", 600)
    player = playing("3.3.2", "good")
    run("good")
    reconcile.reconcile()
    before = len(player.asked)
    reconcile.reconcile()
    assert len(player.asked) == before


def test_success_that_nobody_reported_is_not_called_done(playing, run):
    playing("3.3.2", "good")
    job = rounds(run("good"))
    assert ended(job) == ("FAILED", "nothing_reported")
    assert "rec_good" in job["info"]["message"]


def dies(*args, **rest):
    raise SystemExit


@pytest.fixture
def published(upload, monkeypatch):
    """Publish a table in the name of a job, as CKAN does for a worker outside; `whole`: to the end."""

    def make(job, *, whole):
        resource = upload(job["dataset"], b"a\n1\n", "a.dat", format="DAT")["id"]
        with model.begin() as connection:
            connection.execute(model.JOB.update().where(model.JOB.c.id == job["id"]).values(resource=resource))
        sink = DirectSink(job["id"], resource)
        sink.begin([Field("a", "a")])
        sink.put(Part(0, 1, b"1,x\n"))
        with monkeypatch.context() as killed:
            if not whole:
                killed.setattr(
                    sink_module.publish, "index_live", lambda *args, **rest: (_ for _ in ()).throw(SystemExit)
                )
            with contextlib.suppress(SystemExit):
                sink.publish(rows=1, when=Publish.SEARCHABLE)
        sink.close()
        jobs.keep(job["id"], "publish", lambda old: {"state": "done" if whole else "working", "rows": 1})
        return resource

    return make


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("scenario", ["good", "fails"])
def test_run_that_ended_behind_the_swap_is_done(playing, run, published, scenario, whole):
    """The rows are live, whether or not all was done and whatever Airflow says: that is DONE."""
    playing("3.3.2", scenario)
    job = run(scenario)
    resource = published(job, whole=whole)
    row = rounds(job)
    assert (row["status"], row["info"]["result"]["rows"]) == ("DONE", 1)
    assert not janitor.needs_index(resource)


def test_run_whose_table_is_being_published_is_left_alone(playing, run):
    """The task at Airflow was killed; the background worker of CKAN goes on."""
    playing("3.3.2", "fails")
    job = run("fails")
    with model.alone(job["id"]):
        for _ in range(10):
            look_again(job)
            reconcile.reconcile()
        assert row_of(job["id"])["info"]["factory"]["raw"] == "failed"
        assert row_of(job["id"])["status"] in ("WAITING", "RUNNING")
    assert ended(rounds(job)) == ("FAILED", "run_failed")


def test_failed_run_says_task_try_and_reason_and_its_last_lines_are_in_the_log(playing, run):
    playing("3.3.2", "fails")
    row = rounds(run("fails"))
    assert ended(row) == ("FAILED", "run_failed")
    error = row["info"]["error"]
    assert "in the task load, try 1: ValueError: the file has no rows" in error["message"]
    assert "the file has no rows" in error["detail"]
    said = messages(row)
    assert said.count("ValueError: the file has no rows") == 1
    assert "5" * 64 not in str(said)


def test_second_try_of_a_task_is_in_the_log_of_the_run(playing, run):
    playing("3.3.2", "tries")
    row = rounds(run("tries"))
    assert "Try 1 of the task load: up_for_retry." in messages(row)


def test_deleted_run_has_vanished(playing, run):
    player = playing("3.3.2", "good")
    job = run("good")
    gone = Answered(404, body={"detail": "The DagRun was not found"})
    player.fault("GET", f"/dagRuns/{job_id('good')}$", gone, times=9)
    assert ended(rounds(job)) == ("FAILED", "run_vanished")


def test_a_report_wins_over_what_is_seen(playing, run):
    playing("3.3.2", "good")
    job = run("good")
    jobs.report(job["id"], Report(Status.DONE, result={"rows": 3}))
    aged(job, 1000)
    assert reconcile.look_after(job)
    row = row_of(job["id"])
    assert (row["status"], row["info"].get("error")) == ("DONE", None)
    assert not [text for text in messages(job) if "too late" in text]


def test_run_that_ends_behind_its_report_is_looked_at_until_it_has_ended(playing, run):
    player = playing("3.3.2", "good")
    job = run("good")
    jobs.report(job["id"], Report(Status.DONE, result={"rows": 3}))
    for _ in range(30):
        look_again(job)
        reconcile.reconcile()
    row = row_of(job["id"])
    assert (row["status"], row["info"]["factory"]["raw"]) == ("DONE", "success")
    assert row["info"]["factory"]["ended"]
    before = len(player.asked)
    look_again(job)
    reconcile.reconcile()
    assert len(player.asked) == before


def test_run_that_ended_long_ago_is_not_looked_at(playing, run):
    player = playing("3.3.2", "good")
    job = run("good")
    jobs.report(job["id"], Report(Status.DONE, result={"rows": 3}))
    with model.begin() as connection:
        then = model.now() - timedelta(seconds=reconcile.LOOK_BACK_S + 1)
        connection.execute(model.JOB.update().where(model.JOB.c.id == job["id"]).values(finished=then))
    before = len(player.asked)
    reconcile.reconcile()
    assert len(player.asked) == before


def test_page_of_a_proxy_ends_no_run(playing, run):
    player = playing("3.3.2", "good")
    job = run("good")
    player.fault("GET", "/dagRuns/", Answered(404, "text/html", PAGE), times=5)
    aged(job, 1000)
    for _ in range(5):
        reconcile.reconcile()
    assert ended(job)[0] == "WAITING"


def test_airflow_is_away_and_comes_back(playing, options, run, queue, nobody):
    """Nobody listens at the hand-over; the run stays WAITING, says why, and is handed over when Airflow is back."""
    options(url=nobody)
    job = run("good")
    assert (job["status"], job["factory_id"]) == ("WAITING", None)
    assert "the connection failed" in job["info"]["message"]
    reconcile.reconcile()
    queue()
    assert row_of(job["id"])["info"]["hand_over"]["tries"] == 2
    assert sum("the connection failed" in text for text in messages(job)) == 1
    playing("3.3.2", "good")
    reconcile.reconcile()
    queue()
    assert row_of(job["id"])["factory_id"] == f"rec_good/{job_id('good')}"


def test_airflow_that_is_away_for_a_day_is_the_reason_of_the_failure(options, run, nobody):
    options(url=nobody)
    job = run("good")
    aged(job, reconcile.MAX_WAIT_S + 60)
    reconcile.reconcile()
    assert ended(job) == ("FAILED", "factory_unreachable")
    assert "the connection failed" in row_of(job["id"])["info"]["error"]["message"]


def test_it_waits_as_long_as_airflow_asks_for(playing, run, queue):
    player = playing("3.3.2", "good")
    player.fault("POST", "/dagRuns$", Answered(429, body={"detail": "slow"}, headers={"Retry-After": "3600"}))
    job = run("good")
    before = len(player.asked)
    reconcile.reconcile()
    queue()
    assert len(player.asked) == before
    assert "asked too often" in row_of(job["id"])["info"]["message"]


def test_answer_that_was_lost_is_found_by_the_next_hand_over(playing, run, queue):
    player = playing("3.3.2", "twice")
    player.fault("POST", "/dagRuns$", Answered(cut=True), early=False)
    job = run("twice")
    assert job["factory_id"] is None
    reconcile.reconcile()
    queue()
    assert row_of(job["id"])["factory_id"] == f"rec_good/{job_id('twice')}"


@pytest.mark.parametrize(
    ("scenario", "given", "code"),
    [
        ("password", {"password": "wrong"}, "sign_in_refused"),
        ("viewer", {"username": "viewer", "password": "viewer"}, "right_missing"),
        ("theirs", {}, "run_refused"),
        ("paused", {}, "dag_paused"),
    ],
)
def test_what_does_not_pass_fails_at_once(playing, run, scenario, given, code):
    playing("3.3.2", scenario, **given)
    assert ended(run(scenario)) == ("FAILED", code)


def test_no_key_is_no_run(options, run):
    options(url="http://127.0.0.1:1", key="")
    assert ended(run("good")) == ("FAILED", "factory_misconfigured")


def test_dag_that_was_paused_later_is_told_and_in_the_end_the_reason(playing, run):
    player = playing("3.3.2", "good")
    job = run("good")
    player.fault("GET", f"/dagRuns/{job_id('good')}$", Answered(200, body={"state": "queued", "conf": {}}), times=9)
    dag = {"dag_id": "rec_good", "is_paused": True, "is_stale": False, "has_import_errors": False}
    player.fault("GET", "/dags/rec_good$", Answered(200, body=dag), times=9)
    reconcile.reconcile()
    row = row_of(job["id"])
    assert row["status"] == "WAITING"
    assert "is paused" in row["info"]["message"]
    aged(job, reconcile.MAX_WAIT_S + 60)
    reconcile.reconcile()
    assert ended(job) == ("FAILED", "dag_paused")


def test_silent_run_is_believed_to_run_for_a_day(playing, run):
    """Airflow itself notices when a worker is lost; a full queue of it may be long."""
    player = playing("3.3.2", "cancel")
    job = run("cancel")
    running = Answered(200, body={"state": "running", "conf": {}})
    player.fault("GET", f"/dagRuns/{job_id('cancel')}$", running, times=9)
    aged(job, 10_000)
    reconcile.reconcile()
    assert ended(job)[0] == "RUNNING"
    aged(job, reconcile.MAX_WAIT_S + 60)
    reconcile.reconcile()
    assert ended(job) == ("FAILED", "worker_lost")


def test_cancel_ends_the_run_at_airflow(playing, run, queue):
    player = playing("3.3.2", "cancel")
    job = run("cancel")
    jobs.cancel(job["id"], "Cancelled.")
    queue()
    assert len(player.paths("PATCH")) == 1
    look_again(job)
    reconcile.reconcile()
    assert ended(job)[0] == "CANCELLED"


def test_cancel_that_airflow_did_not_hear_is_told_again(playing, run, queue):
    player = playing("3.3.2", "cancel")
    job = run("cancel")
    reconcile.reconcile()
    player.fault("PATCH", "/dagRuns/", Answered(503, "text/html", PAGE))
    jobs.cancel(job["id"], "Cancelled.")
    queue()
    for _ in range(10):
        look_again(job)
        reconcile.reconcile()
    assert len(player.paths("PATCH")) == 2
    assert ended(job)[0] == "CANCELLED"


def test_cancel_finds_a_run_whose_answer_was_lost(playing, run, queue):
    player = playing("3.3.2", "cancel")
    player.fault("POST", "/dagRuns$", Answered(cut=True), early=False)
    job = run("cancel")
    assert job["factory_id"] is None
    jobs.cancel(job["id"], "Cancelled.")
    queue()
    assert len(player.paths("PATCH")) == 1


def test_airflow_that_does_not_answer_is_asked_once_in_a_round(playing, run, submit, monkeypatch):
    player = playing("3.3.2", "good")
    job = run("good")
    for n in range(3):
        other = submit(resource=f"other{n}")
        jobs.handed_over(other["id"], f"rec_good/{other['id']}")
    player.fault("GET", "/dagRuns/", Answered(503, "text/html", PAGE), times=99)
    before = len(player.asked)
    reconcile.reconcile()
    assert len(player.asked) - before == 1
    assert ended(job)[0] == "WAITING"


def test_run_that_was_cancelled_while_it_was_handed_over_is_ended_at_airflow(playing, run, monkeypatch):
    player = playing("3.3.2", "cancel")
    handed_over = jobs.handed_over

    def cancelled_meanwhile(job_id, factory_id):
        jobs.cancel(job_id, "Cancelled.")
        return handed_over(job_id, factory_id)

    monkeypatch.setattr(jobs, "handed_over", cancelled_meanwhile)
    job = run("cancel")
    assert (job["status"], job["factory_id"]) == ("CANCELLED", None)
    assert len(player.paths("PATCH")) == 1


def test_worker_that_reports_before_the_id_is_kept_does_not_lose_the_run(playing, run, monkeypatch):
    playing("3.3.2", "good")
    handed_over = jobs.handed_over

    def reported_meanwhile(job_id, factory_id):
        jobs.report(job_id, Report(Status.RUNNING))
        return handed_over(job_id, factory_id)

    monkeypatch.setattr(jobs, "handed_over", reported_meanwhile)
    job = run("good")
    assert (job["status"], job["factory_id"]) == ("RUNNING", f"rec_good/{job_id('good')}")


def test_id_that_ckans_worker_did_not_live_to_keep_is_found(playing, run):
    playing("3.3.2", "good")
    job = run("good")
    jobs.report(job["id"], Report(Status.RUNNING))
    with model.begin() as connection:
        connection.execute(model.JOB.update().where(model.JOB.c.id == job["id"]).values(factory_id=None))
    reconcile.reconcile()
    assert row_of(job["id"])["factory_id"] == f"rec_good/{job_id('good')}"

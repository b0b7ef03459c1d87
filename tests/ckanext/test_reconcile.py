"""Every active state has a way out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from ckan.lib import jobs as ckan_jobs
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from aircan.contract import Field, Part, Publish, Report
from aircan.status import Status
from ckanext.aircan_connector import background, jobs, model, reconcile
from ckanext.aircan_connector.datastore import janitor
from ckanext.aircan_connector.datastore import sink as sink_module
from ckanext.aircan_connector.datastore.sink import DirectSink

from .conftest import row_of
from .test_runner import left_behind

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]


def silent(job_id, seconds):
    with model.begin() as connection:
        then = model.now() - timedelta(seconds=seconds)
        connection.execute(model.JOB.update().where(model.JOB.c.id == job_id).values(last_report=then, created=then))


def test_fresh_jobs_are_left_alone(submit):
    job = submit()
    assert reconcile.reconcile()["looked_after"] == 0
    assert row_of(job["id"])["status"] == "WAITING"


def test_waiting_job_that_was_never_queued_is_queued(monkeypatch, upload, queue):
    """Redis was down at the save; the run comes later."""
    with monkeypatch.context() as away:
        away.setattr(background.config, "redis_url", lambda: "redis://127.0.0.1:1/0")
        resource = upload(ckan_factories.Dataset()["id"], b"a,b\n1,2\n")["id"]
    queue()
    with model.begin() as connection:
        job = model.newest_job(connection, resource, "LOAD")
    assert job["status"] == "WAITING"
    silent(job["id"], 100)
    reconcile.reconcile()
    queue()
    assert row_of(job["id"])["status"] == "DONE"


def test_queued_job_is_not_queued_twice(submit):
    job = submit()
    silent(job["id"], 100)
    reconcile.reconcile()
    assert len(ckan_jobs.get_queue("default").jobs) == 1
    assert row_of(job["id"])["status"] == "WAITING"


def test_running_job_whose_worker_is_gone_fails_with_a_reason(submit):
    job = submit()
    background.dequeue(job["id"])
    jobs.handed_over(job["id"], job["id"])
    jobs.report(job["id"], Report(Status.RUNNING))
    silent(job["id"], 100)
    reconcile.reconcile()
    row = row_of(job["id"])
    assert (row["status"], row["info"]["error"]["code"]) == ("FAILED", "worker_lost")


def test_job_handed_over_but_never_started_fails(submit):
    job = submit()
    background.dequeue(job["id"])
    jobs.handed_over(job["id"], job["id"])
    silent(job["id"], 100)
    reconcile.reconcile()
    assert row_of(job["id"])["status"] == "FAILED"


def test_job_that_nobody_takes_for_a_day_fails(submit):
    job = submit()
    silent(job["id"], reconcile.MAX_WAIT_S + 60)
    reconcile.reconcile()
    assert row_of(job["id"])["info"]["error"]["code"] == "never_started"


def test_job_behind_a_running_one_waits_on(submit):
    first = submit()
    jobs.handed_over(first["id"], "elsewhere")
    jobs.report(first["id"], Report(Status.RUNNING))
    second = submit()
    silent(second["id"], reconcile.MAX_WAIT_S + 60)
    reconcile.reconcile()
    assert row_of(second["id"])["status"] == "WAITING"


def test_redis_away_changes_nothing(monkeypatch, submit):
    job = submit()
    jobs.handed_over(job["id"], job["id"])
    jobs.report(job["id"], Report(Status.RUNNING))
    silent(job["id"], 100)
    monkeypatch.setattr(background.config, "redis_url", lambda: "redis://127.0.0.1:1/0")
    reconcile.reconcile()
    assert row_of(job["id"])["status"] == "RUNNING"


@pytest.fixture
def half_loaded(submit, upload):
    """A RUNNING job whose hidden table is there, and nobody works on it."""
    resource = upload(ckan_factories.Dataset()["id"], b"a,b\n1,2\n", "a.dat", format="DAT")["id"]
    job = submit(resource=resource)
    background.dequeue(job["id"])
    jobs.handed_over(job["id"], job["id"])
    jobs.report(job["id"], Report(Status.RUNNING, result={"rows": 1}))
    sink = DirectSink(job["id"], resource)
    sink.begin([Field("a", "a")])
    sink.put(Part(0, 1, b"1,x\n"))
    yield job, resource, sink
    sink.close()
    sink.discard()  # else a later test of reconcile finds it


@pytest.mark.ckan_config("ckanext.aircan_connector.reconcile.lease_s", 0)
def test_hidden_table_of_a_killed_run_is_dropped(half_loaded):
    job, _, sink = half_loaded
    sink.close()
    assert left_behind(job["id"])
    reconcile.reconcile()
    assert row_of(job["id"])["info"]["error"]["code"] == "worker_lost"
    assert not left_behind(job["id"])


def test_hidden_table_of_a_working_run_stays(half_loaded):
    job, _, _ = half_loaded
    reconcile.reconcile()
    assert row_of(job["id"])["status"] == "RUNNING"
    assert left_behind(job["id"])


def test_run_killed_behind_the_swap_is_finished(half_loaded):
    """The rows are live, only the index was missing: that is DONE, not FAILED."""
    job, resource, sink = half_loaded
    original = sink_module.publish.index_live
    sink_module.publish.index_live = lambda *args, **kwargs: (_ for _ in ()).throw(SystemExit)
    try:
        with pytest.raises(SystemExit):
            sink.publish(rows=1, when=Publish.SEARCHABLE)
    finally:
        sink_module.publish.index_live = original
    sink.close()
    silent(job["id"], 100)
    reconcile.reconcile()
    assert row_of(job["id"])["status"] == "DONE"
    assert not janitor.needs_index(resource)
    assert helpers.call_action("resource_show", id=resource)["datastore_active"] is True


@pytest.mark.ckan_config("ckanext.aircan_connector.reconcile.keep_days", 30)
def test_old_jobs_are_deleted_with_their_log(submit):
    job = submit()
    jobs.cancel(job["id"], "Cancelled.")
    with model.begin() as connection:
        old = model.now() - timedelta(days=31)
        connection.execute(model.JOB.update().values(finished=old))
    assert reconcile.reconcile()["jobs_deleted"] == 1
    assert jobs.get(job["id"]) is None
    with model.begin() as connection:
        assert model.count_events(connection, job["id"]) == 0

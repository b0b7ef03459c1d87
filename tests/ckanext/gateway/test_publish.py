"""Publishing behind the request: once, whatever is asked twice or killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import threading
from datetime import timedelta

import pytest
from ckan import model as ckan_model
from ckan.lib import jobs as ckan_jobs
from ckan.tests import helpers

from aircan.contract import Report, Task, Write, Writing
from aircan.errors import DatastoreUnavailable, MetadataUnsaved, PartBroken, PublishVetoed, StageMissing
from aircan.status import Status
from ckanext.aircan_connector import (
    background,
    config,
    gateway,
    incoming,
    interfaces,
    jobs,
    model,
    publishing,
    runner,
    working,
)
from ckanext.aircan_connector.datastore import flag, janitor, publish
from ckanext.aircan_connector.datastore import sink as sink_module
from ckanext.aircan_connector.datastore.names import stage as stage_name

from ..conftest import row_of, soon
from ..datastore.conftest import fields, part

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore datatables_view aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

FIELDS = fields(id="numeric", name="text")
ROWS = [[1, "Ana"], [2, "Ben"], [3, "Cleo"]]


@pytest.fixture
def loaded(worker):
    """A worker whose parts are all there."""
    worker.begin(FIELDS)
    worker.put(part(ROWS))
    return worker


def names(resource):
    found = helpers.call_action("datastore_search", resource_id=resource, sort="_id")
    return [record["name"] for record in found["records"]]


def left_of(query, job_id):
    """Return the names of what is left of a job in the DataStore."""
    return query("SELECT relname FROM pg_class WHERE starts_with(relname, %s)", stage_name(job_id))


def state_of(job_id):
    return row_of(job_id)["info"].get("publish")


def test_asked_twice_it_is_done_once(loaded, queue, monkeypatch):
    swaps, swap = [], publish.swap
    monkeypatch.setattr(publish, "swap", lambda *args, **kwargs: (swaps.append(1), swap(*args, **kwargs))[1])
    assert loaded.publish(3).json == {"state": "working"}
    assert loaded.publish(3).json == {"state": "working"}
    queue()
    done = loaded.publish(3)
    assert (done.status, done.json["state"]) == (202, "done")
    queue()
    assert (names(loaded.resource), len(swaps)) == (["Ana", "Ben", "Cleo"], 1)


def test_it_does_not_end_the_job(loaded, queue):
    """DONE is what the worker's last report says, with the whole result."""
    loaded.publish(3)
    queue()
    assert row_of(loaded.job_id)["status"] == Status.RUNNING.value


def test_ckan_knows_of_the_table(loaded, queue):
    loaded.publish(3)
    queue()
    assert helpers.call_action("resource_show", id=loaded.resource)["datastore_active"] is True
    assert "datatables_view" in [v["view_type"] for v in helpers.call_action("resource_view_list", id=loaded.resource)]


@pytest.mark.parametrize("when", ["complete", "searchable", "rows"])
def test_when(loaded, queue, query, when):
    loaded.publish(3, when)
    queue()
    assert loaded.published()["state"] == "done"
    assert helpers.call_action("datastore_search", resource_id=loaded.resource, q="cleo")["total"] == 1
    assert left_of(query, loaded.job_id) == []


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "rows is not a number"),
        ({"rows": -1}, "rows is not a number"),
        ({"rows": True}, "rows is not a number"),
        ({"rows": "3"}, "rows is not a number"),
        ({"rows": 3.0}, "rows is not a number"),
        ({"rows": 2**53 + 1}, "rows is not a number"),
        ({"rows": 3, "when": "now"}, "when is none of"),
        ({"rows": 3, "when": ["rows"]}, "when is none of"),
    ],
)
def test_a_request_that_is_not_made_as_agreed(loaded, told, said):
    answer = loaded.ask("POST", "/publish", json=told)
    assert (answer.status, answer.code) == (400, "request_refused")
    assert said in answer.facts["reason"]
    assert loaded.published() == {"state": "none"}


def test_without_a_stage(worker):
    answer = worker.publish(3)
    assert (answer.status, answer.code) == (409, "stage_missing")
    assert worker.published() == {"state": "none"}


@pytest.mark.parametrize("after", ["POST", "end"])
def test_nothing_can_be_changed_from_then_on(loaded, queue, after):
    loaded.publish(3)
    if after == "end":
        queue()
    answer = loaded.put(part([[9, "late"]], number=1, first=4))
    assert (answer.status, answer.code) == (409, "stage_closed")
    if after == "POST":
        assert [loaded.begin(FIELDS).code, loaded.ask("DELETE", "/stage").code] == ["stage_closed"] * 2
        queue()
    assert names(loaded.resource) == ["Ana", "Ben", "Cleo"]


def test_a_part_that_is_on_its_way_is_waited_for(loaded, queue, monkeypatch):
    """A part of another try must not slip in between the count and the swap."""
    held, let_go = threading.Event(), threading.Event()

    class Slow:
        def read(self, size):
            held.set()
            let_go.wait(60)
            return b""

    sink = sink_module.DirectSink(loaded.job_id, loaded.resource)
    body = incoming.Incoming(Slow(), 10, 5)

    def bring():
        with pytest.raises(PartBroken):
            sink.take(5, 1, body)

    thread = threading.Thread(target=bring)
    thread.start()
    assert held.wait(60)
    monkeypatch.setattr(sink_module, "PART_WAIT_MS", 100)
    answer = loaded.publish(3)
    assert (answer.status, answer.code) == (503, "table_busy")
    let_go.set()
    thread.join()
    sink.close()
    assert loaded.publish(3).status == 202


def test_rows_that_are_missing_can_come_after_all(loaded, queue):
    loaded.publish(4)
    queue()
    told = loaded.published()
    assert (told["state"], told["error"]["code"]) == ("failed", "rows_missing")
    assert told["error"]["facts"] == {"rows": 4, "loaded": 3}
    assert loaded.put(part([[4, "Dora"]], number=1, first=4)).json == {"loaded": True, "rows": 4}
    loaded.publish(4)
    queue()
    assert loaded.published()["state"] == "done"
    assert names(loaded.resource)[-1] == "Dora"


def test_keys_that_are_not_unique(loaded, queue):
    loaded.publish(3)
    queue()
    loaded.begin(FIELDS, Writing(Write.UPSERT, ("id",)))
    loaded.put(part([[1, "x"], [7, "y"], [7, "z"]]))
    loaded.publish(3)
    queue()
    error = loaded.published()["error"]
    assert (error["code"], error["facts"]["found"][0]["row"]) == ("key_not_unique", 3)
    assert names(loaded.resource) == ["Ana", "Ben", "Cleo"]


@pytest.mark.parametrize("mode", [Write.APPEND, Write.UPSERT])
def test_rows_are_not_added_twice_when_a_worker_begins_anew(loaded, queue, mode):
    """Airflow may run the tasks of a run again: the rows are in the table already."""
    loaded.publish(3)
    queue()
    key = ("id",) if mode is Write.UPSERT else ()
    for _ in range(2):
        assert loaded.begin(FIELDS, Writing(mode, key)).status == 200
        assert loaded.put(part([[4, "Dora"]])).status == 200
        assert loaded.publish(1).status == 202
        queue()
        written = loaded.published()["written"]
        assert (written["total"], written["added"]) == (4, 1)
    assert names(loaded.resource) == ["Ana", "Ben", "Cleo", "Dora"]


def test_a_worker_that_begins_anew_replaces_the_table_again(loaded, queue):
    loaded.publish(3)
    queue()
    assert loaded.begin(FIELDS).status == 200
    assert loaded.published() == {"state": "none"}
    assert loaded.put(part([[8, "Hal"]])).status == 200
    assert names(loaded.resource) == ["Ana", "Ben", "Cleo"]
    loaded.publish(1)
    queue()
    assert names(loaded.resource) == ["Hal"]


def test_an_extension_may_refuse(loaded, queue, monkeypatch):
    seen = []

    def veto(table):
        seen.append(table)
        raise PublishVetoed(reason="Not on a Saturday.")

    monkeypatch.setattr(interfaces, "before_publish", veto)
    loaded.publish(3)
    queue()
    told = loaded.published()
    assert (told["state"], told["error"]["code"]) == ("failed", "publish_vetoed")
    assert (seen[0]["resource_id"], seen[0]["rows"]) == (loaded.resource, 3)


def test_redis_is_away(loaded, queue, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(config, "redis_url", lambda: "redis://127.0.0.1:1/0")
        answer = loaded.publish(3)
        assert (answer.status, answer.code) == (503, "factory_unavailable")
    assert loaded.publish(3).json == {"state": "working"}
    queue()
    assert loaded.published()["state"] == "done"


def queued(function="publish"):
    return [job.id for job in ckan_jobs.get_queue(config.queue()).jobs if job.func_name.endswith(f".{function}")]


def age(job_id, seconds):
    """Let the last queueing be longer ago."""

    def older(old):
        return {**old, "queued": (model.now() - timedelta(seconds=seconds)).isoformat()}

    jobs.keep(job_id, "publish", older)


def test_what_a_killed_worker_left_is_queued_again(loaded, queue):
    loaded.publish(3)
    assert queued() == [f"aircan-publish-{loaded.job_id}"]
    background._connect().flushdb()
    assert loaded.published() == {"state": "working"}
    assert queued() == []  # it may just have been taken from the queue
    age(loaded.job_id, gateway.TAKEN_UP_S + 1)
    assert loaded.published() == {"state": "working"}
    assert len(queued()) == 1
    age(loaded.job_id, gateway.TAKEN_UP_S + 1)
    loaded.published()
    assert len(queued()) == 1  # it waits
    queue()
    assert loaded.published()["state"] == "done"


def test_what_is_worked_on_is_not_queued_again(loaded):
    loaded.publish(3)
    background._connect().flushdb()
    age(loaded.job_id, gateway.TAKEN_UP_S + 1)
    with model.alone(loaded.job_id) as alone:
        assert alone
        assert model.is_taken(loaded.job_id)
        assert loaded.published() == {"state": "working"}
        publishing.publish(loaded.job_id)
        assert (queued(), state_of(loaded.job_id)["state"]) == ([], "working")
    assert not model.is_taken(loaded.job_id)


POINTS = ["before", "swapped", "before the flag", "notes dropped"]


def killed_at(point):
    """Stand in for a worker that dies there: nothing of it is done afterwards, not even tidying up."""
    if point == "before":
        publishing.Sink._look = lambda *args: os._exit(9)
    elif point == "swapped":
        publish.make_durable = lambda *args: os._exit(9)
    elif point == "before the flag":
        flag.mark_active = lambda *args: os._exit(9)
    else:
        publishing.Sink.tell_ckan = lambda *args: os._exit(9)


def die(job_id, point):
    ckan_model.meta.engine.pool = ckan_model.meta.engine.pool.recreate()  # the parent's connections stay the parent's
    ckan_model.Session.registry.clear()
    killed_at(point)
    runner.publish(job_id)
    os._exit(0)


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_the_middle_it_is_taken_up_again(loaded, queue, query, point):
    loaded.publish(3)
    background._connect().flushdb()
    process = multiprocessing.get_context("fork").Process(target=die, args=(loaded.job_id, point))
    process.start()
    process.join(120)
    assert process.exitcode == 9
    assert state_of(loaded.job_id)["state"] == "working"
    soon(lambda: not model.is_taken(loaded.job_id))
    age(loaded.job_id, gateway.TAKEN_UP_S + 1)
    assert loaded.published() == {"state": "working"}
    queue()
    told = loaded.published()
    assert (told["state"], told["written"]["total"]) == ("done", 3)
    assert names(loaded.resource) == ["Ana", "Ben", "Cleo"]
    assert helpers.call_action("datastore_search", resource_id=loaded.resource, q="cleo")["total"] == 1
    assert helpers.call_action("resource_show", id=loaded.resource)["datastore_active"] is True
    assert left_of(query, loaded.job_id) == []


def test_cancel_in_the_middle_interrupts_it_before_the_swap(loaded, query, monkeypatch):
    """The statement that runs is stopped, the old table stays, the hidden one goes."""
    monkeypatch.setattr(working, "WATCH_S", 0.05)
    loaded.publish(3)
    began = threading.Event()
    look = publishing.Sink._look

    def slow(self, note, rows):
        with self._connections.transaction() as cursor:
            began.set()
            cursor.execute("SELECT pg_sleep(300)")
        look(self, note, rows)

    monkeypatch.setattr(publishing.Sink, "_look", slow)
    thread = threading.Thread(target=publishing.publish, args=(loaded.job_id,))
    thread.start()
    assert began.wait(60)
    assert jobs.cancel(loaded.job_id, "Cancelled.")
    thread.join(60)
    assert not thread.is_alive()
    assert loaded.ask("GET", "/publish").facts == {"status": "CANCELLED"}
    assert left_of(query, loaded.job_id) == []
    assert query("SELECT to_regclass(%s)", f'"{loaded.resource}"') == [(None,)]


def test_over_the_time_limit(loaded, monkeypatch):
    monkeypatch.setattr(working, "WATCH_S", 0.05)
    monkeypatch.setattr(config, "time_limit_s", lambda: 0)
    loaded.publish(3)

    def slow(self, note, rows):
        with self._connections.transaction() as cursor:
            cursor.execute("SELECT pg_sleep(300)")

    monkeypatch.setattr(publishing.Sink, "_look", slow)
    publishing.publish(loaded.job_id)
    told = loaded.published()
    assert (told["state"], told["error"]["code"]) == ("failed", "took_too_long")
    assert row_of(loaded.job_id)["status"] == Status.RUNNING.value


def test_while_it_lasts_there_are_signs_of_life(loaded, monkeypatch):
    monkeypatch.setattr(working, "WATCH_S", 0.05)
    monkeypatch.setattr(working, "HEARTBEAT_S", 0.1)
    loaded.publish(3)
    before, after = row_of(loaded.job_id)["last_report"], []

    def slow(self, note, rows):
        soon(lambda: row_of(loaded.job_id)["last_report"] > before)
        after.append(row_of(loaded.job_id)["last_report"])

    monkeypatch.setattr(publishing.Sink, "_look", slow)
    publishing.publish(loaded.job_id)
    assert after[0] > before


def test_a_defect_of_ours_fails_it_and_is_not_tried_for_ever(loaded, monkeypatch):
    def broken(self, note, rows):
        raise ZeroDivisionError

    monkeypatch.setattr(publishing.Sink, "_look", broken)
    loaded.publish(3)
    publishing.publish(loaded.job_id)
    assert loaded.published()["error"]["code"] == "unexpected"
    background._connect().flushdb()
    age(loaded.job_id, 100)
    assert loaded.published()["state"] == "failed"
    assert queued() == []


def test_a_failure_that_passes_can_be_asked_for_again(loaded, monkeypatch, queue):
    with monkeypatch.context() as patch:

        def away(self, note, rows):
            raise DatastoreUnavailable("host db.internal")

        patch.setattr(publishing.Sink, "_look", away)
        loaded.publish(3)
        publishing.publish(loaded.job_id)
        told = loaded.published()
        assert (told["error"]["code"], told["error"]["retryable"]) == ("datastore_unavailable", True)
        assert "db.internal" not in str(told)
    background._connect().flushdb()
    loaded.publish(3)
    queue()
    assert loaded.published()["state"] == "done"


def test_ckan_could_not_be_told_at_first(loaded, monkeypatch, queue):
    """The table is live, the notes of the stage are gone; asked again, only what is left is done."""
    with monkeypatch.context() as patch:

        def away(resource_id):
            raise ConnectionError("solr")

        patch.setattr(flag, "mark_active", away)
        loaded.publish(3)
        publishing.publish(loaded.job_id)
        assert loaded.published()["error"]["code"] == MetadataUnsaved.code
    background._connect().flushdb()
    assert loaded.publish(3).json == {"state": "working"}
    queue()
    told = loaded.published()
    assert (told["state"], told["written"]["total"]) == ("done", 3)
    assert helpers.call_action("resource_show", id=loaded.resource)["datastore_active"] is True


def test_a_stage_that_the_janitor_dropped(loaded, queue):
    loaded.publish(3)
    assert janitor.drop_orphans([], older_than_s=0)
    queue()
    assert loaded.published()["error"]["code"] == StageMissing.code


def test_a_resource_that_was_deleted(loaded, queue):
    loaded.publish(3)
    ckan_model.Resource.get(loaded.resource).delete()
    ckan_model.repo.commit_and_remove()
    queue()
    assert loaded.published()["error"]["code"] == "source_missing"


def test_progress_and_tasks_of_the_worker_stay(loaded, queue):
    task = Task("publish", Status.RUNNING)
    jobs.report(loaded.job_id, Report(Status.RUNNING, task=task, progress={"percent": 45, "rows": 3}))
    loaded.publish(3)
    queue()
    info = row_of(loaded.job_id)["info"]
    assert [(t["id"], t["status"]) for t in info["tasks"]] == [("publish", "RUNNING")]
    assert info["progress"]["percent"] >= 45


def test_keep_changes_nothing_of_a_final_job(loaded):
    jobs.report(loaded.job_id, Report(Status.DONE))
    assert jobs.keep(loaded.job_id, "publish", lambda old: {"state": "x"}) is None
    assert state_of(loaded.job_id) is None

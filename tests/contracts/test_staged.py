"""A LOAD in tasks over real HTTP: each task talks to a real CKAN through its gateway, into a real DataStore."""

from __future__ import annotations

import dataclasses
import functools
import gzip
import io
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ckantoolkit as tk
import pytest
from ckan import model as ckan_model
from ckan.tests import factories as ckan_factories
from werkzeug.datastructures import FileStorage

from aircan import staged
from aircan.errors import JobStopped, ValueRefused
from aircan.remote.patience import Waiting
from aircan.staged import Access, Run, outside
from ckanext.aircan_connector import factories, jobs, model, orders
from ckanext.aircan_connector.uploads import UploadSource
from tests.ckanext.datastore.catalogue import leftovers

from .conftest import IN_CKAN

pytestmark = IN_CKAN

DATA = b"id,name\n" + b"".join(b"%d,name %d\n" % (i, i) for i in range(3000))


@pytest.fixture
def make(served, queue, tmp_path, monkeypatch):
    """Upload a file, and return the run of its job as a factory would have it."""

    def sleep(seconds):
        if threading.current_thread() is threading.main_thread():
            queue()
        time.sleep(min(seconds, 0.05))

    # Tasks that wait in this thread are what CKAN's background worker works meanwhile.
    monkeypatch.setattr(outside, "Waiting", functools.partial(Waiting, sleep=sleep))

    def upload(data, resource=None, **params):
        if resource is None:
            file = FileStorage(io.BytesIO(data), "table.csv")
            resource = ckan_factories.Resource(url="table.csv", url_type="upload", upload=file, format="CSV")["id"]
        dataset = ckan_model.Resource.get(resource).package_id
        job = jobs.submit(
            resource=resource, dataset=dataset, user=None, name="a", mark=str(time.monotonic()), params=params
        )
        assert jobs.handed_over(job["id"], f"aircan_load/{job['id']}")
        order = dataclasses.replace(orders.make(jobs.get(job["id"])), site_url=served)
        access = Access(tuple(factories.get("local").keys()), store=str(tmp_path / "store"))
        return Run(json.loads(json.dumps(order.to_dict())), "aircan_load", job["id"], access)

    return upload


def carry_out(run, until=None):
    """Run the tasks in order, the loads at the same time; return what `report` returns."""
    published = None
    try:
        staged.fetch(run)
        batches = staged.convert(run)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda batch: staged.load(run, batch), batches))
        published = staged.publish(run)
    except Exception as exc:
        if until is None or not isinstance(exc, until):
            raise
    return staged.report(run, published)


def test_an_upload_is_in_the_datastore_and_its_job_is_done(make, query, tmp_path):
    run = make(DATA, part_bytes=1000)
    assert carry_out(run) == {"status": "DONE", "message": "Done: 3000 rows."}
    found = query(f'SELECT _id, id, name FROM "{run.conf["resource"]["id"]}" ORDER BY _id')
    assert found == [(i + 1, i, f"name {i}") for i in range(3000)]
    job = jobs.get(run.run_id)
    assert (job["status"], job["info"]["result"]["rows"]) == ("DONE", 3000)
    assert [(task["id"], task["status"]) for task in job["info"]["tasks"]] == [
        (name, "DONE") for name in ("fetch", "sniff", "infer", "load", "publish")
    ]
    assert list((tmp_path / "store").rglob("*.*")) == []
    assert leftovers(query) == []


def test_rejects_are_told_once_although_convert_ran_three_times(make, query):
    run = make(b"n,t\n" + b"1,a\n" * 40 + b"2\n3,b,c\n", max_reject_share=0.2)
    staged.fetch(run)
    for _ in range(3):
        batches = staged.convert(run)
    for batch in batches:
        staged.load(run, batch)
    assert staged.report(run, staged.publish(run))["status"] == "DONE"
    with model.begin() as connection:
        events = model.list_events(connection, run.run_id, rejects=True)
    assert [reject["line"] for event in events for reject in event["data"]["rejects"]] == [42, 43]


def test_every_task_twice_is_as_good_as_once(make, query):
    run = make(DATA, part_bytes=1000)
    for _ in range(2):
        staged.fetch(run)
    for _ in range(2):
        batches = staged.convert(run)
    for batch in [*batches, *batches]:
        staged.load(run, batch)
    published = [staged.publish(run), staged.publish(run)]
    assert published == [{"rows": 3000, "rejected": 0}] * 2
    assert [staged.report(run, published[0])["status"] for _ in range(2)] == ["DONE", "DONE"]
    assert query(f'SELECT count(*), max(_id) FROM "{run.conf["resource"]["id"]}"') == [(3000, 3000)]


def test_a_value_that_postgresql_refuses_is_told_with_its_line_in_the_file(make, query):
    """Types are decided so that this should never be; a date beyond PostgreSQL's years is one that can be made."""
    run = make(b'd,t\n2024-01-01,"two\nlines"\n2024-01-02,x\n')
    staged.fetch(run)
    (batch,) = staged.convert(run)
    (part,) = Path(run.access.store).rglob("part-*")

    part.write_bytes(gzip.compress(gzip.decompress(part.read_bytes()).replace(b"2024-01-02", b"2024-13-02")))
    with pytest.raises(ValueRefused) as caught:
        staged.load(run, batch)
    assert caught.value.facts["line"] == 4
    told = staged.report(run)
    job = jobs.get(run.run_id)
    assert (told["status"], job["status"], job["info"]["error"]["line"]) == ("FAILED", "FAILED", 4)
    assert leftovers(query) == []


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_rows_are_added_to_what_is_there(make, query, mode):
    first = make(b"k,v\na,1\nb,2\n")
    carry_out(first)
    resource = first.conf["resource"]["id"]
    shown = tk.get_action("resource_show")({"ignore_auth": True}, {"id": resource})
    Path(UploadSource(shown)._path).write_bytes(b"k,v\nb,3\nc,4\n")
    run = make(b"", resource=resource, write=mode, **({"key": ["k"]} if mode == "upsert" else {}))
    assert carry_out(run)["status"] == "DONE"
    found = query(f'SELECT k, v FROM "{resource}" ORDER BY k, v')
    assert found == [("a", 1), *([("b", 2)] if mode == "append" else []), ("b", 3), ("c", 4)]
    assert jobs.get(run.run_id)["info"]["result"]["written"]["added"] == (2 if mode == "append" else 1)


def test_a_cancelled_job_lets_every_task_end_quietly(make, query):
    run = make(DATA, part_bytes=1000)
    staged.fetch(run)
    batches = staged.convert(run)
    jobs.cancel(run.run_id, "Cancelled.")
    for task in (lambda: staged.load(run, batches[0]), lambda: staged.publish(run), lambda: staged.convert(run)):
        with pytest.raises(JobStopped):
            task()
    assert staged.report(run)["status"] == "STOPPED"
    assert jobs.get(run.run_id)["status"] == "CANCELLED"


def test_a_fetch_asks_ckan_whether_others_are_over_and_drops_their_files(make, tmp_path):
    cancelled, active, unknown = make(DATA), make(DATA), "99999999-9999-4999-8999-999999999999"
    jobs.cancel(cancelled.run_id, "Cancelled.")
    then = time.time() - 2 * 3600
    for run_id in (cancelled.run_id, active.run_id, unknown):
        file = tmp_path / "store" / "aircan_load" / run_id / "convert" / "part-00000.csv.gz"
        file.parent.mkdir(parents=True)
        file.write_bytes(b"x")
        os.utime(file, (then, then))
    run = make(DATA)
    staged.fetch(run)
    left = {path.name for path in (tmp_path / "store" / "aircan_load").iterdir()}
    assert left == {active.run_id, unknown, run.run_id}

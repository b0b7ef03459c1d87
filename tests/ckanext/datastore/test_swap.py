"""The moment of the swap: what readers and writers see, and what happens behind a long query."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
from ckan import model
from ckan.tests import helpers
from ckanext.datastore.backend import postgres

from aircan.contract import Publish
from aircan.errors import JobStopped, TableBusy
from ckanext.aircan_connector import config
from ckanext.aircan_connector.datastore import janitor, publish

from ..conftest import soon
from .catalogue import leftovers, oid_of, snapshot
from .conftest import fields, part, parts, search

FIELDS = fields(version="numeric", word="text")
RELOADS = 20
READ_LOCK_WAIT_S = 3
"""Longest wait of a reader for a lock, by PostgreSQL's own clock; it fails with an error after that."""


@pytest.fixture
def ckan_config(ckan_config: Any) -> Iterator[Any]:
    """More read connections than CKAN's five: with fewer, its search by alias fails under load by itself."""
    ckan_config["ckan.datastore.sqlalchemy.pool_size"] = 20
    ckan_config["ckan.datastore.read_url"] += f"?options=-clock_timeout%3D{READ_LOCK_WAIT_S}s"
    postgres._dispose_engines()
    yield ckan_config
    postgres._dispose_engines()


def rows_of(version: int) -> list[list[Any]]:
    return [[version, f"common w{i}"] for i in range(50 + version)]


def check(found: dict[str, Any], whole: bool = True) -> None:
    """All rows are of one version, and as many as that version has."""
    versions = {int(record["version"]) for record in found["records"]}
    assert len(versions) == 1, f"a mix of {versions}" if versions else "an empty table"
    assert found["total"] == 50 + versions.pop()
    assert not whole or len(found["records"]) == found["total"]


class Reader(threading.Thread):
    """Searches again and again; keeps what went wrong and how long the longest search took."""

    def __init__(self, end: threading.Event, app: Any, resource_id: str, **kwargs: Any) -> None:
        super().__init__(daemon=True)
        self.end, self.app, self.asked = end, app, {"resource_id": resource_id, "limit": 1000, **kwargs}
        self.wrong: list[str] = []
        self.reads = 0
        self.longest_s = 0.0

    def run(self) -> None:
        while not self.end.is_set():
            started = time.monotonic()
            try:
                with self.app.flask_app.test_request_context():
                    check(helpers.call_action("datastore_search", **self.asked), self.asked["limit"] == 1000)
            except Exception as exc:  # noqa: BLE001 - whatever a reader may see
                self.wrong.append(repr(exc))
            finally:
                model.Session.remove()
            self.longest_s = max(self.longest_s, time.monotonic() - started)
            self.reads += 1


@contextmanager
def reading(app: Any, resource_id: str, *asked: dict[str, Any]) -> Iterator[list[Reader]]:
    end = threading.Event()
    readers = [Reader(end, app, **{"resource_id": resource_id, **kwargs}) for kwargs in asked]
    for reader in readers:
        reader.start()
    yield readers
    end.set()
    for reader in readers:
        reader.join(60)


@pytest.mark.parametrize("when", list(Publish))
def test_readers_see_no_error_no_empty_table_and_no_mix_during_twenty_reloads(
    load, resource, make_app, when, record_property
):
    load(resource, FIELDS, rows_of(0), when=when)
    helpers.call_action("datastore_create", resource_id=resource, force=True, aliases="an_alias")
    asked = [{}, {"resource_id": "an_alias"}, {"q": "common"}, {"limit": 5, "sort": "_id desc"}]
    locks = []
    with reading(make_app(), resource, *asked) as readers:
        for version in range(1, RELOADS + 1):
            locks.append(load(resource, FIELDS, rows_of(version), when=when).measured["lock"])
        soon(lambda: min(reader.reads for reader in readers) >= 5)
    assert [wrong for reader in readers for wrong in reader.wrong] == []
    assert search(resource)["total"] == 50 + RELOADS
    record_property("swap_lock_median_ms", round(1000 * sorted(locks)[RELOADS // 2], 1))
    record_property("longest_read_ms", round(1000 * max(reader.longest_s for reader in readers)))


@pytest.fixture
def holder() -> Iterator[Any]:
    """A second connection that holds a table as a long query does."""
    connection = psycopg2.connect(config.datastore_write_url())

    def hold(statement: str) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(statement)
        return connection

    yield hold
    connection.close()


def begun(sinks, resource, **kwargs):
    sink = sinks(resource, **kwargs)
    sink.begin(FIELDS)
    for piece in parts(rows_of(1)):
        sink.put(piece)
    return sink


def test_behind_a_long_query_readers_wait_no_longer_than_one_try(load, sinks, resource, holder, make_app, monkeypatch):
    """The query ends before the fourth try; a reader that had to wait for its end would get an error."""
    load(resource, FIELDS, rows_of(0))
    sink = begun(sinks, resource)
    held = holder(f'SELECT count(*) FROM "{resource}"')
    really, tries = publish._try, []

    def tried(*args):
        tries.append(args)
        if len(tries) == 4:
            held.rollback()
        return really(*args)

    monkeypatch.setattr(publish, "_try", tried)
    in_the_end = threading.Timer(20 * READ_LOCK_WAIT_S, held.rollback)
    in_the_end.start()
    with reading(make_app(), resource, {}) as readers:
        sink.publish(rows=51, when=Publish.SEARCHABLE)
    in_the_end.cancel()
    assert readers[0].wrong == []
    assert publish.LOCK_WAIT_MS < 1000 * READ_LOCK_WAIT_S
    assert sink.measured["tries"] >= 4
    assert search(resource)["total"] == 51


def test_a_table_that_stays_busy_is_left_as_it_was(load, sinks, resource, holder, query):
    load(resource, FIELDS, rows_of(0))
    before = (oid_of(query, resource), snapshot(query, resource))
    sink = begun(sinks, resource, max_publish_wait_s=2)
    held = holder(f'SELECT count(*) FROM "{resource}"')
    with pytest.raises(TableBusy) as caught:
        sink.publish(rows=51, when=Publish.COMPLETE)
    held.rollback()
    assert caught.value.facts["tries"] > 1
    assert caught.value.retryable
    assert (oid_of(query, resource), snapshot(query, resource)) == before
    sink.publish(rows=51, when=Publish.COMPLETE)
    assert search(resource)["total"] == 51
    assert leftovers(query) == []


def test_interrupt_while_waiting_for_the_lock(load, sinks, resource, holder, query):
    load(resource, FIELDS, rows_of(0))
    before = snapshot(query, resource)
    sink = begun(sinks, resource)
    held = holder(f'SELECT count(*) FROM "{resource}"')
    timer = threading.Timer(0.7, sink.interrupt)
    timer.start()
    with pytest.raises(JobStopped):
        sink.publish(rows=51, when=Publish.SEARCHABLE)
    timer.join()
    held.rollback()
    sink.discard()
    assert (snapshot(query, resource), leftovers(query)) == (before, [])


def test_an_old_table_that_is_still_read_is_left_to_the_janitor(load, sinks, resource, query, monkeypatch):
    load(resource, FIELDS, rows_of(0))
    monkeypatch.setattr(publish, "_DROP_WAIT_MS", 100)
    sink = begun(sinks, resource)
    connection = psycopg2.connect(config.datastore_write_url())
    original = publish.drop_retired

    def held(connections, job_id):
        with connection.cursor() as cursor:
            cursor.execute(f'SELECT 1 FROM "{next(n for n in leftovers(query) if n.endswith("_old"))}"')
        original(connections, job_id)

    monkeypatch.setattr(publish, "drop_retired", held)
    sink.publish(rows=51, when=Publish.SEARCHABLE)
    assert search(resource)["total"] == 51
    assert any(name.endswith("_old") for name in leftovers(query))
    connection.close()
    assert janitor.drop_orphans([], older_than_s=0)
    assert leftovers(query) == []


def test_an_api_write_behind_the_swap_is_not_lost(load, sinks, resource, monkeypatch, query):
    """Rows written before the index for searching is there stay, and are found."""
    load(resource, FIELDS, rows_of(0))
    original = publish.index_live

    def after_a_write(connections, resource_id, **kwargs):
        record = {"version": 1, "word": "fromapi"}
        helpers.call_action("datastore_upsert", resource_id=resource, force=True, method="insert", records=[record])
        return original(connections, resource_id, **kwargs)

    monkeypatch.setattr(publish, "index_live", after_a_write)
    begun(sinks, resource).publish(rows=51, when=Publish.SEARCHABLE)
    assert search(resource, q="fromapi")["records"][0]["_id"] == 52
    assert search(resource)["total"] == 52
    assert not janitor.needs_index(resource)


def test_a_table_made_by_the_api_while_a_first_load_runs_is_replaced(sinks, resource):
    sink = begun(sinks, resource)
    helpers.call_action(
        "datastore_create", resource_id=resource, force=True, fields=[{"id": "x", "type": "text"}], aliases="an_alias"
    )
    sink.publish(rows=51, when=Publish.SEARCHABLE)
    assert search("an_alias")["total"] == 51


def test_a_table_deleted_while_a_load_runs_is_made_anew(load, sinks, resource):
    load(resource, FIELDS, rows_of(0))
    sink = begun(sinks, resource)
    helpers.call_action("datastore_delete", resource_id=resource, force=True)
    sink.publish(rows=51, when=Publish.COMPLETE)
    assert search(resource)["total"] == 51


def test_two_loads_of_one_resource_do_not_harm_each_other(sinks, resource, query):
    first, second = begun(sinks, resource), begun(sinks, resource)
    second.put(part([[1, "more"]], number=9, first=52))
    with ThreadPoolExecutor(2) as pool:
        running = [
            pool.submit(sink.publish, rows=rows, when=Publish.SEARCHABLE) for sink, rows in ((first, 51), (second, 52))
        ]
    assert [future.exception() for future in running] == [None, None]
    assert search(resource)["total"] in (51, 52)
    assert leftovers(query) == []

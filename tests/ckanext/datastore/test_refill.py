"""publish=rows: the rows are seen first; their full text and the index come with a second table."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from ckan.tests import factories, helpers

from aircan.contract import Publish, Writing
from ckanext.aircan_connector.datastore import janitor, names, publish, refill

from .catalogue import leftovers, snapshot
from .conftest import fields, parts, search

FIELDS = fields(number="numeric", word="text", day="date", open="bool", at="timestamp")
ROWS = [
    [i, f"word{i} common", f"2024-02-{i % 28 + 1:02}", i % 2 == 0, f"2024-02-01T{i % 24:02}:00:00"] for i in range(500)
]


@pytest.fixture
def staged(sinks, resource):
    """A sink that holds the rows and has not published them."""
    sink = sinks(resource)
    sink.begin(FIELDS, Writing(rows_first=True))
    for part in parts(ROWS, 100):
        sink.put(part)
    return sink


@pytest.fixture
def killed(staged, monkeypatch):
    """A sink whose process died when the rows were seen and nothing was done after it."""

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publish, "drop_retired", die)
        with pytest.raises(KeyboardInterrupt):
            staged.publish(rows=len(ROWS), when=Publish.ROWS)
    staged.close()
    return staged


def vectors(query, table):
    return query(f'SELECT _id, _full_text FROM "{table}" ORDER BY _id')


def test_the_table_is_like_one_that_was_published_complete(staged, load, query):
    other = str(factories.Resource()["id"])
    load(other, FIELDS, ROWS, when=Publish.COMPLETE)
    staged.publish(rows=len(ROWS), when=Publish.ROWS)
    assert snapshot(query, staged.resource_id) == snapshot(query, other)
    assert vectors(query, staged.resource_id) == vectors(query, other)
    assert leftovers(query) == []


def test_rows_are_seen_before_they_can_be_found_by_words(killed):
    assert search(killed.resource_id)["total"] == len(ROWS)
    assert search(killed.resource_id, sort="_id")["records"][7]["word"] == "word7 common"
    assert search(killed.resource_id, q="common")["total"] == 0


def test_the_janitor_ends_what_was_begun(killed, query):
    janitor.drop_orphans([], older_than_s=0)
    assert search(killed.resource_id, q="common")["total"] == len(ROWS)
    assert search(killed.resource_id, q="word7")["total"] == 1
    assert leftovers(query) == []


def test_told_twice_it_ends_what_was_begun(killed, sinks, query):
    again = sinks(killed.resource_id, job_id=killed.job_id)
    assert again.publish(rows=len(ROWS), when=Publish.ROWS).total == len(ROWS)
    assert search(killed.resource_id, q="common")["total"] == len(ROWS)
    assert leftovers(query) == []


def test_a_newer_table_is_left_alone(killed, load, query):
    load(killed.resource_id, FIELDS, ROWS[:3])
    before = query("SELECT to_regclass(%s)::oid", f'"{killed.resource_id}"')
    janitor.drop_orphans([], older_than_s=0)
    assert query("SELECT to_regclass(%s)::oid", f'"{killed.resource_id}"') == before
    assert search(killed.resource_id, q="common")["total"] == 3


def test_rows_columns_and_aliases_that_came_meanwhile_stay(killed, sinks, query):
    helpers.call_action(
        "datastore_create",
        resource_id=killed.resource_id,
        aliases="other_name",
        fields=[{"id": f.id, "type": f.type.value} for f in FIELDS] + [{"id": "note", "type": "text"}],
        force=True,
    )
    record = {"number": 1000, "word": "late", "note": "written through the API"}
    helpers.call_action(
        "datastore_upsert", resource_id=killed.resource_id, method="insert", records=[record], force=True
    )
    query(f'DELETE FROM "{killed.resource_id}" WHERE _id <= 2')
    sinks(killed.resource_id, job_id=killed.job_id).publish(rows=len(ROWS), when=Publish.ROWS)
    assert search(killed.resource_id)["total"] == len(ROWS) - 1
    assert search(killed.resource_id, q="late")["records"][0]["_id"] == len(ROWS) + 1
    assert search("other_name", q="common")["total"] == len(ROWS) - 2


def test_numbers_go_on_where_deleted_rows_ended(killed, sinks, query):
    query(f'DELETE FROM "{killed.resource_id}" WHERE _id > 400')
    sinks(killed.resource_id, job_id=killed.job_id).publish(rows=len(ROWS), when=Publish.ROWS)
    helpers.call_action("datastore_upsert", resource_id=killed.resource_id, method="insert", records=[{}], force=True)
    assert query(f'SELECT max(_id) FROM "{killed.resource_id}"') == [(501,)]


def test_a_writer_waits_and_its_row_is_not_lost(killed, sinks, query, monkeypatch):
    """While the second table is filled, a row is inserted by another connection."""
    inside, fill = threading.Event(), refill._fill

    def slow(*args):
        inside.set()
        count = fill(*args)
        writer.join(0.5)
        assert writer.is_alive(), "the writer did not wait"
        return count

    def write():
        inside.wait(60)
        query(f"INSERT INTO \"{killed.resource_id}\" (number, word) VALUES (9, 'patient')")

    writer = threading.Thread(target=write)
    writer.start()
    monkeypatch.setattr(refill, "_fill", slow)
    sinks(killed.resource_id, job_id=killed.job_id).publish(rows=len(ROWS), when=Publish.ROWS)
    writer.join(60)
    assert search(killed.resource_id, q="patient")["total"] == 1
    assert search(killed.resource_id, q="common")["total"] == len(ROWS)


def test_a_failed_refill_leaves_the_rows_and_can_be_repeated(killed, sinks, query, monkeypatch):
    def fail(*args):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(refill.dress, "index", fail)
        with pytest.raises(MemoryError):
            sinks(killed.resource_id, job_id=killed.job_id).publish(rows=len(ROWS), when=Publish.ROWS)
    assert search(killed.resource_id)["total"] == len(ROWS)
    assert query("SELECT to_regclass(%s) IS NOT NULL", f'"{names.stage(killed.job_id)}"') == [(True,)]
    sinks(killed.resource_id, job_id=killed.job_id).publish(rows=len(ROWS), when=Publish.ROWS)
    assert search(killed.resource_id, q="common")["total"] == len(ROWS)
    assert leftovers(query) == []


def test_every_row_is_in_one_stretch(killed, query):
    with killed._connections.transaction() as cursor:
        pieces = refill._pieces(cursor, killed.resource_id, 3)
    assert pieces[0][0] == 0
    assert all(end == first for (_, end), (first, _) in pairwise(pieces))
    found = [
        query(f"SELECT count(*) FROM \"{killed.resource_id}\" WHERE ctid >= '({first},0)' AND ctid < '({end},0)'")[0][0]
        for first, end in pieces
    ]
    assert sum(found) == len(ROWS)

"""What killed runs leave behind is found and put right, and nobody's work is lost by it."""

from __future__ import annotations

import uuid

import pytest
from ckan.tests import helpers

from aircan.contract import Publish
from ckanext.aircan_connector.datastore import janitor, names, publish

from .catalogue import leftovers, oid_of, snapshot
from .conftest import fields, part, search

FIELDS = fields(a="text")


@pytest.fixture
def abandoned(sinks, resource) -> str:
    """A job that was killed in the middle of its load."""
    sink = sinks(resource)
    sink.begin(FIELDS)
    sink.put(part([["x"]]))
    sink.close()
    return str(sink.job_id)


def test_orphans_are_those_of_jobs_that_are_not_active(abandoned):
    assert janitor.orphans([abandoned]) == []
    (orphan,) = janitor.orphans([str(uuid.uuid4())])
    assert orphan.job_id == abandoned
    assert len(orphan.names) == 3
    assert orphan.idle_s is not None
    assert not orphan.published


def test_young_orphans_stay(abandoned, query):
    assert janitor.drop_orphans([], older_than_s=60) == []
    assert len(leftovers(query)) > 2
    assert len(janitor.drop_orphans([], older_than_s=0)) == 3
    assert leftovers(query) == []


def test_a_stage_that_is_being_filled_is_not_dropped(sinks, resource, query):
    sink = sinks(resource)
    sink.begin(FIELDS)
    with sink._connections.transaction() as cursor:
        cursor.execute(f'INSERT INTO "{names.stage(sink.job_id)}" (_id) VALUES (1)')
        assert janitor.drop_orphans([], older_than_s=0) == []
    sink.put(part([["y"]], number=1, first=2))
    sink.publish(rows=2, when=Publish.SEARCHABLE)
    assert search(resource)["total"] == 2


def test_other_peoples_tables_stay(query):
    query('CREATE TABLE _aircan_notes (); CREATE TABLE aircan_0123 (); CREATE TABLE "_aircan_0123_old" ()')
    assert janitor.drop_orphans([], older_than_s=0) == []


class KilledError(Exception):
    """Stands for kill -9."""


@pytest.mark.parametrize("step", ["drop_retired", "index_live"])
def test_a_run_killed_after_the_swap_is_finished(load, sinks, resource, query, monkeypatch, step):
    def killed(*args, **kwargs):
        raise KilledError

    load(resource, FIELDS, [["old"]])
    sink = sinks(resource)
    sink.begin(FIELDS)
    sink.put(part([["new"]]))
    with monkeypatch.context() as patch:
        patch.setattr(publish, step, killed)
        with pytest.raises(KilledError):
            sink.publish(rows=1, when=Publish.SEARCHABLE)
    assert janitor.was_published(sink.job_id)
    assert janitor.needs_index(resource)
    oid = oid_of(query, resource)
    janitor.drop_orphans([], older_than_s=0)
    assert not janitor.needs_index(resource)
    assert helpers.call_action("resource_show", id=resource)["datastore_active"]
    assert not janitor.was_published(sink.job_id)
    assert (oid_of(query, resource), leftovers(query)) == (oid, [])
    assert search(resource)["total"] == 1
    load(resource, FIELDS, [["new"]])
    assert leftovers(query) == []


def test_missing_indexes_are_built_once(load, resource, query):
    load(resource, FIELDS, [["x"]])
    before = snapshot(query, resource)
    for (name,) in query("SELECT indexname FROM pg_indexes WHERE tablename = %s AND indexname !~ 'pkey'", resource):
        query(f'DROP INDEX "{name}"')
    assert janitor.needs_index(resource)
    janitor.build_missing_indexes(resource)
    janitor.build_missing_indexes(resource)
    assert snapshot(query, resource) == before


def test_a_resource_without_a_table_needs_nothing(resource):
    assert not janitor.needs_index(resource)
    janitor.build_missing_indexes(resource)


def test_stages_of_a_deleted_resource_go_and_its_table_is_ckans(load, abandoned, resource, query):
    load(resource, FIELDS, [["x"]])
    janitor.drop_table(resource, [abandoned])
    assert leftovers(query) == []
    assert search(resource)["total"] == 1


def test_stages_are_hidden_from_the_api(abandoned, query):
    from ckan.plugins import toolkit as tk

    with pytest.raises((tk.ObjectNotFound, tk.NotAuthorized)):
        tk.get_action("datastore_search")({"user": ""}, {"resource_id": names.stage(abandoned)})

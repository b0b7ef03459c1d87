"""How far an index build is, as PostgreSQL says while it goes on."""

from __future__ import annotations

import threading
import uuid

import pytest
from psycopg2 import sql

from ckanext.aircan_connector.datastore import dress, indexes, names, publish, watch
from ckanext.aircan_connector.datastore.connect import Connections
from ckanext.aircan_connector.datastore.watch import IndexWatch

JOB = "6a0f5d2c-7c1b-4e57-9d5f-0d8f2a7f3b11"
ROWS = 80_000
"""An index over so many rows takes between a quarter of a second and several: long enough to be seen."""


@pytest.fixture(autouse=True)
def _no_settling(monkeypatch):
    """Young builds are looked at, too: on a quick machine an index of these tests is never old."""
    monkeypatch.setattr(watch, "SETTLED_S", 0.03)


@pytest.fixture
def table(query):
    """Make a table with a filled vector, under a name."""

    def make(name: str) -> str:
        query(f'CREATE TABLE public."{name}" (_id int, _full_text tsvector, a text)')
        query(
            f"INSERT INTO public.\"{name}\" SELECT n, to_tsvector('english', md5(n::text) || ' town ' || n % 5000), "
            f"'town ' || n % 5000 FROM generate_series(1, {ROWS}) n"
        )
        return name

    return make


@pytest.fixture
def building():
    """Do something on a connection of the job in a thread, and return all that the watch sees meanwhile."""
    connections, failed = Connections(f"aircan {JOB}"), []

    def run(resource_id, work):
        def build() -> None:
            try:
                with connections.transaction() as cursor:
                    work(cursor)
            except Exception as exc:  # noqa: BLE001 - looked at below, in the thread of the test
                failed.append(exc)

        looker, seen = IndexWatch(JOB, resource_id), []
        thread = threading.Thread(target=build)
        thread.start()
        while thread.is_alive():
            seen.append(looker.look())
        after = looker.look()
        looker.close()
        assert (failed, after) == ([], None)
        return [told for told in seen if told]

    yield run
    connections.close()


def index_live(resource_id, at_once):
    connections = Connections(f"aircan {JOB}")
    publish.index_live(connections, resource_id, max_wait_s=10, at_once=at_once)
    connections.close()


def check(seen):
    assert {told["phase"] for told in seen} == {"index"}
    shares = [told["share"] for told in seen]
    assert shares == sorted(shares)
    assert len(set(shares)) > 3
    assert 0 <= shares[0] < 0.5 < shares[-1] <= 1
    assert all(50 <= told["percent"] <= 99 for told in seen)


def test_behind_a_published_table(table, building):
    resource_id = table(str(uuid.uuid4()))

    check(building(resource_id, lambda cursor: index_live(resource_id, 1)))


def test_on_a_hidden_table(table, building):
    resource_id = str(uuid.uuid4())
    table(names.stage(JOB))
    check(building(resource_id, lambda cursor: dress.index(Connections(f"aircan {JOB}"), JOB, resource_id, at_once=2)))


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.ckan_config("ckan.datastore.default_fts_index_field_types", "text")
def test_several_indexes_are_one_phase(table, building, at_once):
    resource_id = table(str(uuid.uuid4()))

    def work(cursor):
        assert len(indexes.missing(cursor, resource_id)) == 2
        index_live(resource_id, at_once)

    seen = building(resource_id, work)
    check(seen)
    assert any(told["share"] < 0.5 for told in seen)


def test_an_index_of_other_people_is_not_ours(table, building, query):
    resource_id = table(str(uuid.uuid4()))
    command = sql.SQL("CREATE INDEX {} ON {} (a)").format(sql.Identifier("mine"), sql.Identifier("public", resource_id))
    assert building(resource_id, lambda cursor: cursor.execute(command)) == []

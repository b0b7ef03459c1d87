"""Append, upsert and delete: what the table holds afterwards, and that nobody sees half of it."""

from __future__ import annotations

import threading
import uuid

import ckantoolkit as tk
import pytest
from ckan.tests import helpers

from aircan.contract import Publish, Write, Writing, Written
from aircan.errors import (
    DatastoreUnavailable,
    JobStopped,
    KeyNotUnique,
    LoadFailed,
    RowsMissing,
    TableBusy,
    TableMissing,
)
from ckanext.aircan_connector.datastore import merge, stage

from ..conftest import soon
from .catalogue import leftovers, oid_of, snapshot
from .conftest import fields, part, parts, search

FIELDS = fields(k="text", n="numeric", d="date")
ROWS = [["a", "1.50", "2024-01-01"], ["b", None, None], ["c", "3", "2024-03-03"]]

APPEND = Writing(Write.APPEND)
UPSERT = Writing(Write.UPSERT, ("k",))
DELETE = Writing(Write.DELETE, ("k",))


@pytest.fixture
def write(sinks):
    """Merge rows into the table of a resource as a run does, and return the sink and what it wrote."""

    def run(resource_id, writing, columns, rows, **kwargs):
        sink = sinks(resource_id, **kwargs)
        sink.begin(columns, writing)
        for piece in parts(rows, 1000):
            sink.put(piece)
        written = sink.publish(rows=len(rows), when=Publish.SEARCHABLE)
        sink.forget()
        return sink, written

    return run


@pytest.fixture
def rows_of(query):
    """Return the rows of a table as text, `_id` first, by `_id`."""

    def read(resource_id, columns="_id, k, n::text, d::text"):
        return query(f'SELECT {columns} FROM "{resource_id}" ORDER BY _id')

    return read


@pytest.fixture
def table(load, query, resource):
    """A loaded table, which must be what it was when the test ends; only numbers of `_id` may be used up."""
    load(resource, FIELDS, ROWS)

    def state():
        looks = snapshot(query, resource)
        looks.pop("sequence")
        return oid_of(query, resource), looks, query(f'SELECT *, xmin::text FROM "{resource}"')

    before = state()
    yield resource
    assert state() == before


class TestAppend:
    def test_rows_come_behind_in_the_order_of_the_file(self, load, write, rows_of, resource, query):
        load(resource, FIELDS, ROWS)
        oid = oid_of(query, resource)
        _, written = write(resource, APPEND, FIELDS, [["z", "9", None], ["a", "1", "2024-01-02"]])
        assert written == Written(total=5, added=2)
        assert rows_of(resource) == [
            (1, "a", "1.50", "2024-01-01"),
            (2, "b", None, None),
            (3, "c", "3", "2024-03-03"),
            (4, "z", "9", None),
            (5, "a", "1", "2024-01-02"),
        ]
        assert (oid_of(query, resource), leftovers(query)) == (oid, [])

    def test_the_first_makes_the_table(self, write, rows_of, resource, query):
        _, written = write(resource, APPEND, FIELDS, ROWS)
        assert (written, search(resource, q="c")["total"], leftovers(query)) == (Written(3, 3), 1, [])
        _, written = write(resource, APPEND, FIELDS, ROWS)
        assert [row[0] for row in rows_of(resource)] == [1, 2, 3, 4, 5, 6]

    def test_columns_that_the_file_lacks_are_empty_even_with_a_default(self, load, write, rows_of, resource, query):
        load(resource, FIELDS, ROWS)
        query(f'ALTER TABLE "{resource}" ALTER COLUMN n SET DEFAULT 7')
        write(resource, APPEND, fields(d="date", k="text"), [["2024-05-05", "z"]])
        assert rows_of(resource)[-1] == (4, "z", None, "2024-05-05")

    def test_ids_go_on_behind_deleted_rows_and_the_api_goes_on_behind_ours(self, load, write, rows_of, resource):
        load(resource, FIELDS, ROWS)
        helpers.call_action("datastore_delete", resource_id=resource, force=True, filters={"k": "c"})
        write(resource, APPEND, FIELDS, [["z", "9", None]])
        upsert = {"resource_id": resource, "force": True, "method": "insert", "records": [{"k": "api"}]}
        helpers.call_action("datastore_upsert", **upsert)
        assert [row[:2] for row in rows_of(resource)] == [(1, "a"), (2, "b"), (4, "z"), (5, "api")]

    def test_an_empty_file_adds_nothing(self, load, write, resource):
        load(resource, FIELDS, ROWS)
        assert write(resource, APPEND, FIELDS, [])[1] == Written(total=3)

    def test_a_table_that_was_emptied(self, load, write, rows_of, resource):
        load(resource, FIELDS, [])
        write(resource, APPEND, FIELDS, ROWS)
        assert [row[0] for row in rows_of(resource)] == [1, 2, 3]

    def test_nested_values(self, load, write, resource, query):
        columns = fields(k="text", j="json")
        load(resource, columns, [["a", '{"x": 1}']])
        write(resource, APPEND, columns, [["b", "[1, 2]"]])
        assert query(f'SELECT (j).json, (j).extra FROM "{resource}" ORDER BY _id') == [({"x": 1}, ""), ([1, 2], "")]


class TestUpsert:
    def test_new_rows_are_added_and_known_ones_changed(self, load, write, rows_of, resource):
        load(resource, FIELDS, ROWS)
        _, written = write(
            resource, UPSERT, FIELDS, [["z", "9", None], ["c", "3", "2024-03-03"], ["b", "2", None], ["a", None, None]]
        )
        assert written == Written(total=4, added=1, changed=2, same=1)
        assert rows_of(resource) == [
            (1, "a", None, None),
            (2, "b", "2", None),
            (3, "c", "3", "2024-03-03"),
            (4, "z", "9", None),
        ]

    def test_nothing_is_written_where_all_is_equal(self, table, write):
        assert write(table, UPSERT, FIELDS, ROWS)[1] == Written(total=3, same=3)

    def test_a_number_written_otherwise_is_a_change(self, load, write, rows_of, resource):
        load(resource, FIELDS, ROWS)
        assert write(resource, UPSERT, fields(k="text", n="numeric"), [["a", "1.5"]])[1].changed == 1
        assert rows_of(resource)[0] == (1, "a", "1.5", "2024-01-01")

    def test_columns_that_the_file_lacks_keep_their_values(self, load, write, rows_of, resource):
        load(resource, FIELDS, ROWS)
        write(resource, UPSERT, fields(d="date", k="text"), [["2020-02-29", "a"], ["2020-02-28", "new"]])
        assert rows_of(resource)[0] == (1, "a", "1.50", "2020-02-29")
        assert rows_of(resource)[3] == (4, "new", None, "2020-02-28")

    def test_a_file_with_only_the_key_adds_only(self, load, write, rows_of, resource):
        load(resource, FIELDS, ROWS)
        assert write(resource, UPSERT, fields(k="text"), [["a"], ["new"]])[1] == Written(4, added=1, same=1)
        assert rows_of(resource)[0] == (1, "a", "1.50", "2024-01-01")

    def test_the_first_makes_the_table(self, write, resource):
        assert write(resource, UPSERT, FIELDS, ROWS)[1] == Written(3, added=3)
        assert write(resource, UPSERT, FIELDS, ROWS)[1] == Written(3, same=3)

    def test_an_empty_file_changes_nothing(self, table, write):
        assert write(table, UPSERT, FIELDS, [])[1] == Written(3)

    @pytest.mark.parametrize(
        ("kind", "old", "same", "other"),
        [
            ("numeric", "1.50", "1.5", "1.51"),
            ("timestamp", "2024-01-01 00:00:00", "2024-01-01", "2024-01-01 00:00:01"),
            ("date", "2024-01-01", "20240101", "2024-01-02"),
            ("bool", "true", "t", "false"),
            ("text", "a", "a", "A"),
        ],
    )
    def test_keys_are_equal_as_values_of_their_type(self, load, write, resource, kind, old, same, other):
        columns = fields(k=kind, v="text")
        load(resource, columns, [[old, "old"]])
        _, written = write(resource, UPSERT, columns, [[same, "new"], [other, "other"]])
        assert written == Written(2, added=1, changed=1)
        assert [r["v"] for r in search(resource)["records"]] == ["new", "other"]

    def test_a_key_of_two_columns(self, load, write, resource):
        columns = fields(a="text", b="numeric", v="text")
        load(resource, columns, [["x", 1, "1"], ["x", 2, "2"], ["y", 1, "3"]])
        key = Writing(Write.UPSERT, ("b", "a"))
        assert write(resource, key, columns, [["x", 2, "new"], ["y", 2, "4"]])[1] == Written(4, added=1, changed=1)
        assert [r["v"] for r in search(resource, sort="_id")["records"]] == ["1", "new", "3", "4"]

    def test_a_row_of_the_table_without_a_key_is_never_meant(self, load, write, resource):
        load(resource, FIELDS, [[None, "1", None], [None, "2", None]])
        assert write(resource, UPSERT, FIELDS, [["a", "1", None]])[1] == Written(3, added=1)


class TestDelete:
    def test_rows_with_these_keys_are_gone(self, load, write, rows_of, resource):
        load(resource, FIELDS, ROWS)
        assert write(resource, DELETE, fields(k="text"), [["c"], ["a"], ["nobody"]])[1] == Written(
            1, deleted=2, absent=1
        )
        assert rows_of(resource) == [(2, "b", None, None)]
        assert search(resource)["total"] == 1

    def test_other_columns_may_hold_anything(self, load, write, resource):
        load(resource, FIELDS, ROWS)
        assert write(resource, DELETE, fields(n="text", k="text", more="text"), [["x", "a", "y"]])[1].deleted == 1

    def test_without_a_table(self, sinks, resource, query):
        with pytest.raises(TableMissing):
            sinks(resource).begin(FIELDS, DELETE)
        assert leftovers(query) == []

    def test_an_empty_file_deletes_nothing(self, table, write):
        assert write(table, DELETE, FIELDS, [])[1] == Written(3)


class TestKeys:
    def test_rows_without_a_key_and_with_that_of_another_are_named(self, table, sinks, query):
        sink = sinks(table)
        sink.begin(FIELDS, UPSERT)
        sink.put(part([["x", 1, None], [None, 2, None], ["y", 3, None], ["x", 4, None], ["x", 5, None]]))
        with pytest.raises(KeyNotUnique) as caught:
            sink.publish(rows=5, when=Publish.SEARCHABLE)
        assert caught.value.facts["count"] == 3
        assert caught.value.facts["found"] == [
            {"code": "key_missing", "row": 2, "first": None, "value": ""},
            {"code": "key_again", "row": 4, "first": 1, "value": "x"},
            {"code": "key_again", "row": 5, "first": 1, "value": "x"},
        ]
        sink.discard()
        assert leftovers(query) == []

    def test_the_first_hundred_are_named_and_all_are_counted(self, sinks, resource):
        sink = sinks(resource)
        sink.begin(FIELDS, UPSERT)
        for piece in parts([["x", n, None] for n in range(3001)], 1000):
            sink.put(piece)
        with pytest.raises(KeyNotUnique) as caught:
            sink.publish(rows=3001, when=Publish.SEARCHABLE)
        assert caught.value.facts["count"] == 3000
        assert [one["row"] for one in caught.value.facts["found"]] == list(range(2, 102))

    @pytest.mark.parametrize("writing", [UPSERT, DELETE])
    def test_a_key_that_is_not_unique_in_the_table(self, load, sinks, resource, writing, query):
        load(resource, FIELDS, [*ROWS, ["b", "2", None], ["b", "3", None]])
        with pytest.raises(KeyNotUnique) as caught:
            sinks(resource).begin(FIELDS, writing)
        assert caught.value.facts == {"key": "k", "count": 1, "first": "the table holds b 3 times"}
        assert leftovers(query) == []

    def test_a_key_that_is_made_twice_in_the_table_meanwhile(self, load, sinks, resource):
        load(resource, FIELDS, ROWS)

        def insert(_table):
            helpers.call_action(
                "datastore_upsert", resource_id=resource, force=True, method="insert", records=[{"k": "a"}]
            )

        sink = sinks(resource, before_publish=insert)
        sink.begin(FIELDS, UPSERT)
        sink.put(part([["a", 7, None]]))
        with pytest.raises(KeyNotUnique):
            sink.publish(rows=1, when=Publish.SEARCHABLE)
        assert search(resource)["total"] == 4

    def test_a_persons_unique_index_is_kept(self, load, sinks, resource):
        load(resource, FIELDS, ROWS)
        helpers.call_action("datastore_create", resource_id=resource, force=True, primary_key=["k"])
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part([["new", 1, None], ["a", 7, None]]))
        with pytest.raises(KeyNotUnique, match=r"Key .k.=.a. already exists"):
            sink.publish(rows=2, when=Publish.SEARCHABLE)
        assert search(resource)["total"] == 3


class TestTheRest:
    """What else belongs to a table stays, and is right."""

    def test_search_and_counts_are_right_at_once(self, load, write, resource, query):
        load(resource, FIELDS, ROWS)
        write(resource, UPSERT, fields(k="text", d="date"), [["a", "1999-12-31"], ["zebra", "2000-01-01"]])
        for word, total in (("1999", 1), ("zebra", 1), ("1.50", 1), ("2024", 1)):
            assert search(resource, q=word)["total"] == total, word
        if tk.check_ckan_version(min_version="2.12"):
            assert query("SELECT stats->'rows' FROM _table_stats WHERE resource_id = %s", resource) == [(4,)]

    @pytest.mark.parametrize("writing", [APPEND, UPSERT])
    @pytest.mark.parametrize("given", [["k", "n", "t", "b", "j"], ["b", "j", "t", "k", "n"], ["k", "t"]])
    def test_vectors_equal_those_of_the_api(self, load, write, query, resource, writing, given):
        kinds = {"k": "text", "n": "numeric", "t": "timestamp", "b": "bool", "j": "json"}
        old = [
            {"k": "The quick", "n": "1.5", "t": "2024-01-01T10:00:00", "b": "true", "j": '{"w": ["brown"]}'},
            {"k": "Fox", "n": None, "t": None, "b": "false", "j": None},
            {"k": "", "n": None, "t": None, "b": None, "j": None},
        ]
        new = [
            {"k": "Fox", "n": "-2e5", "t": "1999-12-31T23:59:59.5", "b": None, "j": '["lazy", {"dog": 1}]'},
            {"k": "Jumps over", "n": "0.10", "t": None, "b": "true", "j": None},
        ]
        columns = fields(**kinds)
        load(resource, columns, [list(row.values()) for row in old])
        write(resource, writing, fields(**{c: kinds[c] for c in given}), [[row[c] for c in given] for row in new])
        query(f'CREATE TABLE compared AS SELECT * FROM "{resource}"')
        query(f'UPDATE "{resource}" SET _full_text = NULL')
        differing = query(
            f'SELECT c.k, c._full_text, t._full_text FROM compared c JOIN "{resource}" t USING (_id) '
            "WHERE c._full_text IS DISTINCT FROM t._full_text"
        )
        assert (differing, len(query("SELECT 1 FROM compared"))) == ([], 5 if writing is APPEND else 4)

    def test_triggers_of_people_fire_once_as_through_the_api(self, load, write, resource, query):
        load(resource, FIELDS, ROWS)
        query(
            "CREATE OR REPLACE FUNCTION louder() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN NEW.k := NEW.k || '!'; RETURN NEW; END $$"
        )
        helpers.call_action("datastore_create", resource_id=resource, force=True, triggers=[{"function": "louder"}])
        write(resource, UPSERT, FIELDS, [["b", "2", None], ["new", "5", None], ["c", "3", "2024-03-03"]])
        assert [r["k"] for r in search(resource, sort="_id")["records"]] == ["a", "b!", "c", "new!"]
        write(resource, APPEND, FIELDS, [["app", "2", None]])
        assert [r["k"] for r in search(resource, sort="_id")["records"]][-1] == "app!"

    def test_a_trigger_that_leaves_rows_out_fails_the_run(self, load, sinks, resource, query):
        load(resource, FIELDS, ROWS)
        query(
            "CREATE OR REPLACE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN IF NEW.n > 5 THEN RETURN NULL; END IF; RETURN NEW; END $$"
        )
        helpers.call_action("datastore_create", resource_id=resource, force=True, triggers=[{"function": "picky"}])
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part([["x", 1, None], ["y", 6, None]]))
        with pytest.raises(RowsMissing):
            sink.publish(rows=2, when=Publish.SEARCHABLE)
        assert search(resource)["total"] == 3

    @pytest.mark.parametrize("writing", [APPEND, UPSERT, DELETE])
    def test_views_aliases_grants_indexes_and_dictionary_stay(self, load, write, resource, query, writing):
        load(resource, FIELDS, ROWS)
        helpers.call_action("datastore_create", resource_id=resource, force=True, aliases="an_alias", indexes=["n"])
        query(f'COMMENT ON COLUMN "{resource}".k IS %s', ' {"_info":{"label":"Key"},"other":{"a":1}}')
        query(f'CREATE VIEW filtered AS SELECT * FROM "{resource}" WHERE n > 1')
        before = snapshot(query, resource)
        write(resource, writing, FIELDS, [["z", "9", None]])
        after = snapshot(query, resource)
        for changing in ("counts", "sequence"):
            before.pop(changing, None), after.pop(changing, None)
        assert after == before
        assert search("an_alias")["total"] == search(resource)["total"]

    def test_types_of_the_api_are_kept(self, write, resource, query):
        listed = [{"id": "k", "type": "int4"}, {"id": "w", "type": "text[]"}, {"id": "f", "type": "float8"}]
        helpers.call_action(
            "datastore_create",
            resource_id=resource,
            force=True,
            fields=listed,
            records=[{"k": 1, "w": ["x"], "f": 0.5}],
        )
        key = Writing(Write.UPSERT, ("k",))
        write(resource, key, fields(k="numeric", w="text", f="numeric"), [["1", "{y,z}", "1e3"], ["2", None, None]])
        assert [list(r.values()) for r in search(resource, sort="_id")["records"]] == [
            [1, 1, ["y", "z"], 1000.0],
            [2, 2, None, None],
        ]
        assert search(resource, q="z")["total"] == 1

    def test_columns_changed_meanwhile(self, load, sinks, resource, query):
        load(resource, FIELDS, ROWS)
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        query(f'ALTER TABLE "{resource}" ADD COLUMN late text')
        with pytest.raises(LoadFailed, match="changed"):
            sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert search(resource)["total"] == 3

    def test_a_table_made_meanwhile_is_not_replaced(self, load, sinks, resource):
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        load(resource, FIELDS, [["other", 1, None]])
        with pytest.raises(LoadFailed, match="not to be replaced"):
            sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert search(resource)["total"] == 1


class TestOnce:
    """The rows of a job come into the table once, whatever is told twice or lost."""

    def test_publish_told_twice(self, load, sinks, resource, query):
        load(resource, FIELDS, ROWS)
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        first = sink.publish(rows=3, when=Publish.SEARCHABLE)
        again = sinks(resource, job_id=sink.job_id)
        assert again.publish(rows=3, when=Publish.SEARCHABLE) == first == Written(6, added=3)
        again.forget()
        assert (search(resource)["total"], leftovers(query)) == (6, [])

    @pytest.mark.parametrize("there", [True, False])
    def test_a_second_run_of_the_same_job(self, load, sinks, resource, there):
        if there:
            load(resource, FIELDS, ROWS)
        job_id = str(uuid.uuid4())
        told = []
        for _ in range(2):
            sink = sinks(resource, job_id=job_id)
            sink.begin(FIELDS, APPEND)
            for piece in parts(ROWS, 2):
                sink.put(piece)
            told.append(sink.publish(rows=3, when=Publish.SEARCHABLE))
            sink.discard()
        assert (search(resource)["total"], told[0]) == (6 if there else 3, told[1])

    def test_an_answer_to_the_commit_that_is_lost_is_asked_for(self, load, sinks, resource, monkeypatch):
        load(resource, FIELDS, ROWS)
        sink = sinks(resource)
        original = merge._merge

        def lost(cursor, *args):
            written = original(cursor, *args)
            cursor.connection.commit()
            raise DatastoreUnavailable(str(written.total))

        monkeypatch.setattr(merge, "_merge", lost)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        assert sink.publish(rows=3, when=Publish.SEARCHABLE) == Written(6, added=3)

    def test_nothing_after_the_merge_fails_the_run(self, load, sinks, resource, monkeypatch):
        def busy(*_args):
            raise TableBusy

        load(resource, FIELDS, ROWS)
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        monkeypatch.setattr(stage, "drop_rows", busy)
        assert sink.publish(rows=3, when=Publish.SEARCHABLE).total == 6

    def test_a_first_append_whose_index_cannot_be_built_now_is_left_to_the_janitor(
        self, sinks, resource, query, monkeypatch
    ):
        from ckanext.aircan_connector.datastore import janitor, publish

        def busy(*_args, **_kwargs):
            raise TableBusy

        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        with monkeypatch.context() as patch:
            patch.setattr(publish, "index_live", busy)
            assert sink.publish(rows=3, when=Publish.SEARCHABLE) == Written(3, 3)
            sink.forget()
        assert janitor.needs_index(resource)
        janitor.drop_orphans([], older_than_s=0)
        assert (janitor.needs_index(resource), leftovers(query)) == (False, [])

    def test_rows_first_is_for_whole_tables(self, sinks, resource, query):
        sink = sinks(resource)
        sink.begin(FIELDS, Writing(Write.APPEND, rows_first=True))
        sink.put(part(ROWS))
        sink.publish(rows=3, when=Publish.ROWS)
        sink.forget()
        assert (search(resource, q="c")["total"], leftovers(query)) == (1, [])

    def test_the_janitor_drops_what_is_left(self, load, sinks, resource, query):
        from ckanext.aircan_connector.datastore import janitor

        load(resource, FIELDS, ROWS)
        sink = sinks(resource)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        sink.publish(rows=3, when=Publish.SEARCHABLE)
        sink.discard()
        assert len(leftovers(query)) > 0
        assert janitor.was_published(sink.job_id)
        janitor.drop_orphans([], older_than_s=0)
        assert (leftovers(query), search(resource)["total"]) == ([], 6)


class TestTogether:
    """While a merge runs: readers, writers, cancelling, killing."""

    @pytest.fixture
    def big(self, load, resource):
        load(resource, FIELDS, [[f"k{n}", n, None] for n in range(20_000)])
        return resource

    @pytest.mark.parametrize(
        ("writing", "rows", "states"),
        [
            (APPEND, [[f"n{n}", -1, None] for n in range(20_000)], {(20_000, 0), (40_000, 20_000)}),
            (
                UPSERT,
                [[f"k{n}", -1, None] for n in range(10_000, 30_000)],
                {(20_000, 0), (30_000, 20_000)},
            ),
            (DELETE, [[f"k{n}", -1, None] for n in range(0, 20_000, 2)], {(20_000, 0), (10_000, 0)}),
        ],
        ids=["append", "upsert", "delete"],
    )
    def test_readers_see_all_or_nothing_and_never_wait(self, big, write, database, writing, rows, states):
        import psycopg2

        from ckanext.aircan_connector import config

        seen, failed, ended = set(), [], threading.Event()

        def look():
            patient = "-c lock_timeout=500"
            connection = psycopg2.connect(config.datastore_write_url(), options=patient)
            connection.autocommit = True
            try:
                with connection.cursor() as cursor:
                    while not ended.is_set():
                        cursor.execute(f'SELECT count(*), count(*) FILTER (WHERE n < 0) FROM "{big}"')
                        seen.add(cursor.fetchone())
            except psycopg2.Error as exc:  # it had to wait for a lock
                failed.append(exc)
            finally:
                connection.close()

        reader = threading.Thread(target=look)
        reader.start()
        try:
            soon(lambda: seen or failed)
            write(big, writing, FIELDS, rows)
            soon(lambda: len(seen) > 1 or failed)
        finally:
            ended.set()
            reader.join()
        assert (seen, failed) == (states, [])

    def test_writers_of_the_api_wait_and_lose_nothing(self, big, sinks, monkeypatch):
        original, written = merge._WAYS[Write.UPSERT], []

        def upsert(text):
            helpers.call_action("datastore_upsert", resource_id=big, force=True, method="insert", records=[{"k": text}])
            written.append(text)

        writer = threading.Thread(target=upsert, args=("api",))

        def meanwhile(*args):
            writer.start()
            done = original(*args)
            assert written == []
            return done

        monkeypatch.setitem(merge._WAYS, Write.UPSERT, meanwhile)
        sink = sinks(big)
        sink.begin(FIELDS, UPSERT)
        sink.put(part([[f"k{n}", -1, None] for n in range(19_000, 21_000)]))
        sink.publish(rows=2000, when=Publish.SEARCHABLE)
        writer.join(60)
        found = search(big, sort="_id desc", limit=2)
        assert (found["total"], [r["_id"] for r in found["records"]]) == (21_001, [21_001, 21_000])
        assert [r["k"] for r in found["records"]] == ["api", "k20999"]

    def test_a_writer_that_does_not_end(self, table, sinks, database, query):
        import psycopg2

        from ckanext.aircan_connector import config

        sink = sinks(table, max_publish_wait_s=0.1)
        sink.begin(FIELDS, APPEND)
        sink.put(part(ROWS))
        with psycopg2.connect(config.datastore_write_url()) as other, other.cursor() as cursor:
            cursor.execute(f"INSERT INTO \"{table}\" (k) VALUES ('half')")
            with pytest.raises(TableBusy):
                sink.publish(rows=3, when=Publish.SEARCHABLE)
            other.rollback()
        sink.discard()

    def test_cancelled_in_the_merge(self, table, sinks, monkeypatch):
        original = merge._WAYS[Write.APPEND]
        sink = sinks(table)

        def cancelled(*args):
            done = original(*args)
            sink.interrupt()
            return done

        monkeypatch.setitem(merge._WAYS, Write.APPEND, cancelled)
        sink.begin(FIELDS, APPEND)
        sink.put(part([["x", 1, None]]))
        with pytest.raises(JobStopped):
            sink.publish(rows=1, when=Publish.SEARCHABLE)
        sink.discard()


@pytest.mark.parametrize("writing", [UPSERT, DELETE])
def test_a_key_that_comes_twice_in_a_large_table_is_found_when_it_is_merged(
    load, sinks, query, resource, monkeypatch, writing
):
    """The first look is part of a request of a worker and gives up after a moment; the second has time."""
    load(resource, FIELDS, ROWS)
    query(f'INSERT INTO "{resource}" (k) SELECT (n % 100000)::text FROM generate_series(1, 200000) n')
    before = snapshot(query, resource), query(f'SELECT count(*), max(xmin::text) FROM "{resource}"')
    monkeypatch.setattr(merge, "EARLY_MS", 1)
    sink = sinks(resource)
    sink.begin(FIELDS, writing)
    sink.put(part([["a", "7", None]]))
    with pytest.raises(KeyNotUnique) as caught:
        sink.publish(rows=1, when=Publish.SEARCHABLE)
    assert caught.value.facts["count"] == 100_000
    assert (snapshot(query, resource), query(f'SELECT count(*), max(xmin::text) FROM "{resource}"')) == before


@pytest.mark.parametrize("limit_ms", [1, 60_000])
def test_the_first_look_leaves_no_time_limit_behind(load, sinks, query, resource, monkeypatch, limit_ms):
    load(resource, FIELDS, ROWS)
    query(f'INSERT INTO "{resource}" (k) SELECT n::text FROM generate_series(1, 100000) n')
    monkeypatch.setattr(merge, "EARLY_MS", limit_ms)
    seen = []
    real = merge._makes_vectors

    def looked(cursor, *rest):
        cursor.execute("SHOW statement_timeout")
        seen.append(cursor.fetchone()[0])
        return real(cursor, *rest)

    monkeypatch.setattr(merge, "_makes_vectors", looked)
    sinks(resource).begin(FIELDS, UPSERT)
    assert seen == ["0"]

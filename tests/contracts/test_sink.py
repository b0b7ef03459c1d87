"""The contract of a sink, `aircan.ports.Sink`, for every sink there is: inside CKAN, and over HTTP."""

from __future__ import annotations

import contextlib
import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from aircan.contract import Field, Part, Publish, Report, Type, Write, Writing, Written
from aircan.errors import (
    AircanError,
    BodyTooLarge,
    JobStopped,
    KeyNotUnique,
    LoadFailed,
    PublishVetoed,
    RowsMissing,
    TableBusy,
    TableMissing,
    TokenRefused,
    ValueRefused,
)
from aircan.remote import Gateway, HttpSink, HttpTell
from aircan.status import Status
from ckanext.aircan_connector import factories
from tests.ckanext.datastore.catalogue import leftovers
from tests.ckanext.datastore.conftest import fields, part, parts, search

from .conftest import IN_CKAN, Site

pytestmark = IN_CKAN

FIELDS = fields(k="text", n="numeric", d="date")
ROWS = [["a", "1.50", "2024-01-01"], ["b", None, None], ["", "3", "2024-03-03"]]
KEYED = [["a", "1.50", "2024-01-01"], ["b", None, None], ["c", "3", "2024-03-03"]]

APPEND = Writing(Write.APPEND)
UPSERT = Writing(Write.UPSERT, ("k",))
DELETE = Writing(Write.DELETE, ("k",))


@pytest.fixture
def rows_of(query):
    """Return the rows of a table as text, `_id` first; None when there is no table."""

    def read(resource_id, columns="_id, k, n::text, d::text"):
        if query("SELECT to_regclass(%s)", f'public."{resource_id}"')[0][0] is None:
            return None
        return query(f'SELECT {columns} FROM "{resource_id}" ORDER BY _id')

    return read


@pytest.fixture
def hidden(query):
    """Return the names of what readers do not see: tables and functions of a load."""
    return lambda: leftovers(query)


def written(site, resource, rows, columns=FIELDS, writing=None, when=Publish.SEARCHABLE):
    """Write rows through a sink of a new job, as a run does; return the sink and what it wrote."""
    sink = site.sink(resource)
    sink.begin(columns, *([writing] if writing else []))
    for piece in parts(rows, 2):
        sink.put(piece)
    return sink, sink.publish(rows=len(rows), when=when)


def numbered(rows):
    """Return rows as `rows_of` reads them, numbered from 1."""
    return [(number, *row) for number, row in enumerate(rows, 1)]


class TestReplace:
    @pytest.mark.parametrize("when", list(Publish))
    def test_rows_are_there_and_can_be_searched(self, site, resource, rows_of, when):
        assert written(site, resource, ROWS, when=when)[1] == Written(3, 3)
        assert rows_of(resource) == numbered(ROWS)
        assert (search(resource)["total"], search(resource, q="b")["total"]) == (3, 1)

    def test_nothing_is_seen_before_it_is_published(self, site, resource, rows_of):
        sink = site.sink(resource)
        sink.begin(FIELDS)
        sink.put(part(ROWS))
        assert rows_of(resource) is None

    def test_the_old_rows_stay_until_then(self, site, resource, rows_of):
        written(site, resource, ROWS)
        sink = site.sink(resource)
        sink.begin(fields(x="text"))
        sink.put(part([["new"]]))
        assert rows_of(resource) == numbered(ROWS)
        sink.publish(rows=1, when=Publish.SEARCHABLE)
        assert rows_of(resource, "_id, x") == [(1, "new")]

    def test_a_table_without_rows(self, site, resource, rows_of):
        assert written(site, resource, [])[1] == Written(0)
        assert rows_of(resource) == []

    def test_texts_arrive_as_they_are(self, site, resource, rows_of):
        texts = ["", None, "NULL", 'a "quote"', "two\nlines", "a,b;c\t", "\\N", "ä€😀", "  x  ", "\\.", "'"]
        written(site, resource, [[text] for text in texts], fields(t="text"))
        assert [row[0] for row in rows_of(resource, "t")] == texts

    def test_labels_become_the_dictionary(self, site, resource):
        labelled = [Field("t", "The T, with ä"), Field("n", "n", Type.NUMERIC)]
        written(site, resource, [["x", 1]], labelled)
        assert "The T, with ä" in str(search(resource)["fields"])

    def test_warnings_are_kept(self, site, resource):
        long = " ".join(f"w{i}" for i in range(200_000))
        sink = written(site, resource, [["short"], [long]], fields(t="text"))[0]
        assert {"code": "search_capped", "rows": 1} in sink.warnings


class TestParts:
    def test_come_in_any_order_from_many_threads_and_twice(self, site, resource, rows_of):
        rows = [[f"w{i}", str(i), None] for i in range(600)]
        pieces = parts(rows, 50)
        sink = site.sink(resource)
        sink.begin(FIELDS)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(sink.put, [*reversed(pieces), *pieces]))
        assert sink.publish(rows=600, when=Publish.SEARCHABLE) == Written(600, 600)
        assert rows_of(resource) == numbered(rows)

    def test_a_number_that_is_there_is_left_alone(self, site, resource, rows_of):
        sink = site.sink(resource)
        sink.begin(FIELDS)
        sink.put(part(ROWS))
        sink.put(part([["other", "9", None]]))
        sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert rows_of(resource) == numbered(ROWS)

    def test_may_come_from_several_sinks_of_the_job(self, site, resource, rows_of):
        site.sink(resource).begin(FIELDS)
        for piece in parts(ROWS, 1):
            site.sink(resource, same_job=True).put(piece)
        assert site.sink(resource, same_job=True).publish(rows=3, when=Publish.SEARCHABLE) == Written(3, 3)
        assert rows_of(resource) == numbered(ROWS)

    def test_a_refused_value_is_named_and_nothing_of_its_part_stays(self, site, resource, rows_of):
        sink = site.sink(resource)
        sink.begin(FIELDS)
        sink.put(part(ROWS[:1]))
        with pytest.raises(ValueRefused) as caught:
            sink.put(part([["two\nlines", "3", None], ["x\ny", "1,5", None], ["z", "4", None]], number=1, first=2))
        assert caught.value.facts == {"row": 3, "field": "n", "value": "1,5"}
        sink.put(part(ROWS[1:], number=1, first=2))
        sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert rows_of(resource) == numbered(ROWS)

    @pytest.mark.parametrize(
        ("kind", "value"),
        [("date", "2024-02-30"), ("timestamp", "x"), ("bool", "maybe"), ("json", "{"), ("text", "nul \0 byte")],
    )
    def test_every_type_can_refuse(self, site, resource, kind, value):
        sink = site.sink(resource)
        sink.begin(fields(a="text", v=kind))
        with pytest.raises(ValueRefused) as caught:
            sink.put(part([["ok", None], ["ok", value]]))
        assert caught.value.facts["row"] == 2
        assert kind == "text" or (caught.value.facts["field"], caught.value.facts["value"]) == ("v", value)

    @pytest.mark.parametrize("data", [b'1,"a",1,\n2,"b"\n', b'1,"a",1,,\n2,"b",1,\n', b'1,"\xff",1,\n2,"b",1,\n'])
    def test_what_is_not_made_as_agreed_is_refused(self, site, resource, data):
        sink = site.sink(resource)
        sink.begin(FIELDS)
        with pytest.raises(AircanError) as caught:
            sink.put(Part(0, 2, data))
        assert not caught.value.retryable
        with pytest.raises(RowsMissing):
            sink.publish(rows=2, when=Publish.SEARCHABLE)

    @pytest.mark.parametrize("rows", [2, 4])
    def test_with_other_rows_than_it_claims_is_not_kept(self, site, resource, rows):
        sink = site.sink(resource)
        sink.begin(FIELDS)
        with pytest.raises(RowsMissing) as caught:
            sink.put(Part(0, rows, part(ROWS).data))
        assert caught.value.facts == {"rows": rows, "loaded": 3}
        sink.put(part(ROWS))
        assert sink.publish(rows=3, when=Publish.SEARCHABLE) == Written(3, 3)

    def test_need_a_table(self, site, resource):
        with pytest.raises(LoadFailed):
            site.sink(resource).put(part(ROWS))

    def test_after_publish_change_nothing(self, site, resource, rows_of):
        sink = written(site, resource, ROWS)[0]
        with contextlib.suppress(LoadFailed):
            sink.put(part([["late", None, None]], number=9, first=4))
        assert rows_of(resource) == numbered(ROWS)


class TestBegin:
    def test_again_starts_anew(self, site, resource, rows_of, hidden):
        sink = site.sink(resource)
        sink.begin(fields(x="text"))
        sink.put(part([["old"]]))
        sink.begin(FIELDS)
        sink.put(part(ROWS))
        sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert rows_of(resource) == numbered(ROWS)
        assert hidden() == []

    def test_columns_of_no_table(self, site, resource):
        assert site.sink(resource).columns() is None

    def test_columns_of_a_table(self, site, resource):
        written(site, resource, ROWS)
        found = site.sink(resource).columns()
        assert [(field.id, field.type, field.reason) for field in found] == [
            (field.id, field.type, {"code": "table"}) for field in FIELDS
        ]

    def test_delete_needs_a_table(self, site, resource, hidden):
        with pytest.raises(TableMissing):
            site.sink(resource).begin(FIELDS, DELETE)
        assert hidden() == []

    @pytest.mark.parametrize("writing", [UPSERT, DELETE])
    def test_a_key_must_be_unique_in_the_table(self, site, resource, writing):
        written(site, resource, [*KEYED, ["b", "2", None]])
        with pytest.raises(KeyNotUnique) as caught:
            site.sink(resource).begin(FIELDS, writing)
        assert (caught.value.facts["key"], caught.value.facts["count"]) == ("k", 1)


class TestPublish:
    @pytest.mark.parametrize("rows", [2, 4])
    def test_wants_exactly_the_rows_that_were_read(self, site, resource, rows_of, rows):
        written(site, resource, ROWS)
        sink = site.sink(resource)
        sink.begin(FIELDS)
        sink.put(part([["x", None, None]] * 3))
        with pytest.raises(RowsMissing) as caught:
            sink.publish(rows=rows, when=Publish.SEARCHABLE)
        assert caught.value.facts == {"rows": rows, "loaded": 3}
        assert rows_of(resource) == numbered(ROWS)

    @pytest.mark.parametrize("writing", [Writing(), APPEND, UPSERT])
    def test_told_twice_answers_as_before(self, site, resource, rows_of, writing):
        written(site, resource, KEYED)
        rows = [["d", "4", None]]
        sink, first = written(site, resource, rows, writing=writing)
        before = rows_of(resource)
        try:
            again = sink.publish(rows=1, when=Publish.SEARCHABLE)
        except LoadFailed:
            assert writing == Writing()  # the table is swapped in, and nothing of the job is left to be told twice
        else:
            assert again == first
        assert rows_of(resource) == before

    def test_without_a_table_fails(self, site, resource):
        with pytest.raises(LoadFailed):
            site.sink(resource).publish(rows=0, when=Publish.SEARCHABLE)

    def test_a_veto_leaves_the_old_table(self, site, resource, rows_of):
        written(site, resource, ROWS)
        seen = []

        def veto(table):
            seen.append((table["rows"], [field["id"] for field in table["fields"]], table["write"]))
            raise PublishVetoed(reason="no")

        site.before_publish(veto)
        sink = site.sink(resource)
        sink.begin(fields(x="text"))
        sink.put(part([["new"]]))
        with pytest.raises(PublishVetoed) as caught:
            sink.publish(rows=1, when=Publish.COMPLETE)
        assert caught.value.facts == {"reason": "no"}
        assert seen == [(1, ["x"], "replace")]
        assert rows_of(resource) == numbered(ROWS)

    @pytest.mark.parametrize("writing", [Writing(), APPEND])
    def test_a_table_that_others_keep_busy_stays(self, site, resource, rows_of, database, writing):
        written(site, resource, ROWS)
        site.never_wait()
        sink = site.sink(resource)
        sink.begin(FIELDS, writing)
        sink.put(part([["x", None, None]]))
        with database.cursor() as cursor:
            cursor.execute(f'BEGIN; LOCK TABLE "{resource}" IN ACCESS SHARE MODE')
            cursor.execute(f'LOCK TABLE "{resource}" IN ROW EXCLUSIVE MODE')
            with pytest.raises(TableBusy) as caught:
                sink.publish(rows=1, when=Publish.SEARCHABLE)
            cursor.execute("ROLLBACK")
        assert caught.value.retryable
        assert rows_of(resource) == numbered(ROWS)

    def test_can_be_told_again_after_it_failed(self, site, resource, rows_of):
        sink = site.sink(resource)
        sink.begin(FIELDS)
        sink.put(part(ROWS[:2]))
        with pytest.raises(RowsMissing):
            sink.publish(rows=3, when=Publish.SEARCHABLE)
        sink.put(part(ROWS[2:], number=1, first=3))
        assert sink.publish(rows=3, when=Publish.SEARCHABLE) == Written(3, 3)
        assert rows_of(resource) == numbered(ROWS)


class TestDiscard:
    def test_leaves_nothing_of_the_job_and_may_be_told_twice(self, site, resource, rows_of, hidden):
        written(site, resource, ROWS)
        sink = site.sink(resource)
        sink.begin(fields(x="text"))
        sink.put(part([["new"]]))
        sink.discard()
        sink.discard()
        assert hidden() == []
        assert rows_of(resource) == numbered(ROWS)

    def test_before_anything_has_begun(self, site, resource, rows_of):
        site.sink(resource).discard()
        assert rows_of(resource) is None

    @pytest.mark.parametrize("writing", [Writing(), APPEND])
    def test_after_publish_leaves_the_new_rows(self, site, resource, rows_of, hidden, writing):
        sink = written(site, resource, ROWS, writing=writing)[0]
        sink.discard()
        assert writing == APPEND or hidden() == []
        assert rows_of(resource) == numbered(ROWS)

    def test_lets_the_job_begin_again(self, site, resource, rows_of):
        sink = site.sink(resource)
        sink.begin(fields(x="text"))
        sink.discard()
        with pytest.raises(LoadFailed):
            sink.put(part(ROWS))
        sink.begin(FIELDS)
        sink.put(part(ROWS))
        sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert rows_of(resource) == numbered(ROWS)


class TestAppendUpsertDelete:
    def test_append_adds_behind(self, site, resource, rows_of):
        written(site, resource, ROWS)
        assert written(site, resource, [["x", None, None], ["y", "2", None]], writing=APPEND)[1] == Written(5, 2)
        assert rows_of(resource) == numbered([*ROWS, ["x", None, None], ["y", "2", None]])

    def test_upsert_adds_and_changes(self, site, resource, rows_of):
        written(site, resource, KEYED)
        rows = [["b", "2", None], ["d", "4", None], ["a", "1.50", "2024-01-01"]]
        assert written(site, resource, rows, writing=UPSERT)[1] == Written(4, added=1, changed=1, same=1)
        assert sorted(row[1:] for row in rows_of(resource)) == sorted(map(tuple, [rows[2], rows[0], KEYED[2], rows[1]]))

    def test_delete_takes_rows_away(self, site, resource, rows_of):
        written(site, resource, KEYED)
        assert written(site, resource, [["b"], ["q"]], fields(k="text"), DELETE)[1] == Written(2, deleted=1, absent=1)
        assert [row[1] for row in rows_of(resource)] == ["a", "c"]

    @pytest.mark.parametrize("writing", [APPEND, UPSERT])
    def test_the_first_makes_the_table(self, site, resource, rows_of, writing):
        assert written(site, resource, KEYED, writing=writing)[1] == Written(3, 3)
        assert rows_of(resource) == numbered(KEYED)

    def test_rows_without_a_key_or_with_that_of_another_are_named(self, site, resource, rows_of):
        written(site, resource, KEYED)
        sink = site.sink(resource)
        sink.begin(FIELDS, UPSERT)
        sink.put(part([["x", "1", None], [None, "2", None], ["x", "4", None]]))
        with pytest.raises(KeyNotUnique) as caught:
            sink.publish(rows=3, when=Publish.SEARCHABLE)
        assert caught.value.facts["found"] == [
            {"code": "key_missing", "row": 2, "first": None, "value": ""},
            {"code": "key_again", "row": 3, "first": 1, "value": "x"},
        ]
        assert rows_of(resource) == numbered(KEYED)

    def test_a_job_whose_rows_are_in_the_table_does_not_add_them_again(self, site, resource, rows_of):
        written(site, resource, ROWS)
        first = written(site, resource, [["x", None, None]], writing=APPEND)[1]
        again = site.sink(resource, same_job=True)
        again.begin(FIELDS, APPEND)
        again.put(part([["x", None, None]]))
        assert again.publish(rows=1, when=Publish.SEARCHABLE) == first == Written(4, 1)
        assert len(rows_of(resource)) == 4


@pytest.mark.parametrize("packed", [True, False])
def test_parts_over_http_are_the_same_packed_or_not(gateway, monkeypatch, query, packed):
    site = Site(lambda job_id, resource: HttpSink(gateway(job_id), packed=packed), monkeypatch)
    resource = site.resource()
    sink = site.sink(resource)
    sink.begin(FIELDS)
    for piece in parts([[f"w{i} ä", str(i), None] for i in range(1000)], 400):
        sink.put(piece)
    assert sink.publish(rows=1000, when=Publish.ROWS) == Written(1000, 1000)
    assert query(f'SELECT count(DISTINCT k), sum(n) FROM "{resource}"') == [(1000, sum(range(1000)))]


@pytest.fixture
def over_http(gateway, monkeypatch):
    """Sinks over HTTP only."""
    return Site(lambda job_id, resource: HttpSink(gateway(job_id)), monkeypatch)


@pytest.mark.ckan_config("ckanext.aircan_connector.gateway.max_body_bytes", 20_000)
def test_a_part_over_the_limit_of_a_body_goes_packed_or_names_the_option(over_http, query):
    resource = over_http.resource()
    sink = over_http.sink(resource)
    sink.begin(fields(t="text"))
    sink.put(part([["x" * 100_000]]))
    with pytest.raises(BodyTooLarge) as caught:
        sink.put(part([[random.Random(1).randbytes(50_000).hex()]], number=1, first=2))
    assert caught.value.facts["limit_bytes"] == 20_000
    assert "ckanext.aircan_connector.gateway.max_body_bytes" in caught.value.message
    assert sink.publish(rows=1, when=Publish.ROWS) == Written(1, 1)
    assert query(f'SELECT length(t) FROM "{resource}"') == [(100_000,)]


def test_a_worker_with_two_keys_finds_the_right_one(served, over_http):
    resource = over_http.resource()
    job_id = over_http.sink(resource)._gateway.job_id
    key = factories.get("local").keys()[0]
    with closing(Gateway(served, job_id, ["the next key", key])) as door:
        HttpTell(door)(Report(Status.RUNNING, message="found"))
        assert HttpSink(door).columns() is None
    with closing(Gateway(served, job_id, ["the next key", "another"])) as door:
        with pytest.raises(TokenRefused):
            HttpTell(door)(Report(Status.RUNNING))
        with pytest.raises(TokenRefused):
            HttpSink(door).columns()


def test_a_job_that_is_over_takes_nothing_more(over_http, rows_of):
    resource = over_http.resource()
    sink = over_http.sink(resource)
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    over_http.end(resource)
    for act in (
        lambda: sink.put(part([["late", None, None]], number=1, first=4)),
        lambda: sink.publish(rows=3, when=Publish.SEARCHABLE),
        lambda: sink.begin(FIELDS),
        sink.columns,
    ):
        with pytest.raises(JobStopped):
            act()
    sink.discard()
    assert rows_of(resource) is None

"""A load from begin to publish inside CKAN: what `tests/contracts/test_sink.py` does not ask of every sink."""

from __future__ import annotations

import threading
import uuid

import pytest

from aircan.contract import Field, Part, Publish, Type
from aircan.errors import (
    DatastoreMisconfigured,
    DatastoreUnavailable,
    JobStopped,
    PartBroken,
    PublishVetoed,
    RowsMissing,
    TooManyColumns,
    ValueRefused,
)
from ckanext.aircan_connector.datastore import publish
from ckanext.aircan_connector.datastore.sink import DirectSink

from ..conftest import soon
from .catalogue import leftovers, oid_of, snapshot
from .conftest import fields, part, search

ROWS = [["a", "1.50"], ["b", None], [None, "3"]]
OURS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'aircan%'"
"""Connections of loads: only those to this database, as another site may load at the same time."""

FIELDS = fields(t="text", n="numeric")


@pytest.fixture
def resource() -> str:
    """The DataStore does not ask whether CKAN knows a resource, and making one takes longer than these tests."""
    return str(uuid.uuid4())


@pytest.fixture
def table(query, load, resource):
    """A loaded table; afterwards it must be what it was, byte for byte."""
    load(resource, FIELDS, ROWS)
    before = (oid_of(query, resource), snapshot(query, resource), query(f'SELECT *, xmin::text FROM "{resource}"'))
    yield resource
    after = (oid_of(query, resource), snapshot(query, resource), query(f'SELECT *, xmin::text FROM "{resource}"'))
    assert after == before


def test_another_process_can_go_on_with_the_parts_and_publish(sinks, query, resource):
    job_id = str(uuid.uuid4())
    labelled = [Field("t", "The T"), Field("n", "n", Type.NUMERIC)]
    sinks(resource, job_id=job_id).begin(labelled)
    sinks(resource, job_id=job_id).put(part(ROWS))
    sinks(resource, job_id=job_id).publish(rows=3, when=Publish.SEARCHABLE)
    assert search(resource)["total"] == 3
    assert "The T" in query("SELECT col_description(%s::regclass, 3)", f'"{resource}"')[0][0]


def test_publish_told_twice_while_the_first_is_not_finished(sinks, resource, query, monkeypatch):
    sink = sinks(resource)
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    with monkeypatch.context() as patch:
        patch.setattr(publish, "index_live", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            sink.publish(rows=3, when=Publish.SEARCHABLE)
    again = sinks(resource, job_id=sink.job_id)
    again.publish(rows=3, when=Publish.SEARCHABLE)
    assert (again.published, search(resource, q="b")["total"], leftovers(query)) == (True, 1, [])


def test_an_answer_to_the_commit_that_is_lost_is_asked_for(sinks, resource, query, monkeypatch):
    original = publish._try

    def lost(*args):
        original(*args)
        raise DatastoreUnavailable

    monkeypatch.setattr(publish, "_try", lost)
    sink = sinks(resource)
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    sink.publish(rows=3, when=Publish.SEARCHABLE)
    assert (sink.published, search(resource)["total"], leftovers(query)) == (True, 3, [])


def test_interrupt_after_the_swap_lets_the_rest_be_done(sinks, resource, query, monkeypatch):
    original = publish.index_live

    def interrupted(*args, **kwargs):
        sink.interrupt()
        return original(*args, **kwargs)

    monkeypatch.setattr(publish, "index_live", interrupted)
    sink = sinks(resource)
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    sink.publish(rows=3, when=Publish.SEARCHABLE)
    assert (sink.published, leftovers(query)) == (True, [])


def test_a_part_with_other_rows_than_it_claims_is_not_kept(table, sinks):
    sink = sinks(table)
    sink.begin(FIELDS)
    with pytest.raises(RowsMissing) as caught:
        sink.put(Part(0, 4, part(ROWS).data))
    assert caught.value.facts == {"rows": 4, "loaded": 3}
    sink.put(part(ROWS))
    with pytest.raises(RowsMissing):
        sink.publish(rows=4, when=Publish.SEARCHABLE)
    sink.discard()


def test_a_refused_value_is_named_and_nothing_of_its_part_stays(table, sinks):
    sink = sinks(table)
    sink.begin(FIELDS)
    sink.put(part([["a", 1], ["b", 2]]))
    with pytest.raises(ValueRefused) as caught:
        sink.put(part([['two\nlines, "quoted"', 3], ["x\ny", "1,5"], ["z", 4]], number=1, first=3))
    assert caught.value.facts == {"row": 4, "field": "n", "value": "1,5"}
    sink.put(part([["c", 3]], number=1, first=3))
    with pytest.raises(RowsMissing):
        sink.publish(rows=5, when=Publish.SEARCHABLE)
    sink.discard()


def test_a_refused_column_is_named_whatever_its_name(sinks, resource):
    sink = sinks(resource)
    sink.begin([Field("a", "a", Type.NUMERIC), Field('a: x, "b', "", Type.NUMERIC)])
    with pytest.raises(ValueRefused) as caught:
        sink.put(part([[1, 2], [1, ': "x"']]))
    assert caught.value.facts == {"row": 2, "field": 'a: x, "b', "value": ': "x"'}


def test_a_record_with_too_few_cells_is_refused(sinks, resource):
    sink = sinks(resource)
    sink.begin(FIELDS)
    with pytest.raises(PartBroken) as caught:
        sink.put(Part(7, 2, b'1,"a",1\n2,"b"\n'))
    assert (caught.value.facts["number"], caught.value.facts["row"]) == (7, 2)
    assert "missing data for column" in caught.value.facts["reason"]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "a"])
def test_a_refused_value_is_found_behind_cells_of_several_lines(sinks, resource, end):
    """PostgreSQL counts line ends in the first record in another way than in the others."""
    sink = sinks(resource)
    sink.begin(fields(a="text", n="numeric"))
    rows = [[f"x{end}y{end}", 1], [f"{end}z", 2], ["plain", 3], [f"x{end}", "no number"], ["end", 5]]
    with pytest.raises(ValueRefused) as caught:
        sink.put(part(rows))
    assert caught.value.facts == {"row": 4, "field": "n", "value": "no number"}


def test_a_veto_leaves_the_old_table(table, sinks, query):
    seen = {}

    def veto(told):
        seen.update(told, count=query(f'SELECT count(*) FROM "{told["table"]}"')[0][0])
        raise PublishVetoed(reason="no")

    sink = sinks(table, before_publish=veto)
    sink.begin(fields(x="text"))
    sink.put(part([["new"]]))
    with pytest.raises(PublishVetoed):
        sink.publish(rows=1, when=Publish.COMPLETE)
    assert (seen["rows"], seen["count"], [f["id"] for f in seen["fields"]]) == (1, 1, ["x"])
    assert not sink.published
    sink.discard()


def test_discard_leaves_nothing_of_the_job(table, sinks, query):
    sink = sinks(table)
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    sink.discard()
    sink.discard()
    assert leftovers(query) == []


@pytest.mark.parametrize("count", [1598, 1599])
def test_columns_up_to_the_limit_of_postgresql(sinks, resource, count):
    sink = sinks(resource)
    many = [Field(f"c{i}", f"c{i}", Type.BOOLEAN) for i in range(count)]
    if count > 1598:
        with pytest.raises(TooManyColumns) as caught:
            sink.begin(many)
        assert caught.value.facts == {"columns": 1599, "limit": 1598}
        return
    sink.begin(many)
    sink.put(part([["true"] * count]))
    sink.publish(rows=1, when=Publish.SEARCHABLE)
    assert search(resource, q="true")["total"] == 1


def test_a_text_too_long_for_a_vector_does_not_break_the_load(load, query, resource):
    long = " ".join(f"w{i}" for i in range(200_000))
    sink = load(resource, FIELDS, [["short", 1], [long, 2], ["end", 3]])
    assert {"code": "search_capped", "rows": 1} in sink.warnings
    assert search(resource, q="w17")["total"] == 1
    assert query(f'SELECT length(t) FROM "{resource}" WHERE _id = 2') == [(len(long),)]


def test_interrupt_stops_a_copy_and_leaves_the_old_table(table, sinks, query):
    query(
        "CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$"
    )
    sink = sinks(table)
    sink.begin(FIELDS)
    query(f'CREATE TRIGGER aslow BEFORE INSERT ON "{_stage(query)}" FOR EACH ROW EXECUTE PROCEDURE slow()')
    timer = threading.Timer(0.5, sink.interrupt)
    timer.start()
    with pytest.raises(JobStopped):
        sink.put(part(ROWS))
    timer.join()
    with pytest.raises(JobStopped):
        sink.put(part(ROWS))
    with pytest.raises(JobStopped):
        sink.publish(rows=3, when=Publish.SEARCHABLE)
    sink.discard()
    assert leftovers(query) == []


def test_interrupt_before_anything_stops_the_first_call(resource, sinks):
    sink = sinks(resource)
    sink.interrupt()
    with pytest.raises(JobStopped):
        sink.begin(FIELDS)


def test_a_killed_connection_is_retryable_and_the_part_can_be_sent_again(sinks, query, resource):
    sink = sinks(resource)
    sink.begin(FIELDS)
    query(f"SELECT pg_terminate_backend(pid) {OURS}")
    with pytest.raises(DatastoreUnavailable) as caught:
        sink.put(part(ROWS))
    assert caught.value.retryable
    sink.put(part(ROWS))
    sink.publish(rows=3, when=Publish.SEARCHABLE)
    assert search(resource)["total"] == 3


def test_no_server_is_unavailable_and_the_message_holds_no_password(sinks, resource, monkeypatch):
    from ckanext.aircan_connector import config

    monkeypatch.setattr(config, "datastore_write_url", lambda: "postgresql://u:geheim@127.0.0.1:1/nothing")
    with pytest.raises(DatastoreUnavailable) as caught:
        sinks(resource).begin(FIELDS)
    assert "geheim" not in str(caught.value)


def test_a_read_only_database_is_the_operators_matter(table, sinks, query):
    name = query("SELECT current_database()")[0][0]
    query(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        with pytest.raises(DatastoreMisconfigured) as caught:
            sinks(table).begin(FIELDS)
    finally:
        query("SET transaction_read_only = off")
        query("SET default_transaction_read_only = off")
        query(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    assert caught.value.blame.value == "CONFIG"


def test_connections_are_named_after_the_job_and_closed(query, resource):
    sink = DirectSink(str(uuid.uuid4()), resource)
    named = f"SELECT 1 {OURS} AND application_name = 'aircan {sink.job_id}'"
    sink.begin(FIELDS)
    assert query(named) == [(1,)]
    sink.close()
    soon(lambda: query(named) == [])


def _stage(query):
    return next(name for name in leftovers(query) if len(name) == 40)


@pytest.mark.ckan_config("ckanext.aircan_connector.load.work_memory_mb", 77)
def test_an_index_is_built_with_the_memory_of_the_option(sinks, resource):
    with sinks(resource)._connections.transaction() as cursor:
        cursor.execute("SHOW maintenance_work_mem")
        assert cursor.fetchone() == ("77MB",)

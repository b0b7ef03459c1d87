"""Stage and parts: any order, at once, each loaded once; what is wrong gets a clear error and changes nothing."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import threading
import uuid

import pytest

from aircan.contract import Part, Report, Task, Write, Writing
from aircan.status import Status
from ckanext.aircan_connector import config, gateway, incoming, jobs
from ckanext.aircan_connector.datastore import connect
from ckanext.aircan_connector.datastore import sink as sink_module
from ckanext.aircan_connector.datastore.sink import DirectSink

from ..conftest import row_of, soon
from ..datastore.conftest import fields, part, parts
from .conftest import Worker

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

FIELDS = fields(id="numeric", name="text")
GOOD = part([[n, f"name {n}"] for n in range(5)])


def stage(worker):
    return "_aircan_" + uuid.UUID(worker.job_id).hex


@pytest.fixture
def begun(worker):
    """A worker whose stage is there."""
    assert worker.begin(FIELDS).status == 200
    return worker


@pytest.fixture
def is_empty(begun, query):
    """Tell whether nothing of any part is in the stage."""

    def look():
        table = stage(begun)
        rows = query(f'SELECT count(*) FROM "{table}"') + query(
            f'SELECT count(*) FROM "{table}_parts" WHERE number >= 0'
        )
        return rows == [(0,), (0,)]

    return look


def test_parts_in_any_order_at_the_same_time_and_twice(begun, app, query):
    """Ten workers send all parts, each in an order of its own, some packed: each row is there once."""
    wanted = parts([[n, f"name {n}"] for n in range(1000)], 50)
    loaded, wrong = [], []

    def work(seed):
        mine = Worker(app, begun.job_id, begun.token, begun.resource)
        for one in random.Random(seed).sample(wanted, len(wanted)):
            answer = mine.put(one, packed=seed % 2 == 0)
            if answer.status != 200:
                wrong.append(answer.data)
            elif answer.json["loaded"]:
                loaded.append(one.number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(loaded) == list(range(20))
    assert query(f'SELECT count(*), count(DISTINCT _id) FROM "{stage(begun)}"') == [(1000, 1000)]


@pytest.mark.parametrize(
    ("headers", "data", "code", "said"),
    [
        ({}, b"1,1\n", "part_broken", "missing data for column"),
        ({}, b"1,1,a,b\n", "part_broken", "extra data after last expected column"),
        ({}, b"1,1,\xff\n", "part_broken", "invalid byte sequence"),
        ({}, b'1,1,"a\n', "part_broken", "unterminated CSV quoted field"),
        ({}, b"1,1,a", "part_broken", "ends within a line"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"1,1,a"), "part_broken", "ends within a line"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"1,1,a\n")[:-4], "part_broken", "ends too early"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"1,1,a\n") + b"xxxx", "part_broken", "incorrect header check"),
        ({"Content-Encoding": "gzip"}, gzip.compress(b"1,1,a\n")[:12] + b"xxxxxxxxxxxx", "part_broken", "unpacked"),
        ({"Content-Encoding": "gzip"}, b"1,1,a\n", "part_broken", "incorrect header check"),
        ({"Content-Encoding": "br"}, b"1,1,a\n", "request_refused", "'br' is not known"),
        ({"X-AirCan-Rows": ""}, b"1,1,a\n", "request_refused", "X-AirCan-Rows is not a number"),
        ({"X-AirCan-Rows": "-1"}, b"1,1,a\n", "request_refused", "X-AirCan-Rows is not a number"),
        ({"X-AirCan-Rows": "1.0"}, b"1,1,a\n", "request_refused", "X-AirCan-Rows is not a number"),
        ({"X-AirCan-Rows": "9" * 5000}, b"1,1,a\n", "request_refused", "X-AirCan-Rows is not a number"),
        ({"X-AirCan-Rows": str(2**53 + 1)}, b"1,1,a\n", "request_refused", "X-AirCan-Rows is not a number"),
    ],
)
def test_a_broken_part(begun, is_empty, headers, data, code, said):
    answer = begun.put(Part(0, 1, data), **headers)
    assert (answer.status, answer.code) == (400, code)
    assert said in answer.facts["reason"]
    assert is_empty()
    assert begun.put(GOOD).json == {"loaded": True, "rows": 5}


def test_a_refused_value_names_row_field_and_value(begun, is_empty):
    answer = begun.put(Part(0, 3, b'41,1,"a\nb"\n42,x,"c\nd"\n43,3,e\n'), packed=True)
    assert (answer.status, answer.code) == (422, "value_refused")
    assert answer.facts == {"row": 42, "field": "id", "value": "x"}
    assert is_empty()


@pytest.mark.parametrize("packed", [False, True])
def test_a_refused_value_is_found_in_a_large_part(begun, is_empty, packed):
    """PostgreSQL tells of it only after the whole body; what came is in a file by then."""
    rows = [[n, f"{'x' * (n % 700)}\n{os.urandom(40).hex()}"] for n in range(9000)]
    rows[8990][0] = "no number"
    answer = begun.put(part(rows), packed=packed)
    assert answer.facts == {"row": 8991, "field": "id", "value": "no number"}
    assert is_empty()


@pytest.mark.parametrize("rows", [0, 4, 6])
def test_another_number_of_rows_than_was_told(begun, is_empty, rows):
    answer = begun.put(Part(0, rows, GOOD.data))
    assert (answer.status, answer.code, answer.facts) == (422, "rows_missing", {"rows": rows, "loaded": 5})
    assert is_empty()


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "2147483648", "9" * 5000, "%D9%A3"])
def test_a_number_that_is_none(begun, is_empty, number):
    answer = begun.ask("PUT", f"/parts/{number}", {"X-AirCan-Rows": "1"}, data=b"1,1,a\n")
    assert (answer.status, answer.code) == (400, "request_refused")
    assert is_empty()


@pytest.mark.parametrize("number", [0, 2147483647])
def test_numbers_at_the_limits(begun, number):
    assert begun.put(Part(number, 5, GOOD.data)).json == {"loaded": True, "rows": 5}


def test_a_part_without_rows(begun):
    assert begun.send(0, 0, b"", 0).json == {"loaded": True, "rows": 0}
    answer = begun.send(1, 0, b"", 0, packed=True)
    assert (answer.code, "ends too early" in answer.facts["reason"]) == ("part_broken", True)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("less", [1, 20, 1000])
def test_a_body_that_stops_half_way(begun, is_empty, packed, less):
    """The client is gone: fewer bytes come than the Content-Length says."""
    data = gzip.compress(GOOD.data) if packed else GOOD.data
    answer = begun.send(0, 5, data[:-less], len(data), packed=packed)
    assert (answer.status, answer.code) == (400, "part_broken")
    assert answer.facts["reason"] == f"it stopped before the {len(data)} bytes that were announced"
    assert is_empty()


@pytest.mark.parametrize("packed", [False, True])
def test_a_content_length_that_is_too_short(begun, is_empty, packed):
    """What is behind it is not part of the body; the rows that were told must all be before it."""
    data = gzip.compress(GOOD.data, mtime=0) if packed else GOOD.data
    for length in range(len(data)):
        answer = begun.send(0, 5, data, length, packed=packed)
        assert answer.code in (("part_broken",) if packed else ("part_broken", "rows_missing"))
        assert answer.status == (422 if answer.code == "rows_missing" else 400)
    assert is_empty()
    assert begun.send(0, 5, data, len(data), packed=packed).status == 200


def test_a_content_length_that_is_too_long(begun, is_empty):
    answer = begun.send(0, 5, GOOD.data, len(GOOD.data) + 1)
    assert answer.status == 400
    assert answer.facts["reason"] == f"it stopped before the {len(GOOD.data) + 1} bytes that were announced"
    assert is_empty()


@pytest.mark.parametrize(
    ("length", "encoding", "status", "code"),
    [
        (None, "", 411, "length_missing"),
        (None, "chunked", 411, "length_missing"),
        (5, "chunked", 411, "length_missing"),
        ("x", "", 400, "request_refused"),
        ("-5", "", 400, "request_refused"),
        ("9" * 5000, "", 400, "request_refused"),
        (2**63 - 1, "", 413, "body_too_large"),
    ],
)
def test_a_length_that_is_none(begun, is_empty, length, encoding, status, code):
    answer = begun.send(0, 5, GOOD.data, length, encoding=encoding)
    assert (answer.status, answer.code) == (status, code)
    assert is_empty()


def test_a_body_over_the_limit(begun, is_empty, monkeypatch):
    monkeypatch.setattr(config, "max_body_bytes", lambda: len(GOOD.data) - 1)
    answer = begun.put(GOOD)
    assert (answer.status, answer.code) == (413, "body_too_large")
    assert answer.facts == {"size_bytes": len(GOOD.data), "limit_bytes": len(GOOD.data) - 1}
    assert is_empty()
    monkeypatch.setattr(config, "max_body_bytes", lambda: len(GOOD.data))
    assert begun.put(GOOD).status == 200


def test_a_gzip_bomb(begun, is_empty, monkeypatch):
    monkeypatch.setitem(incoming.Incoming.__init__.__kwdefaults__, "limit_bytes", 1_000_000)
    bomb = gzip.compress(b"1,1,a\n" * 200_000)
    assert len(bomb) < 10_000
    answer = begun.ask("PUT", "/parts/0", {"X-AirCan-Rows": "200000", "Content-Encoding": "gzip"}, data=bomb)
    assert (answer.status, answer.code, answer.facts["limit_bytes"]) == (413, "body_too_large", 1_000_000)
    assert is_empty()


def test_a_body_that_comes_too_slowly(begun, is_empty, monkeypatch):
    moments = iter([0.0, *(incoming.TIME_LIMIT_S + n for n in range(1, 100))])
    monkeypatch.setattr(incoming.time, "monotonic", lambda: next(moments))
    answer = begun.put(GOOD)
    assert (answer.status, answer.code, answer.facts["reason"]) == (400, "part_broken", "it came too slowly")
    assert is_empty()


def test_several_members_of_gzip_are_one_text(begun):
    data = gzip.compress(GOOD.data[:20]) + gzip.compress(GOOD.data[20:])
    answer = begun.ask("PUT", "/parts/0", {"X-AirCan-Rows": "5", "Content-Encoding": "gzip"}, data=data)
    assert answer.json == {"loaded": True, "rows": 5}


def test_a_part_without_a_stage(worker):
    answer = worker.put(GOOD)
    assert (answer.status, answer.code) == (409, "stage_missing")


def test_the_same_part_at_the_same_time_waits_for_the_other_but_not_for_ever(begun, monkeypatch):
    """The first one is slow: the second is told to come again."""
    monkeypatch.setattr(sink_module, "PART_WAIT_MS", 100)
    sink, held = DirectSink(begun.job_id, begun.resource), threading.Event()
    done = threading.Event()

    class Slow(io.BytesIO):
        def read(self, size=-1):
            held.set()
            done.wait(60)
            return super().read(size)

    body = incoming.Incoming(Slow(GOOD.data), len(GOOD.data), 0)
    thread = threading.Thread(target=lambda: sink.take(0, 5, body))
    thread.start()
    assert held.wait(60)
    answer = begun.put(GOOD)
    done.set()
    thread.join()
    sink.close()
    assert (answer.status, answer.code) == (503, "table_busy")
    assert answer.headers["Retry-After"]
    assert begun.put(GOOD).json == {"loaded": False, "rows": 5}


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({}, "fields is no list"),
        ({"fields": []}, "fields is no list"),
        ({"fields": {}}, "fields is no list"),
        ({"fields": ["a"]}, "a field is not made as agreed"),
        ({"fields": [{"id": "a", "label": "a"}]}, "a field is not made as agreed"),
        ({"fields": [{"id": "a", "label": "a", "type": "serial"}]}, "a field is not made as agreed"),
        ({"fields": [{"id": "a", "label": 5, "type": "text"}]}, "a field is not made as agreed"),
        ({"fields": [{"id": "a", "label": "\ud800", "type": "text"}]}, "a field is not made as agreed"),
        ({"fields": [{"id": "a", "label": "a", "type": "text", "reason": "x"}]}, "a field is not made as agreed"),
        ({"fields": [{"id": "a", "label": "a", "type": ["text"]}]}, "a field is not made as agreed"),
        ({"fields": [{"id": "", "label": "a", "type": "text"}]}, "cannot be the name"),
        ({"fields": [{"id": 5, "label": "a", "type": "text"}]}, "cannot be the name"),
        ({"fields": [{"id": "_id", "label": "a", "type": "text"}]}, "cannot be the name"),
        ({"fields": [{"id": 'a"b', "label": "a", "type": "text"}]}, "cannot be the name"),
        ({"fields": [{"id": "a\0b", "label": "a", "type": "text"}]}, "cannot be the name"),
        ({"fields": [{"id": "ł" * 32, "label": "a", "type": "text"}]}, "cannot be the name"),
        ({"fields": [{"id": "a", "label": "", "type": "text"}] * 2}, "the same name"),
        ({"fields": [FIELDS[0].to_dict()], "writing": {"mode": "merge", "key": []}}, "writing is missing or wrong"),
        ({"fields": [FIELDS[0].to_dict()], "writing": "replace"}, "writing is missing or wrong"),
        ({"fields": [FIELDS[0].to_dict()], "writing": {"mode": "upsert", "key": 5, "rows_first": False}}, "writing is"),
    ],
)
def test_a_stage_that_is_not_made_as_agreed(worker, query, told, said):
    answer = worker.ask("PUT", "/stage", json=told)
    assert (answer.status, answer.code) == (400, "request_refused")
    assert said in answer.facts["reason"]
    assert query("SELECT to_regclass(%s)", stage(worker)) == [(None,)]


@pytest.mark.parametrize("data", [b" ", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_json_object(worker, data):
    for method, door in (("PUT", "/stage"), ("POST", "/publish")):
        answer = worker.ask(method, door, data=data)
        assert (answer.status, answer.code) == (400, "request_refused")
        assert "JSON" in answer.facts["reason"]


def test_a_column_name_at_the_limit(worker):
    name = "ł" * 31 + "x"
    assert worker.begin(fields(**{name: "text"})).status == 200


def test_too_many_columns(worker):
    answer = worker.begin(fields(**{f"c{n}": "text" for n in range(1600)}))
    assert (answer.status, answer.code) == (422, "too_many_columns")


def test_rows_to_be_deleted_from_no_table(worker):
    answer = worker.begin(FIELDS, Writing(Write.DELETE, ("id",)))
    assert (answer.status, answer.code) == (422, "table_missing")


def test_a_stage_that_begins_again_is_empty(begun, query):
    begun.put(GOOD)
    assert begun.begin(FIELDS).status == 200
    assert begun.put(Part(1, 5, GOOD.data)).json == {"loaded": True, "rows": 5}


def test_a_stage_that_is_discarded(begun, query):
    begun.put(GOOD)
    assert begun.ask("DELETE", "/stage").json == {}
    assert begun.ask("DELETE", "/stage").json == {}
    assert query("SELECT to_regclass(%s)", stage(begun)) == [(None,)]
    assert begun.put(GOOD).code == "stage_missing"


def test_json_and_dates(worker, query):
    assert worker.begin(fields(j="json", d="date", t="timestamp", b="bool")).status == 200
    told = [[json.dumps({"a": [1, "ł"]}), "2024-05-13", "2024-05-13T10:00:00", "true"], [None, None, None, None]]
    assert worker.put(part(told), packed=True).json == {"loaded": True, "rows": 2}
    answer = worker.put(part([["{", None, None, None]], number=1))
    assert (answer.code, answer.facts["field"], answer.facts["value"]) == ("value_refused", "j", "{")


def test_progress_moves_the_bar(begun, monkeypatch):
    monkeypatch.setattr(gateway, "PROGRESS_S", 0.0)
    jobs.report(
        begun.job_id,
        Report(Status.RUNNING, task=Task("load", Status.RUNNING), progress={"total_rows": 20, "percent": 17}),
    )
    begun.put(Part(0, 5, GOOD.data))
    told = row_of(begun.job_id)["info"]["progress"]
    assert (told["rows"], told["total_rows"], told["phase"], told["share"], told["percent"]) == (
        5,
        20,
        "load",
        0.25,
        22,
    )
    begun.put(Part(1, 5, GOOD.data))
    assert row_of(begun.job_id)["info"]["progress"]["share"] == 0.5
    begun.put(Part(1, 5, GOOD.data))
    assert row_of(begun.job_id)["info"]["progress"]["rows"] == 10


def test_progress_without_a_total_counts_rows(begun, monkeypatch):
    monkeypatch.setattr(gateway, "PROGRESS_S", 0.0)
    begun.put(GOOD)
    assert row_of(begun.job_id)["info"]["progress"] == {"rows": 5}


def test_progress_is_told_now_and_then_and_at_the_end(begun):
    """Each report is a write to CKAN's database; small parts must not make thousands of them."""
    jobs.report(begun.job_id, Report(Status.RUNNING, progress={"total_rows": 15}))
    told = []
    for number in range(3):
        begun.put(Part(number, 5, GOOD.data))
        told.append(row_of(begun.job_id)["info"]["progress"]["rows"])
    assert told == [0, 0, 15]


def test_a_part_is_a_sign_of_life(begun, monkeypatch):
    monkeypatch.setattr(gateway, "PROGRESS_S", 0.0)
    before = row_of(begun.job_id)["last_report"]
    begun.put(GOOD)
    assert row_of(begun.job_id)["last_report"] > before


OURS = (
    f"SELECT pid FROM pg_stat_activity WHERE application_name = '{connect.SHARED_NAME}' "
    "AND datname = current_database()"
)


def test_a_few_connections_are_kept_for_the_next_request(begun, query, app):
    def work(number):
        assert Worker(app, begun.job_id, begun.token, begun.resource).put(Part(number, 5, GOOD.data)).status == 200

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    begun.put(Part(9, 5, b"x"))
    kept = query(OURS)
    assert 1 <= len(kept) <= connect.SHARED_IDLE
    begun.put(Part(10, 5, GOOD.data))
    assert set(query(OURS)) == set(kept)


def test_a_connection_that_the_server_has_closed_is_not_used_again(begun, query):
    begun.put(GOOD)
    assert query(OURS.replace("SELECT pid", "SELECT pg_terminate_backend(pid)"))
    soon(lambda: query(OURS) == [])
    assert begun.put(Part(1, 5, GOOD.data)).json == {"loaded": True, "rows": 10}

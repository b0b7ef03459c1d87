"""The sink for a CKAN with nothing of ours: what goes into requests, and what comes of answers that fail.

What PostgreSQL and CKAN make of it is tested in tests/ckanext/datastore/test_apisink.py, against the real ones.
"""

from __future__ import annotations

import http.server
import json
import threading

import pytest

from aircan.apisink import ApiSink, rows_of
from aircan.ckanapi import CkanApi
from aircan.contract import Field, Part, Publish, Type, Write, Writing
from aircan.errors import ApiRefused, DatastoreUnavailable, JobStopped, OrderRefused, RowsMissing, TableUnfinished

T = [Field("t", "t", Type.TEXT)]


class Ckan:
    """One table in memory, behind the five actions that a sink calls."""

    def __init__(self):
        self.fields, self.rows, self.bodies, self.calls = None, {}, [], []
        self.serial = 0

    def call(self, action, **data):
        return self.send(action, json.dumps(data).encode())

    def send(self, action, body, is_done=None, faults=3):
        data = json.loads(body)
        self.calls.append(action)
        return getattr(self, action)(body=body, **data)

    def resource_show(self, **_):
        return {"id": "r"}

    def resource_create_default_resource_views(self, **_):
        return []

    def datastore_info(self, **_):
        return {"meta": {"aliases": []}}

    def datastore_create(self, fields, **_):
        self.fields = fields

    def datastore_upsert(self, body, records=(), dry_run=False, **_):
        if self.fields is None:
            raise ApiRefused(action="datastore_upsert", http_status=404, reason="none")
        if records and not dry_run:
            self.bodies.append(body)
            for record in records:
                self.serial += 1
                self.rows[self.serial] = record

    def datastore_search(self, limit, sort="_id asc", include_total=False, **_):
        if self.fields is None:
            raise ApiRefused(action="datastore_search", http_status=404, reason="none")
        ids = sorted(self.rows, reverse=sort.endswith("desc"))[:limit]
        total = {"total": len(self.rows)} if include_total else {}
        told = [{"id": "_id", "type": "int"}, *self.fields]
        return {"fields": told, "records": [{"_id": number} for number in ids], **total}

    def datastore_delete(self, filters=None, **_):
        if filters is None:
            self.fields, self.rows = None, {}
        for number in (filters or {}).get("_id", ()):
            del self.rows[number]


@pytest.fixture
def ckan():
    return Ckan()


def filled(ckan, tmp_path, values, columns=T, size=3, **kwargs):
    sink = ApiSink(ckan, "r", tmp_path / "parts", **kwargs)
    sink.begin(columns)
    texts = [f'{n},"{value}"\n'.encode() for n, value in enumerate(values, 1)]
    for number, at in reversed(list(enumerate(range(0, len(texts), size)))):
        sink.put(Part(number, len(texts[at : at + size]), b"".join(texts[at : at + size])))
    return sink


def sent(ckan):
    return [record["t"] for record in ckan.rows.values()]


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (b"", []),
        (b'1,a,\n2,"",b\n', [["1", "a", None], ["2", "", "b"]]),
        (b'1,"a ""b"", c\nd"\n', [["1", 'a "b", c\nd']]),
        ('1,"ä"\n'.encode(), [["1", "ä"]]),
        (b"1,\n", [["1", None]]),
    ],
)
def test_nothing_and_empty_text_are_read_as_they_were_written(data, rows):
    assert list(rows_of(data)) == rows


def test_nothing_is_written_before_all_parts_are_there(ckan, tmp_path):
    sink = filled(ckan, tmp_path, "abcde")
    assert ckan.fields is None
    with pytest.raises(RowsMissing):
        sink.publish(rows=6, when=Publish.ROWS)
    assert ckan.fields is None


def test_rows_come_in_the_order_of_the_file_whatever_the_order_of_the_parts(ckan, tmp_path):
    assert filled(ckan, tmp_path, "abcdefgh").publish(rows=8, when=Publish.ROWS).total == 8
    assert sent(ckan) == list("abcdefgh")


def test_a_part_that_comes_twice_is_kept_once(ckan, tmp_path):
    sink = filled(ckan, tmp_path, "ab")
    sink.put(Part(0, 2, b"1,x\n2,y\n"))
    sink.publish(rows=2, when=Publish.ROWS)
    assert sent(ckan) == ["a", "b"]


def test_publish_told_twice_sends_once(ckan, tmp_path):
    sink = filled(ckan, tmp_path, "ab")
    assert sink.publish(rows=2, when=Publish.ROWS) == sink.publish(rows=2, when=Publish.ROWS)
    assert len(ckan.rows) == 2


@pytest.mark.parametrize(("less", "requests"), [(1, 2), (0, 1), (-1, 1), (1000, 2)])
def test_a_request_holds_no_more_bytes_than_allowed_or_one_row(ckan, tmp_path, less, requests):
    filled(ckan, tmp_path, ["aaa", "bbb"]).publish(rows=2, when=Publish.ROWS)
    both = len(ckan.bodies.pop())
    filled(ckan, tmp_path, ["aaa", "bbb"], body_bytes=both - less).publish(rows=2, when=Publish.ROWS)
    assert len(ckan.bodies) == requests
    assert sent(ckan) == ["aaa", "bbb"]


@pytest.mark.parametrize(("rows", "requests"), [(3, 1), (4, 2), (2, 1)])
def test_a_request_holds_no_more_rows_than_allowed(ckan, tmp_path, rows, requests):
    filled(ckan, tmp_path, ["x"] * rows, batch_rows=3).publish(rows=rows, when=Publish.ROWS)
    assert len(ckan.bodies) == requests


def test_a_file_without_rows_empties_the_table(ckan, tmp_path):
    filled(ckan, tmp_path, "ab").publish(rows=2, when=Publish.ROWS)
    filled(ckan, tmp_path, "").publish(rows=0, when=Publish.ROWS)
    assert (ckan.fields is not None, sent(ckan)) == (True, [])


@pytest.mark.parametrize("mode", [Write.APPEND, Write.UPSERT, Write.DELETE])
def test_rows_are_not_added_through_the_api(ckan, tmp_path, mode):
    with pytest.raises(OrderRefused):
        ApiSink(ckan, "r", tmp_path).begin(T, Writing(mode, ("t",)))


@pytest.mark.parametrize("has_table", [False, True])
def test_a_run_that_is_stopped_takes_its_rows_back(ckan, tmp_path, has_table):
    if has_table:
        filled(ckan, tmp_path, "xy").publish(rows=2, when=Publish.ROWS)
    stop, told = threading.Event(), []

    def progress(rows, of):
        told.append((rows, of))
        stop.set()

    sink = filled(ckan, tmp_path, "abcd", batch_rows=2, stop=stop, progress=progress)
    with pytest.raises(JobStopped):
        sink.publish(rows=4, when=Publish.ROWS)
    assert told == [(2, 4)]
    assert (ckan.fields is not None, sent(ckan)) == (has_table, ["x", "y"] if has_table else [])


def test_rows_that_cannot_be_deleted_do_not_keep_it_busy_for_ever(ckan, tmp_path):
    filled(ckan, tmp_path, "xy").publish(rows=2, when=Publish.ROWS)
    ckan.datastore_delete = lambda **_: None
    with pytest.raises(TableUnfinished) as caught:
        filled(ckan, tmp_path, "abc").publish(rows=3, when=Publish.ROWS)
    assert (caught.value.facts["there"], sent(ckan)) == (3, list("xyabc"))


class _Answer(http.server.BaseHTTPRequestHandler):
    answers: list
    headers_seen: list

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.headers_seen.append(dict(self.headers))
        status, body, more = self.answers.pop(0)
        if status is None:
            self.connection.close()
            return
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args):
        """Say nothing."""


OK = (200, b'{"success": true, "result": 7}', {})


@pytest.fixture
def served():
    """Answer with a list of (status, body, headers); call it for (api, seconds slept, headers seen)."""
    servers = []

    def serve(*answers, **kwargs):
        handler = type("Handler", (_Answer,), {"answers": list(answers), "headers_seen": []})
        one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=one.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(one)
        slept = []
        given = {"patience_s": 100, "settle_s": 3, "clock": lambda: sum(slept), "sleep": slept.append, **kwargs}
        return CkanApi(f"http://127.0.0.1:{one.server_port}/data/", "secret", **given), slept, handler.headers_seen

    yield serve
    for one in servers:
        one.shutdown()
        one.server_close()


def test_a_fault_of_ckan_is_tried_again_some_times_and_is_then_a_refusal(served):
    fault = (500, b'{"error": {"message": "Internal Server Error"}}', {})
    api, slept, seen = served(*[fault] * 5)
    with pytest.raises(ApiRefused) as caught:
        api.call("x")
    assert (caught.value.facts["http_status"], slept, len(seen)) == (500, [1.0, 2.0, 4.0, 8.0], 5)


def test_what_was_done_before_a_fault_is_not_done_again(served):
    api, slept, seen = served((500, b"{}", {}))
    assert api.send("x", b"{}", is_done=lambda: True) is None
    assert (slept, len(seen)) == ([1.0], 1)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_longer_and_longer_waits(served, status):
    api, slept, _seen = served((status, b"", {}), (status, b"", {}), OK)
    assert api.call("x") == 7
    assert slept == [1.0, 2.0]


def test_the_wait_that_ckan_asks_for_is_kept(served):
    api, slept, _seen = served((503, b"", {"Retry-After": "9"}), OK)
    api.call("x")
    assert slept == [9.0]


def test_patience_ends(served):
    api, _slept, _seen = served(*[(503, b"", {})] * 9)
    with pytest.raises(DatastoreUnavailable) as caught:
        api.call("datastore_search")
    assert caught.value.detail == "datastore_search: status 503"


def test_a_lost_answer_is_looked_into_before_the_request_goes_out_again(served):
    api, slept, seen = served((502, b"", {}))
    asked = []
    assert api.send("x", b"{}", is_done=lambda: asked.append(1) or len(asked) == 2) is None
    assert (slept, len(seen)) == ([1.0, 2.0], 1)


def test_a_broken_connection_counts_as_a_lost_answer(served):
    api, _slept, seen = served((None, b"", {}), OK)
    assert api.send("x", b"{}", is_done=lambda: False) == 7
    assert len(seen) == 2


def test_a_refused_connection_was_surely_not_done():
    slept = []
    api = CkanApi("http://127.0.0.1:9", "secret", patience_s=5, clock=lambda: sum(slept), sleep=slept.append)
    with pytest.raises(DatastoreUnavailable) as caught:
        api.send("x", b"{}", is_done=lambda: pytest.fail("nobody can be asked"))
    assert "no connection" in caught.value.detail


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((403, b'{"error": {"__type": "Authorization Error", "message": "Access denied"}}', {}), "Access denied"),
        (
            (409, b'{"error": {"__type": "Validation Error", "fields": ["bad", "worse"]}}', {}),
            "fields: bad; fields: worse",
        ),
        ((200, b"<html>", {"Content-Type": "text/html"}), "no answer of CKAN's API (text/html)"),
        ((302, b"", {"Location": "https://else.where/login?secret=1"}), "redirect to https://else.where/login"),
        ((400, b'"Bad request - JSON Error"', {}), "Bad request - JSON Error"),
    ],
)
def test_a_refusal_says_why(served, answer, reason):
    api, slept, _seen = served(answer)
    with pytest.raises(ApiRefused) as caught:
        api.call("x")
    assert (caught.value.facts["reason"], slept) == (reason, [])


def test_the_token_goes_in_a_header_and_nowhere_else(served):
    api, _slept, seen = served(OK, (403, b"{}", {}))
    api.call("x")
    assert seen[0]["Authorization"] == "secret"
    with pytest.raises(ApiRefused) as caught:
        api.call("x")
    assert "secret" not in str(caught.value) + repr(api)

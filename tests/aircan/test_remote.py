"""The ports over HTTP against a real server on loopback that misbehaves on demand."""

from __future__ import annotations

import gzip
import http.server
import json
import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from types import SimpleNamespace

import pytest

from aircan.contract import Field, Part, Publish, Reject, Report, Type, Write, Writing, Written
from aircan.errors import (
    BodyTooLarge,
    DatastoreMisconfigured,
    DatastoreUnavailable,
    GatewayAnswer,
    GatewayFailed,
    GatewayUnreachable,
    JobStopped,
    OrderRefused,
    RowsMissing,
    SourceChanged,
    SourceMissing,
    TokenRefused,
    ValueRefused,
)
from aircan.keys import run_token
from aircan.ports import never
from aircan.remote import Gateway, HttpSink, HttpSource, HttpTell
from aircan.remote.packing import AGAIN, Packing
from aircan.remote.patience import LONGEST_ASKED_S, Patience, Waiting, asked
from aircan.status import Status
from aircan.steps.fetch import fetch

JOB = "0b1c2d3e-0000-4000-8000-000000000001"
KEY, OLD_KEY = "the-new-key-of-the-factory", "the-old-key-of-the-factory"
DOORS = f"/api/aircan/v1/jobs/{JOB}"
ACTION = "/api/3/action/aircan_status_update"
DATA = b"".join(b"%06d,some text\n" % n for n in range(40_000))
ETAG = '"abc"'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _any(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length)
        seen = SimpleNamespace(command=self.command, path=self.path, headers=self.headers, body=self.body)
        with self.server.lock:
            self.server.seen.append(seen)
            count = len(self.server.seen)
        self.server.answer(self, count)

    do_GET = do_PUT = do_POST = do_DELETE = _any  # noqa: N815 - the names that http.server calls

    def send(self, status=200, body=b"", announced=None, **headers):
        self.send_response(status)
        length = len(body) if announced is None else announced
        for name, value in {"Content_Length": length, **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
        if announced is not None:
            self.hang_up()

    def json(self, told, status=200, **headers):
        self.send(status, json.dumps(told).encode(), Content_Type="application/json", **headers)

    def error(self, answered, code, /, **facts):
        self.json({"error": {"code": code, "detail": "", "facts": facts}}, answered)

    def page(self, status, title="Sign in"):
        self.send(status, f"<!DOCTYPE html><title>{title}</title>".encode(), Content_Type="text/html; charset=utf-8")

    def file(self, data=DATA, etag=ETAG, cut=None, ranges=True, **headers):
        """Send a file as the gateway does, at most `cut` bytes of it before the connection breaks."""
        start, known = 0, self.headers.get("If-Range") in (None, etag)
        if ranges and known and (wanted := self.headers.get("Range")):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            headers["Content_Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        told = {"ETag": etag, "Content_Disposition": 'attachment; filename="rows.csv"', **headers}
        rest = data[start:]
        sent = rest if cut is None else rest[:cut]
        self.send(206 if start else 200, sent, announced=len(rest) if len(sent) < len(rest) else None, **told)

    def hang_up(self):
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """Make servers that answer with a function of the request and its number."""
    made = []

    def start(answer):
        one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        one.daemon_threads, one.answer, one.seen, one.lock = True, answer, [], threading.Lock()
        one.url = f"http://127.0.0.1:{one.server_port}"
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        made.append(one)
        return one

    yield start
    for one in made:
        one.shutdown()
        one.server_close()


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gateway(clock):
    """Make gateways of the job whose waiting takes no time."""
    made = []

    def make(site_url, *keys, stop=None, **options):
        waiting = Waiting(stop=stop or never(), clock=clock, sleep=clock.sleep, chance=lambda: 1.0)
        made.append(Gateway(getattr(site_url, "url", site_url), JOB, keys or (KEY,), waiting=waiting, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def fetched(source, tmp_path):
    return fetch(source, tmp_path, limit_bytes=None, stop=never()).path.read_bytes()


# --- the way: addresses, tokens, retries


def test_a_request_carries_token_and_name_and_no_login(server, gateway, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password mine")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    one = server(lambda request, n: request.json({"columns": None}))
    assert HttpSink(gateway(one)).columns() is None
    seen = one.seen[0]
    assert (seen.command, seen.path) == ("GET", f"{DOORS}/columns")
    assert seen.headers["X-AirCan-Token"] == run_token(KEY, JOB)
    assert seen.headers["User-Agent"].startswith("AirCan/")
    assert "Authorization" not in seen.headers


@pytest.mark.parametrize("url", ["", "ckan.example.org", "ftp://ckan.example.org", "http://u:p@ckan.example.org"])
def test_an_address_that_cannot_be_ckans_is_refused(url):
    with pytest.raises(OrderRefused) as caught:
        Gateway(url, JOB, [KEY])
    assert caught.value.facts == {"field": "site_url"}
    assert url == "" or url not in str(caught.value)


def test_a_worker_without_a_key_is_refused_before_it_asks():
    with pytest.raises(TokenRefused):
        Gateway("http://127.0.0.1:1", JOB, ["", ""])


def test_the_path_of_the_site_is_kept(server, gateway):
    one = server(lambda request, n: request.json({"columns": None}))
    HttpSink(gateway(one.url + "/data/")).columns()
    assert one.seen[0].path == f"/data{DOORS}/columns"


def test_a_lost_connection_and_a_busy_server_are_tried_again(server, gateway, clock):
    def answer(request, n):
        if n == 1:
            request.hang_up()
        elif n <= 6:
            request.page((429, 502, 503, 504, 522)[n - 2], "Busy")
        else:
            request.json({"columns": None})

    one = server(answer)
    assert HttpSink(gateway(one)).columns() is None
    assert len(one.seen) == 7
    assert clock.now == 0.5 + 1 + 2 + 4 + 8 + 16


def test_an_answer_that_breaks_off_is_asked_for_again(server, gateway):
    whole = json.dumps({"columns": None}).encode()

    def answer(request, n):
        request.send(200, whole[:5], announced=len(whole)) if n == 1 else request.send(200, whole)

    one = server(answer)
    assert HttpSink(gateway(one)).columns() is None
    assert len(one.seen) == 2


@pytest.mark.parametrize("cut", [9, 15, 40, 60, 89])
def test_headers_that_break_off_are_asked_for_again(server, gateway, cut):
    """`http.client` takes what came of the headers for all of them."""
    whole = b'{"columns": null}'
    answer_ = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-More: something\r\nContent-Length: 17\r\n\r\n" + whole
    )
    assert cut < len(answer_) - len(whole)

    def answer(request, n):
        request.wfile.write(answer_[:cut] if n == 1 else answer_)
        request.hang_up()

    one = server(answer)
    assert HttpSink(gateway(one)).columns() is None
    assert len(one.seen) == 2


def test_the_proxy_of_the_environment_is_used_and_watched_as_well(server, gateway, monkeypatch):
    def answer(request, n):
        if n == 1:
            request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            request.hang_up()
        else:
            request.json({"columns": None})

    one = server(answer)
    monkeypatch.setenv("http_proxy", one.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert HttpSink(gateway("http://ckan.invalid")).columns() is None
    assert [request.path for request in one.seen] == [f"http://ckan.invalid{DOORS}/columns"] * 2


def test_a_length_that_breaks_off_is_not_taken_for_the_files(server, gateway, tmp_path):
    def answer(request, n):
        if n == 1:
            request.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "abc"\r\nContent-Disposition: attachment; filename=a\r\n')
            request.wfile.write(b"Content-Length: 64")
            request.hang_up()
        else:
            request.file(cut=100_000 if n == 2 else None)

    assert fetched(HttpSource(gateway(server(answer))), tmp_path) == DATA


def test_a_file_without_a_length_could_end_anywhere(server, gateway, tmp_path):
    def answer(request, n):
        request.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "abc"\r\nContent-Disposition: attachment; filename=a\r\n\r\nabc')
        request.hang_up()

    with pytest.raises(GatewayAnswer):
        fetched(HttpSource(gateway(server(answer))), tmp_path)


def test_a_minute_without_ckan_is_borne_and_ten_are_not(gateway, clock):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(GatewayUnreachable) as caught:
        HttpSink(gateway(url)).columns()
    assert caught.value.retryable
    assert caught.value.facts == {"url": url, "seconds": 600}
    assert clock.now == 600


def test_once_in_vain_a_run_that_ends_is_not_held_up_again(server, gateway, clock):
    works = threading.Event()

    def answer(request, n):
        request.json({"columns": None}) if works.is_set() else request.page(503)

    sink = HttpSink(gateway(server(answer)))
    spent = []
    for _ in range(3):
        started = clock.now
        with pytest.raises(GatewayUnreachable):
            sink.columns()
        spent.append(clock.now - started)
    works.set()
    assert sink.columns() is None
    works.clear()
    started = clock.now
    with pytest.raises(GatewayUnreachable):
        sink.columns()
    assert [*spent, clock.now - started] == [600, 20, 20, 600]


def test_a_server_that_never_answers_is_given_up(server, gateway, clock):
    gone = threading.Event()
    one = server(lambda request, n: gone.wait(10))
    started = gateway(one, read_timeout_s=0.05)
    clock.now = 0
    with pytest.raises(GatewayUnreachable):
        HttpSink(started).columns()
    gone.set()


@pytest.mark.parametrize(("header", "wait"), [("7", 7.0), ("0", 0.5), ("3600", LONGEST_ASKED_S), ("soon", 0.5)])
def test_retry_after_is_respected_within_bounds(server, gateway, clock, header, wait):
    def answer(request, n):
        if n == 1:
            request.json({"error": {"code": "datastore_unavailable"}}, 503, Retry_After=header)
        else:
            request.json({"columns": None})

    HttpSink(gateway(server(answer))).columns()
    assert clock.now == wait


def test_retry_after_may_be_a_date():
    assert 900 <= asked(formatdate(time.time() + 1000, usegmt=True)) <= 1000
    assert asked(formatdate(0, usegmt=True)) == 0.0
    assert asked(None) is None


def test_the_last_error_of_a_busy_gateway_is_its_own(server, gateway):
    one = server(lambda request, n: request.error(503, "datastore_unavailable"))
    with pytest.raises(DatastoreUnavailable):
        HttpSink(gateway(one)).columns()


def test_patience_begins_anew_after_something_went_well(clock):
    patience = Patience(Waiting(patience_s=10, clock=clock, sleep=clock.sleep, chance=lambda: 1.0))
    for _ in range(4):
        patience.bear(GatewayUnreachable())
    assert clock.now == 7.5
    patience.relax()
    patience.bear(GatewayUnreachable())
    assert clock.now == 8.0


def test_many_workers_do_not_come_back_at_the_same_moment(clock):
    waits = []
    for chance in (0.0, 0.5, 1.0):
        clock.now = 0
        Patience(Waiting(clock=clock, sleep=clock.sleep, chance=lambda c=chance: c)).bear(GatewayUnreachable())
        waits.append(clock.now)
    assert waits == [0.25, 0.375, 0.5]


def test_somebody_who_stops_is_heard_during_a_pause(server, gateway):
    stop = threading.Event()
    stop.set()
    one = server(lambda request, n: request.page(503))
    with pytest.raises(JobStopped):
        HttpSink(gateway(one, stop=stop)).columns()
    assert len(one.seen) == 1


def test_a_ckan_without_its_database_is_waited_for_a_moment(server, gateway, clock):
    one = server(lambda request, n: request.page(500, "Internal Server Error"))
    with pytest.raises(GatewayAnswer):
        HttpSink(gateway(one)).columns()
    assert (len(one.seen), clock.now) == (5, 0.5 + 1 + 2 + 4)


def test_a_500_of_the_gateway_itself_is_final(server, gateway):
    one = server(lambda request, n: request.error(500, "datastore_misconfigured"))
    with pytest.raises(DatastoreMisconfigured):
        HttpSink(gateway(one)).columns()
    assert len(one.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 501])
def test_other_statuses_are_final_and_a_page_is_called_one(server, gateway, status):
    one = server(lambda request, n: request.page(status, "Log in &amp; go on"))
    with pytest.raises(GatewayAnswer) as caught:
        HttpSink(gateway(one)).columns()
    assert len(one.seen) == 1
    assert (caught.value.facts["http_status"], caught.value.facts["found"]) == (status, "a web page")
    assert "Log in" in caught.value.detail


def test_a_page_with_status_200_is_no_answer(server, gateway):
    with pytest.raises(GatewayAnswer):
        HttpSink(gateway(server(lambda request, n: request.page(200)))).put(Part(0, 1, b"1,a\n"))


def test_a_redirect_is_named_and_never_followed(server, gateway):
    other = server(lambda request, n: request.json({"columns": None}))
    one = server(lambda request, n: request.send(302, Location=other.url + "/login?token=x"))
    with pytest.raises(GatewayAnswer) as caught:
        HttpSink(gateway(one)).columns()
    assert other.seen == []
    assert caught.value.facts["found"] == f"a redirect to {other.url}/login"


def test_an_error_of_the_gateway_comes_back_as_itself(server, gateway):
    one = server(lambda request, n: request.error(422, "value_refused", row=4, field="n", value="x"))
    with pytest.raises(ValueRefused) as caught:
        HttpSink(gateway(one)).put(Part(0, 1, b"1,a\n"))
    assert caught.value.facts == {"row": 4, "field": "n", "value": "x"}


def test_a_final_job_stops_the_run(server, gateway):
    one = server(lambda request, n: request.error(410, "job_closed", status="CANCELLED"))
    with pytest.raises(JobStopped) as caught:
        HttpSink(gateway(one)).put(Part(0, 1, b"1,a\n"))
    assert "CANCELLED" in caught.value.detail


def test_the_previous_key_is_tried_once_and_kept(server, gateway):
    def answer(request, n):
        if request.headers["X-AirCan-Token"] == run_token(OLD_KEY, JOB):
            request.json({"columns": None})
        else:
            request.error(403, "token_refused")

    one = server(answer)
    sink = HttpSink(gateway(one, KEY, OLD_KEY))
    assert [sink.columns(), sink.columns()] == [None, None]
    assert len(one.seen) == 3


def test_with_no_right_key_each_is_tried_once(server, gateway):
    one = server(lambda request, n: request.error(403, "token_refused"))
    with pytest.raises(TokenRefused):
        HttpSink(gateway(one, KEY, OLD_KEY)).columns()
    assert len(one.seen) == 2


def test_no_key_and_no_token_is_shown_anywhere(server, gateway, caplog):
    caplog.set_level(logging.DEBUG)
    secrets = [KEY, OLD_KEY, run_token(KEY, JOB), run_token(OLD_KEY, JOB)]
    answers = [(503, "datastore_unavailable"), (403, "token_refused"), (403, "token_refused")]
    one = server(lambda request, n: request.error(*answers[n - 1]))
    way = gateway(one, KEY, OLD_KEY)
    with pytest.raises(TokenRefused) as caught:
        HttpTell(way)(Report(Status.RUNNING))
    said = "\n".join([repr(way), repr(vars(HttpSink(way))), str(caught.value), repr(caught.value), caplog.text])
    assert "trying again" in said
    assert not [secret for secret in secrets if secret in said]


# --- the file


def test_a_file_is_fetched_with_its_name_and_size(server, gateway, tmp_path):
    one = server(lambda request, n: request.file())
    source = HttpSource(gateway(one), "guess.csv")
    assert fetched(source, tmp_path) == DATA
    assert (source.name, source.size_bytes) == ("rows.csv", len(DATA))
    assert one.seen[0].path == f"{DOORS}/file"
    assert one.seen[0].headers["Accept-Encoding"] == "identity"


def test_an_empty_file_is_whole(server, gateway, tmp_path):
    assert fetched(HttpSource(gateway(server(lambda request, n: request.file(b"")))), tmp_path) == b""


def test_a_broken_transfer_goes_on_where_it_stopped(server, gateway, tmp_path, clock):
    one = server(lambda request, n: request.file(cut=150_000))
    assert fetched(HttpSource(gateway(one)), tmp_path) == DATA
    starts = [request.headers.get("Range") for request in one.seen]
    assert starts == [None, "bytes=150000-", "bytes=300000-", "bytes=450000-", "bytes=600000-"][: len(starts)]
    assert {request.headers.get("If-Range") for request in one.seen[1:]} == {ETAG}
    assert clock.now == 0.5 * (len(starts) - 1)


def test_a_server_without_ranges_is_read_past_what_is_there(server, gateway, tmp_path):
    one = server(lambda request, n: request.file(cut=300_001 if n == 1 else None, ranges=False))
    assert fetched(HttpSource(gateway(one)), tmp_path) == DATA
    assert len(one.seen) == 2


def test_a_file_that_changes_meanwhile_is_never_glued(server, gateway, tmp_path):
    def answer(request, n):
        request.file(cut=1000) if n == 1 else request.file(DATA[::-1], etag='"other"')

    with pytest.raises(SourceChanged) as caught:
        fetched(HttpSource(gateway(server(answer))), tmp_path)
    assert caught.value.facts == {"name": "rows.csv"}
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_got_shorter_is_changed(server, gateway, tmp_path):
    def answer(request, n):
        request.file(cut=1000) if n == 1 else request.send(416, Content_Range="bytes */10")

    with pytest.raises(SourceChanged):
        fetched(HttpSource(gateway(server(answer))), tmp_path)


def test_a_length_that_is_a_lie_is_told(server, gateway, tmp_path):
    def answer(request, n):
        if n == 1:
            request.send(200, b"abc", announced=10, ETag=ETAG, Content_Disposition="attachment; filename=a.csv")
        else:
            request.send(416, ETag=ETAG)

    with pytest.raises(GatewayAnswer) as caught:
        fetched(HttpSource(gateway(server(answer))), tmp_path)
    assert "10 bytes were announced" in caught.value.detail


def test_a_transfer_that_never_gets_on_ends(server, gateway, tmp_path, clock):
    one = server(lambda request, n: request.file(cut=1000 if n == 1 else 0))
    with pytest.raises(GatewayUnreachable):
        fetched(HttpSource(gateway(one)), tmp_path)
    assert clock.now == 600


def test_another_range_than_asked_for_is_refused(server, gateway, tmp_path):
    def answer(request, n):
        if n == 1:
            request.file(cut=1000)
        else:
            request.send(206, DATA[500:], ETag=ETAG, Content_Range=f"bytes 500-{len(DATA) - 1}/{len(DATA)}")

    with pytest.raises(GatewayAnswer):
        fetched(HttpSource(gateway(server(answer))), tmp_path)


@pytest.mark.parametrize("headers", [{}, {"ETag": ETAG}, {"Content_Disposition": "attachment; filename=a.csv"}])
def test_a_page_is_not_taken_for_the_file(server, gateway, tmp_path, headers):
    one = server(lambda request, n: request.send(200, b"<html>", Content_Type="text/html", **headers))
    with pytest.raises(GatewayAnswer) as caught:
        fetched(HttpSource(gateway(one)), tmp_path)
    assert caught.value.facts["found"] == "a web page"


def test_a_file_that_is_not_in_the_storage(server, gateway, tmp_path):
    one = server(lambda request, n: request.error(404, "source_missing", name="a.csv"))
    with pytest.raises(SourceMissing):
        fetched(HttpSource(gateway(one)), tmp_path)


# --- the table


def test_columns_come_back_as_fields(server, gateway):
    there = [Field("a", "A", Type.NUMERIC, {"code": "table"})]
    one = server(lambda request, n: request.json({"columns": [field.to_dict() for field in there]}))
    assert HttpSink(gateway(one)).columns() == there


def test_begin_tells_fields_and_how_to_write(server, gateway):
    one = server(lambda request, n: request.json({}))
    writing = Writing(Write.UPSERT, ("a",))
    HttpSink(gateway(one)).begin([Field("a", "Ä", Type.DATE)], writing)
    seen = one.seen[0]
    told = json.loads(seen.body)
    assert (seen.command, seen.path) == ("PUT", f"{DOORS}/stage")
    assert Field.from_dict(told["fields"][0]) == Field("a", "Ä", Type.DATE)
    assert Writing.from_dict(told["writing"]) == writing


@pytest.mark.parametrize("packed", [False, True])
def test_a_part_arrives_as_it_is(server, gateway, packed):
    one = server(lambda request, n: request.json({"loaded": True, "rows": 2}))
    HttpSink(gateway(one), packed=packed).put(Part(7, 2, b'1,"\xc3\xa4"\n2,\n'))
    seen = one.seen[0]
    assert (seen.command, seen.path, seen.headers["X-AirCan-Rows"]) == ("PUT", f"{DOORS}/parts/7", "2")
    assert seen.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(seen.body) if packed else seen.body) == b'1,"\xc3\xa4"\n2,\n'


def test_a_body_over_the_limit_of_a_proxy_is_packed_from_then_on(server, gateway):
    def answer(request, n):
        request.page(413) if len(request.body) > 1000 else request.json({"loaded": True, "rows": 0})

    one = server(answer)
    sink = HttpSink(gateway(one))
    for number in range(3):
        sink.put(Part(number, 1, b"1," + b"a" * 5000 + b"\n"))
    assert [request.headers.get("Content-Encoding") for request in one.seen] == [None, "gzip", "gzip", "gzip"]


def test_a_body_over_the_limit_even_when_packed_names_the_option(server, gateway):
    one = server(lambda request, n: request.page(413))
    with pytest.raises(BodyTooLarge) as caught:
        HttpSink(gateway(one)).put(Part(0, 1, b"1,a\n"))
    assert "gateway.max_body_bytes" in caught.value.message
    assert caught.value.facts["size_bytes"] > 0


def test_parts_from_many_threads(server, gateway):
    one = server(lambda request, n: request.json({"loaded": True, "rows": 0}))
    sink = HttpSink(gateway(one))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(sink.put, [Part(n, 1, b"%d,a\n" % n) for n in range(60)]))
    assert sorted(int(request.path.rpartition("/")[2]) for request in one.seen) == list(range(60))


def test_packing_takes_the_faster_way_and_asks_again():
    packing, chosen = Packing(), []
    for _ in range(40):
        chosen.append(packing.choose())
        packing.note(chosen[-1], 1000, 1.0 if chosen[-1] else 3.0)
    assert chosen[:2] == [False, True]
    assert {n for n, packed in enumerate(chosen[2:], 3) if not packed} == {AGAIN, 2 * AGAIN}


def test_packing_is_not_worth_a_little():
    packing, chosen = Packing(), []
    for _ in range(15):
        chosen.append(packing.choose())
        packing.note(chosen[-1], 1000, 0.9 if chosen[-1] else 1.0)
    assert chosen == [False, True] + [False] * 13


def published(*states, **facts):
    """Return an answer function: 202 to each POST, then these states to the GETs."""
    waiting = list(states)

    def answer(request, n):
        if request.command == "POST":
            request.json({"state": "working"}, 202)
        else:
            state = waiting.pop(0)
            request.json({"state": state, **(facts if state in ("done", "failed") else {})})

    return answer


def test_publish_waits_with_growing_pauses_until_it_is_done(server, gateway, clock):
    warning = {"code": "search_capped", "rows": 1}
    one = server(published(*["working"] * 12, "done", written=Written(3, 2, 1).to_dict(), warnings=[warning]))
    sink = HttpSink(gateway(one))
    assert sink.publish(rows=3, when=Publish.SEARCHABLE) == Written(3, 2, 1)
    assert json.loads(one.seen[0].body) == {"rows": 3, "when": "searchable"}
    assert [request.command for request in one.seen] == ["POST"] + ["GET"] * 13
    assert sink.warnings == [warning]
    assert max(clock.slept) <= 1.0
    assert 25 < clock.now < 40


def test_a_publish_that_fails_raises_its_reason(server, gateway):
    error = RowsMissing(rows=4, loaded=3).to_dict()
    sink = HttpSink(gateway(server(published("working", "failed", error=error))))
    with pytest.raises(RowsMissing) as caught:
        sink.publish(rows=4, when=Publish.ROWS)
    assert caught.value.facts == {"rows": 4, "loaded": 3}


def test_a_publish_that_ckan_forgot_is_asked_for_again(server, gateway):
    one = server(published("none", "working", "done", written=Written(1, 1).to_dict()))
    assert HttpSink(gateway(one)).publish(rows=1, when=Publish.SEARCHABLE) == Written(1, 1)
    assert [request.command for request in one.seen] == ["POST", "GET", "POST", "GET", "GET"]


@pytest.mark.parametrize("status", [200, 410])
def test_discard_of_a_final_job_is_left_to_ckan(server, gateway, status):
    def answer(request, n):
        request.json({}) if status == 200 else request.error(410, "job_closed", status="FAILED")

    one = server(answer)
    HttpSink(gateway(one)).discard()
    assert (one.seen[0].command, one.seen[0].path) == ("DELETE", f"{DOORS}/stage")


# --- the reports


def receipt(status):
    return {"success": True, "result": {"id": JOB, "factory_id": None, "status": status, "updated": ""}}


def test_a_report_goes_to_the_callback_action(server, gateway):
    one = server(lambda request, n: request.json(receipt("RUNNING")))
    HttpTell(gateway(one))(Report(Status.RUNNING, message="hm", progress={"rows": 3}))
    told = json.loads(one.seen[0].body)
    assert one.seen[0].path == ACTION
    assert told == {
        "status": "RUNNING",
        "message": "hm",
        "progress": {"rows": 3},
        "job_id": JOB,
        "token": run_token(KEY, JOB),
    }


@pytest.mark.parametrize(("told", "found", "stops"), [("DONE", "DONE", False), ("RUNNING", "CANCELLED", True)])
def test_a_job_that_is_final_otherwise_stops_the_run(server, gateway, told, found, stops):
    tell = HttpTell(gateway(server(lambda request, n: request.json(receipt(found)))))
    if not stops:
        return tell(Report(Status(told)))
    with pytest.raises(JobStopped):
        tell(Report(Status(told)))


def test_a_report_is_tried_with_the_previous_key(server, gateway):
    def answer(request, n):
        if json.loads(request.body)["token"] == run_token(OLD_KEY, JOB):
            request.json(receipt("RUNNING"))
        else:
            request.json({"success": False, "error": {"__type": "Authorization Error", "message": "no"}}, 403)

    one = server(answer)
    HttpTell(gateway(one, KEY, OLD_KEY))(Report(Status.RUNNING))
    assert len(one.seen) == 2


@pytest.mark.parametrize("answer", [{"success": True}, {"success": True, "result": {"status": "odd"}}, []])
def test_an_answer_without_a_status_is_not_ckans(server, gateway, answer):
    with pytest.raises(GatewayFailed):
        HttpTell(gateway(server(lambda request, n: request.json(answer))))(Report(Status.RUNNING))


def test_what_an_action_refuses_is_in_the_log(server, gateway):
    error = {"__type": "Validation Error", "task": ["odd"]}
    one = server(lambda request, n: request.json({"success": False, "error": error}, 409))
    with pytest.raises(GatewayAnswer) as caught:
        HttpTell(gateway(one))(Report(Status.RUNNING))
    assert "odd" in caught.value.detail


def test_many_long_rejects_go_in_several_reports(server, gateway):
    one = server(lambda request, n: request.json(receipt("RUNNING")))
    rejects = [Reject(line, "cells", text="ä" * 10_000).to_dict() for line in range(500)]
    HttpTell(gateway(one))(Report(Status.RUNNING, message="last", result={"rejects": rejects, "warnings": []}))
    told = [json.loads(request.body) for request in one.seen]
    assert [reject for report in told for reject in report["result"]["rejects"]] == rejects
    assert [report.get("message") for report in told] == [None] * 20 + ["last"]
    assert max(len(request.body) for request in one.seen) < 510_000


def test_half_a_character_does_not_stop_a_report(server, gateway):
    one = server(lambda request, n: request.json(receipt("RUNNING")))
    HttpTell(gateway(one))(Report(Status.RUNNING, message="x\ud800"))
    assert json.loads(one.seen[0].body)["message"] == "x\ud800"

"""The doors of the gateway at a real web server (gunicorn): requests that no proper client sends, byte by byte."""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from aircan.keys import run_token
from stack import postgres

from .rig import FINAL, Rig, eventually

GOOD = b"".join(b'%d,%d,"name\n%d"\n' % (n, n, n) for n in range(1, 20_001))
ROWS = 20_000
STAGE = {"fields": [{"id": "n", "label": "n", "type": "numeric"}, {"id": "t", "label": "t", "type": "text"}]}
Answer = tuple[int, dict[str, Any]]


class Wire:
    """A connection for each request to the doors of one job, with its run token."""

    def __init__(self, ckan: Rig, job_id: str) -> None:
        self.ckan, self.job_id = ckan, job_id
        self.token = run_token(ckan.airflow.key, job_id)
        parts = urlsplit(ckan.site.url)
        self._address = (parts.hostname, parts.port)

    def head(self, method: str, door: str, **headers: object) -> bytes:
        """Return the bytes before a body; underscores in names of headers become hyphens."""
        told = {"Host": "ckan", "X-AirCan-Token": self.token, "Connection": "close", **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in told.items()]
        first = f"{method} /api/aircan/v1/jobs/{self.job_id}{door} HTTP/1.1"
        return "\r\n".join([first, *lines, "", ""]).encode()

    @contextmanager
    def sent(self, data: bytes) -> Iterator[socket.socket]:
        """Send bytes on a new connection."""
        with socket.create_connection(self._address, timeout=60) as connection:
            connection.sendall(data)
            yield connection

    def raw(self, data: bytes, *, is_end: bool = False) -> Answer:
        """Return status and JSON of the answer to bytes, behind which the client says that it has no more."""
        with self.sent(data) as connection:
            if is_end:
                connection.shutdown(socket.SHUT_WR)
            answer = HTTPResponse(connection)
            answer.begin()
            body = answer.read()
        return answer.status, json.loads(body) if body.startswith(b"{") else {}

    def ask(self, method: str, door: str, told: Any = None) -> Answer:
        """Send JSON as a proper client does."""
        body = b"" if told is None else json.dumps(told).encode()
        return self.raw(self.head(method, door, Content_Length=len(body)) + body)

    def part(self, body: bytes, length: object, **headers: object) -> bytes:
        """Return a part 0 whose Content-Length is `length`."""
        return self.head("PUT", "/parts/0", Content_Length=length, X_AirCan_Rows=ROWS, **headers) + body

    def rows(self) -> str:
        """Return how many rows are in the hidden table."""
        (table,) = (name for name in self.ckan.hidden_tables(self.job_id) if not name.endswith("_parts"))
        datastore = self.ckan.site.databases()[1]
        return postgres.sql(self.ckan.state, f'SELECT count(*) FROM "{table}"', database=datastore).strip()


@pytest.fixture
def wire(ckan: Rig, tmp_path: Path) -> Iterator[Wire]:
    """A job whose hidden table is there and empty."""
    (tmp_path / "a.csv").write_text("n,t\n1,a\n")
    made = Wire(ckan, ckan.submit(ckan.resource(tmp_path / "a.csv")))
    assert made.ask("PUT", "/stage", STAGE)[0] == 200
    yield made
    if ckan.job(made.job_id)["status"] not in FINAL:
        ckan.api.call("aircan_job_cancel", id=made.job_id)


def refusal(answer: Answer) -> tuple[int, str]:
    return answer[0], answer[1].get("error", {}).get("code", "")


@pytest.mark.parametrize("share", [0, 0.5, 1 - 1e-9])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_body_that_stops_half_way_is_told_and_changes_nothing(
    wire: Wire, pack: Callable[[bytes], bytes], share: float
):
    body = pack(GOOD)
    more = {"Content_Encoding": "gzip"} if pack is gzip.compress else {}
    sent = wire.part(body[: int(len(body) * share)], len(body), **more)
    answer = wire.raw(sent, is_end=True)
    assert refusal(answer) == (400, "part_broken")
    assert f"before the {len(body)} bytes that were announced" in answer[1]["error"]["facts"]["reason"]
    assert wire.rows() == "0"
    assert wire.raw(wire.part(body, len(body), **more)) == (200, {"loaded": True, "rows": ROWS})


def test_a_client_that_is_gone_leaves_nothing_and_its_part_can_come_again(wire: Wire):
    with wire.sent(wire.part(GOOD[: len(GOOD) // 2], len(GOOD))):
        pass
    assert wire.rows() == "0"
    loaded = {"loaded": True, "rows": ROWS}
    assert eventually(lambda: wire.raw(wire.part(GOOD, len(GOOD)))[1] == loaded, "the part was taken", 30)


def test_more_bytes_than_the_length_says_are_no_part_and_no_request(wire: Wire):
    short = GOOD[: GOOD.index(b"10000,")]
    behind = wire.head("DELETE", "/stage", Content_Length=0)
    answer = wire.raw(wire.part(GOOD, len(short)) + behind)
    assert refusal(answer) == (422, "rows_missing")
    assert wire.rows() == "0"
    assert refusal(wire.raw(wire.part(GOOD, len(GOOD) - 1))) == (400, "part_broken")
    assert wire.raw(wire.part(GOOD, len(GOOD))) == (200, {"loaded": True, "rows": ROWS})


@pytest.mark.parametrize(
    ("length", "more", "answers"),
    [
        ("x", {}, {(400, "")}),
        ("-1", {}, {(400, "")}),
        ("1e3", {}, {(400, "")}),
        (2**63 - 1, {}, {(413, "body_too_large")}),
        (len(GOOD), {"Transfer-Encoding": "chunked"}, {(400, ""), (411, "length_missing")}),
        (len(GOOD), {"content-length": len(GOOD) - 9}, {(400, "")}),
    ],
)
def test_a_length_that_cannot_be_is_refused_by_the_server_or_by_us(
    wire: Wire, length: object, more: dict[str, object], answers: set[tuple[int, str]]
):
    assert refusal(wire.raw(wire.part(b"1,1,a\n", length, **more), is_end=True)) in answers
    assert wire.rows() == "0"
    assert wire.raw(wire.part(GOOD, len(GOOD))) == (200, {"loaded": True, "rows": ROWS})


def test_a_body_without_a_length_is_refused(wire: Wire):
    head = wire.head("PUT", "/parts/0", Transfer_Encoding="chunked", X_AirCan_Rows=1)
    assert refusal(wire.raw(head + b"6\r\n1,1,a\n\r\n0\r\n\r\n")) == (411, "length_missing")
    assert wire.rows() == "0"


def test_a_part_after_publish_is_refused_and_changes_nothing(wire: Wire):
    assert wire.raw(wire.part(GOOD, len(GOOD)))[0] == 200
    assert wire.ask("POST", "/publish", {"rows": ROWS}) == (202, {"state": "working"})
    late = wire.part(GOOD, len(GOOD)).replace(b"/parts/0", b"/parts/1")
    assert refusal(wire.raw(late)) == (409, "stage_closed")
    eventually(lambda: wire.ask("GET", "/publish")[1]["state"] == "done", "the table was published")
    assert refusal(wire.raw(late)) == (409, "stage_closed")
    resource = wire.ckan.job(wire.job_id)["resource"]
    found = wire.ckan.api.call("datastore_search", resource_id=resource, limit=1, sort="_id desc")
    assert (found["total"], found["records"][0]["t"]) == (ROWS, f"name\n{ROWS}")


@pytest.mark.parametrize("token", ["", "0" * 64, "another run's"])
def test_a_wrong_token_gets_the_same_answer_whatever_the_body(ckan: Rig, wire: Wire, token: str):
    right, wire.token = wire.token, token if token != "another run's" else run_token(ckan.airflow.key, "another")
    answers = [wire.raw(wire.part(GOOD, len(GOOD))), wire.ask("GET", "/publish"), wire.ask("DELETE", "/stage")]
    assert {refusal(answer) for answer in answers} == {(403, "token_refused")}
    wire.token = right
    assert wire.rows() == "0"


def test_a_replay_after_the_end_is_refused(wire: Wire):
    wire.ckan.api.call("aircan_job_cancel", id=wire.job_id)
    answer = wire.raw(wire.part(GOOD, len(GOOD)))
    assert (refusal(answer), answer[1]["error"]["facts"]) == ((410, "job_closed"), {"status": "CANCELLED"})

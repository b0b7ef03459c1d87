"""What only a real connection shows: clients that go away, answers to bodies that nobody reads, files cut short."""

from __future__ import annotations

import http.client
import itertools
import socket
from urllib.parse import urlsplit

import pytest

from ckanext.aircan_connector import config
from ckanext.aircan_connector.datastore.names import stage
from ckanext.aircan_connector.uploads import UploadSource

from ..conftest import soon
from ..datastore.conftest import fields, part
from ..serving import served
from .conftest import FILE

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

GOOD = part([[n, f"name {n}"] for n in range(20_000)])


@pytest.fixture
def address(app, worker):
    """Host and port of a server whose stage of the job is begun."""
    assert worker.begin(fields(id="numeric", name="text")).status == 200
    with served(app.flask_app) as url:
        parts = urlsplit(url)
        yield parts.hostname, parts.port


def head(worker, door, length, **more):
    told = {"Host": "x", "X-AirCan-Token": worker.token, "Content-Length": length, "X-AirCan-Rows": 20_000, **more}
    lines = [f"PUT {worker.base}{door} HTTP/1.1", *(f"{name}: {value}" for name, value in told.items()), "", ""]
    return "\r\n".join(lines).encode()


def test_a_client_that_goes_away_leaves_nothing(worker, address, query):
    def is_quiet():
        return query("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'COPY %%_aircan_%%'") == []

    with socket.create_connection(address) as connection:
        connection.sendall(head(worker, "/parts/0", len(GOOD.data)) + GOOD.data[: len(GOOD.data) // 2])
        soon(lambda: not is_quiet())
    soon(is_quiet)
    table = stage(worker.job_id)
    assert query(f'SELECT (SELECT count(*) FROM "{table}"), (SELECT max(number) FROM "{table}_parts")') == [(0, -2)]
    assert worker.put(GOOD).json == {"loaded": True, "rows": 20_000}


@pytest.mark.parametrize(("token", "status"), [("right", 413), ("wrong", 403)])
def test_an_answer_arrives_though_nobody_wants_the_body(worker, address, monkeypatch, token, status):
    """Who answers and closes while bytes are on their way makes the other side see a broken connection."""
    monkeypatch.setattr(config, "max_body_bytes", lambda: 1000)
    body = b"x" * 20_000_000
    for _ in range(3):
        connection = http.client.HTTPConnection(*address, timeout=30)
        headers = {"X-AirCan-Token": worker.token if token == "right" else token, "X-AirCan-Rows": "1"}
        connection.request("PUT", f"{worker.base}/parts/0", body, headers)
        assert connection.getresponse().status == status
        connection.close()


def test_a_file_that_was_changed_meanwhile_is_cut_short(worker, address, monkeypatch):
    """The client sees fewer bytes than were announced, never a whole answer that is made of two files."""
    count = itertools.count()
    monkeypatch.setattr(UploadSource, "etag", lambda self: f'"{next(count)}"')
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", f"{worker.base}/file", headers={"X-AirCan-Token": worker.token})
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Content-Length"]) == (200, str(len(FILE)))
    with pytest.raises(http.client.IncompleteRead):
        answer.read()
    connection.close()

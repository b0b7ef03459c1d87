"""The store on Google Cloud Storage: what is different there from S3. The contract of both is in test_store.

The server is an emulator, which knows no users: what Google answers to those who may not, a server of the test says.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from aircan.errors import StoreMisconfigured, StoreUnavailable
from aircan.store import Store
from tests.aircan.gcs_server import BUCKET, PLAIN, be_plain, gcs_server, options
from tests.aircan.staged_rig import MemoryCkan, carry_out, staged_run

ROWS = 5000
DATA = b"id,name\n" + b"".join(b"%d,name %d\n" % (i, i) for i in range(ROWS))
SIZE_BYTES = 100 << 20


@pytest.fixture(scope="module")
def gcs():
    with gcs_server() as address:
        yield address


@pytest.fixture(autouse=True)
def _plain(monkeypatch):
    be_plain(monkeypatch)


@pytest.fixture
def answers():
    """Return what starts a server that answers everything with this status and message, as Google words an error."""
    started = []

    def start(status: int, message: str) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                body = json.dumps({"error": {"code": status, "message": message, "errors": []}}).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json; charset=UTF-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        started.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


def test_a_whole_run_leaves_nothing_in_the_bucket(gcs):
    ckan = MemoryCkan(DATA)
    run = staged_run(ckan, f"gs://{BUCKET}/runs", {"part_bytes": 5000}, options=options(gcs))
    assert carry_out(run)["status"] == "DONE"
    assert ckan.sink.rows[ROWS - 1] == [str(ROWS - 1), f"name {ROWS - 1}"]
    assert Store(f"gs://{BUCKET}/runs", "aircan_load", "another-run", options=options(gcs)).others(-60) == []


def test_the_other_name_of_the_protocol_is_the_same_store(gcs):
    Store(f"gs://{BUCKET}/name", "d", "r", options=options(gcs)).write("fetch", "data", b"x")
    assert Store(f"gcs://{BUCKET}/name", "d", "r", options=options(gcs)).read("fetch", "data") == b"x"


def test_the_address_of_the_server_may_stand_in_the_environment(gcs, monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs)
    Store(f"gs://{BUCKET}/env", "d", "r", options={"token": "anon"}).write("fetch", "data", b"x")
    assert Store(f"gs://{BUCKET}/env", "d", "r", options=options(gcs)).read("fetch", "data") == b"x"


def test_several_threads_write_at_once(gcs):
    store = Store(f"gs://{BUCKET}/threads", "d", "r", options=options(gcs))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda at: store.write("convert", f"part-{at:05}", b"%d" % at), range(24)))
    assert [store.read("convert", name) for name in store.names("convert")] == [b"%d" % at for at in range(24)]


def test_a_bucket_that_is_not_there_is_a_matter_of_settings(gcs):
    with pytest.raises(StoreMisconfigured, match="does not exist"):
        Store("gs://no-such-bucket", "d", "r", options=options(gcs)).write("fetch", "data", b"x")


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (403, "x@y.iam.gserviceaccount.com does not have storage.objects.create access.", "may not use it"),
        (401, "Anonymous caller does not have storage.objects.create access.", "has no credentials"),
    ],
)
def test_a_worker_that_may_not_is_told_so(answers, status, message, reason):
    with pytest.raises(StoreMisconfigured, match=reason) as caught:
        Store("gs://private", "d", "r", options=options(answers(status, message))).write("fetch", "data", b"x")
    assert message in caught.value.detail


def test_another_refusal_may_pass(answers):
    with pytest.raises(StoreUnavailable) as caught:
        Store("gs://b", "d", "r", options=options(answers(409, "Conflict"))).write("fetch", "data", b"x")
    assert caught.value.retryable


def test_memory_does_not_grow_with_the_file(gcs, tmp_path):
    """A file goes up and down through a process that may grow by less than its size."""
    source, target = tmp_path / "big", tmp_path / "again"
    with open(source, "wb") as file:
        for _ in range(SIZE_BYTES >> 20):
            file.write(os.urandom(1 << 20))
    code = f"""
import pathlib, resource
from aircan.store import Store
store = Store("gs://{BUCKET}/big", "d", "r", options={options(gcs)!r})
store.write("fetch", "small", b"x")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.upload("fetch", "data", pathlib.Path({str(source)!r}))
store.download("fetch", "data", pathlib.Path({str(target)!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    environment = {**os.environ, **PLAIN}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80 << 10
    assert _same(source, target)


def _same(one: Path, other: Path) -> bool:
    with open(one, "rb") as first, open(other, "rb") as second:
        while (chunk := first.read(1 << 20)) == second.read(1 << 20):
            if not chunk:
                return True
    return False

"""What a worker finds out about itself, for `ckan aircan doctor`."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from aircan.errors import GatewayAnswer, GatewayUnreachable, OrderRefused, StoreMisconfigured, TokenRefused
from aircan.keys import is_run_token, proof
from aircan.staged import Access, Run, doctor

KEY, PREVIOUS, OTHER = "k" * 32, "p" * 32, "o" * 32


def run(*keys, site_url="http://ckan.example", theirs=(KEY,), **access):
    conf = {"site_url": site_url, "nonce": "n", "proofs": [proof(key, "n") for key in theirs]}
    return Run(conf, "aircan_doctor", "aircan-doctor-1", Access(keys=keys, **access))


@pytest.fixture
def site():
    """A server that answers everything with `site.told`: (status, media type, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["X-AirCan-Token"]))
            status, kind, body = server.told
            data = body.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args):
            pass

    asked: list = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.url = asked, f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


REFUSED = (403, "application/json", json.dumps({"error": {"code": "token_refused"}}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [((KEY,), (KEY,)), ((PREVIOUS,), (KEY, PREVIOUS)), ((KEY, PREVIOUS), (PREVIOUS,))],
)
def test_a_key_in_common_is_enough(ours, theirs):
    assert "the site's" in doctor.same_key(run(*ours, theirs=theirs))


@pytest.mark.parametrize(("ours", "words"), [((OTHER,), "another key"), ((), "has no key")])
def test_no_key_in_common(ours, words):
    with pytest.raises(TokenRefused, match=words):
        doctor.same_key(run(*ours))


def test_a_run_that_the_doctor_did_not_start_is_no_proof():
    with pytest.raises(OrderRefused, match="ckan aircan doctor"):
        doctor.same_key(Run({}, "aircan_doctor", "manual", Access(keys=(KEY,))))


def test_a_proof_opens_nothing():
    assert not is_run_token(proof(KEY, "n"), (KEY,), "n")
    assert not is_run_token(proof(KEY, "n"), (KEY,), "aircan doctor")


def test_the_gateway_is_known_by_its_refusal(site):
    site.told = REFUSED
    assert site.url in doctor.reach_ckan(run(KEY, site_url=site.url))
    ((path, token),) = site.asked
    assert path.startswith("/api/aircan/v1/jobs/")
    assert KEY not in token


@pytest.mark.parametrize(
    "told",
    [
        (200, "text/html", "<html>sign in</html>"),
        (403, "text/html", "forbidden"),
        (403, "application/json", '{"error": "no"}'),
        (403, "application/json", "[]"),
        (404, "application/json", '{"error": {"code": "token_refused"}}'),
        (302, "text/html", ""),
    ],
)
def test_something_else_than_the_gateway(site, told):
    site.told = told
    with pytest.raises(GatewayAnswer, match=f"status {told[0]}"):
        doctor.reach_ckan(run(KEY, site_url=site.url))


def test_nobody_there(site):
    url = site.url
    site.shutdown()
    site.server_close()
    with pytest.raises(GatewayUnreachable, match=url):
        doctor.reach_ckan(run(KEY, site_url=url))


def test_worker_of_another_site_asks_nobody(site):
    with pytest.raises(OrderRefused, match=r"serves https://other\.example"):
        doctor.reach_ckan(_of("https://other.example", site.url))
    assert site.asked == []


def _of(serves, site_url):
    conf = {"site_url": site_url}
    return Run(conf, "aircan_doctor", "aircan-doctor-1", Access(keys=(KEY,), site_url=serves))


def test_the_store_keeps_a_file_and_is_left_clean(tmp_path):
    assert "keeps files" in doctor.keep_files(run(KEY, store=str(tmp_path)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_no_store():
    with pytest.raises(StoreMisconfigured):
        doctor.keep_files(run(KEY))

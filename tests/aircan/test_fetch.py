from __future__ import annotations

import gzip
import http.server
import socket
import threading
import time

import pytest

from aircan.contract import Resource
from aircan.errors import (
    JobStopped,
    LinkFailed,
    LinkRefused,
    LinkServerFailed,
    LinkTimedOut,
    PrivateAddress,
    SourceMissing,
    TooLarge,
)
from aircan.net import guard
from aircan.net.sources import shown
from aircan.ports import never
from aircan.steps.fetch import FileSource, LinkSource, fetch
from tests.aircan.rig import MemorySource

DATA = b"a,b\n" + b"1,2\n" * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append((self.server.server_port, self.path, dict(self.headers)))
        self.server.answer(self)

    def send(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **headers}.items():
            if value is not None:
                self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    """Make servers on loopback; each answers with the function that it is given."""
    made = []

    def start(answer):
        one = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        one.daemon_threads = True
        one.answer, one.seen = answer, []
        one.url = f"http://127.0.0.1:{one.server_port}"
        threading.Thread(target=one.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        made.append(one)
        return one

    yield start
    for one in made:
        one.shutdown()
        one.server_close()


def link(url, **options):
    return LinkSource(url, **{"allow_hosts": ["127.0.0.1", "localhost"], **options})


def fetched(source, tmp_path, limit_bytes=None, stop=None, progress=None):
    return fetch(source, tmp_path, limit_bytes=limit_bytes, stop=stop or never(), progress=progress)


def test_a_file_is_copied_hashed_and_private(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"abc")
    got = fetched(FileSource(tmp_path / "x.csv"), tmp_path)
    assert (got.name, got.size_bytes, got.path.read_bytes()) == ("x.csv", 3, b"abc")
    assert got.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert got.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SourceMissing):
        FileSource(tmp_path / "no.csv").open()


def test_stopped_while_fetching_leaves_no_file(tmp_path):
    stop = threading.Event()
    stop.set()
    with pytest.raises(JobStopped):
        fetched(MemorySource(b"x"), tmp_path, stop=stop)
    assert list(tmp_path.iterdir()) == []


def test_size_is_counted_when_it_is_not_announced(tmp_path):
    source = MemorySource(b"x" * 11)
    source.size_bytes = None
    with pytest.raises(TooLarge) as caught:
        fetched(source, tmp_path, limit_bytes=10)
    assert caught.value.facts == {"size_bytes": 11, "limit_bytes": 10}
    assert list(tmp_path.iterdir()) == []


def test_link_is_fetched_with_its_headers_name_and_progress(server, tmp_path):
    def answer(request):
        request.send(body=DATA, Content_Disposition='attachment; filename="rows.csv"')

    one, seen = server(answer), []
    source = link(one.url + "/x", headers={"X-Key": "secret"})
    got = fetched(source, tmp_path, progress=lambda size, total: seen.append((size, total)))
    assert (got.name, got.path.read_bytes()) == ("rows.csv", DATA)
    assert one.seen[0][2]["X-Key"] == "secret"
    assert seen[-1] == (len(DATA), len(DATA))


def test_a_link_whose_headers_break_off_is_no_empty_file(server, tmp_path):
    def answer(request):
        request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Le")
        request.close_connection = True

    with pytest.raises(LinkFailed):
        fetched(link(server(answer).url + "/x"), tmp_path)


def test_of_a_resource():
    source = LinkSource.of(Resource(id="r", path="http://example.org/a%20b.csv?x=1", headers={"A": "b"}))
    assert (source.name, dict(source.headers)) == ("a b.csv", {"A": "b"})
    assert "x=1" not in repr(source)
    assert "'b'" not in repr(source)


def test_redirects_are_followed_and_headers_stay_at_their_origin(server, tmp_path):
    other = server(lambda request: request.send(body=DATA))
    targets = {"/first": "/second", "/second": other.url + "/f"}
    one = server(lambda request: request.send(302, Location=targets[request.path]))
    got = fetched(link(one.url + "/first", headers={"Authorization": "k", "X-Key": "k"}), tmp_path)
    assert got.path.read_bytes() == DATA
    assert [path for _, path, _ in one.seen] == ["/first", "/second"]
    assert all(headers["X-Key"] == "k" for _, _, headers in one.seen)
    assert not {"Authorization", "X-Key"} & set(other.seen[0][2])


def test_user_and_password_in_the_link_stay_at_their_origin_and_out_of_errors(server, tmp_path):
    other = server(lambda request: request.send(404))
    one = server(lambda request: request.send(302, Location=other.url + "/f"))
    with pytest.raises(LinkRefused) as caught:
        fetched(link(one.url.replace("//", "//user:word@") + "/x?token=t"), tmp_path)
    assert "Authorization" in one.seen[0][2]
    assert "Authorization" not in other.seen[0][2]
    assert not any(secret in str(caught.value) for secret in ("word", "token"))


@pytest.mark.parametrize(("redirects", "fits"), [(3, True), (4, False)])
def test_redirects_at_the_limit(redirects, fits, server, tmp_path):
    def answer(request):
        number = int(request.path[1:])
        request.send(200, DATA) if number == redirects else request.send(301, Location=f"/{number + 1}")

    source = link(server(answer).url + "/0", max_redirects=3)
    if fits:
        assert fetched(source, tmp_path).size_bytes == len(DATA)
    else:
        with pytest.raises(LinkRefused):
            fetched(source, tmp_path)


@pytest.mark.parametrize("status", [202, 204, 206, 401, 403, 404, 410, 429, 500, 503])
def test_another_status_is_refused_and_told(status, server, tmp_path):
    passes = status == 429 or status >= 500
    with pytest.raises(LinkServerFailed if passes else LinkRefused) as caught:
        fetched(link(server(lambda request: request.send(status)).url), tmp_path)
    assert caught.value.facts["http_status"] == status
    assert caught.value.retryable == passes


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher://127.0.0.1/"])
def test_only_http_is_fetched(target, server, tmp_path):
    with pytest.raises(LinkRefused):
        fetched(link(target), tmp_path)
    with pytest.raises(LinkRefused):
        fetched(link(server(lambda request: request.send(302, Location=target)).url), tmp_path)


@pytest.mark.parametrize(("limit", "fits"), [(len(DATA) - 1, False), (len(DATA), True)])
@pytest.mark.parametrize("announced", [True, False])
def test_size_at_the_limit(limit, fits, announced, server, tmp_path):
    def answer(request):
        request.close_connection = True
        request.send(200, DATA, **({} if announced else {"Content_Length": None, "Connection": "close"}))

    source = link(server(answer).url)
    if fits:
        assert fetched(source, tmp_path, limit_bytes=limit).size_bytes == len(DATA)
    else:
        with pytest.raises(TooLarge):
            fetched(source, tmp_path, limit_bytes=limit)


def test_packed_content_is_unpacked_and_the_limit_counts_unpacked_bytes(server, tmp_path):
    body = gzip.compress(b"1,2\n" * 500_000)
    one = server(lambda request: request.send(200, body, Content_Encoding="gzip"))
    assert fetched(link(one.url), tmp_path).size_bytes == 2_000_000
    with pytest.raises(TooLarge):
        fetched(link(one.url), tmp_path, limit_bytes=1_000_000)


def test_a_transfer_that_breaks_off_is_no_file(server, tmp_path):
    def answer(request):
        request.send(200, DATA, Content_Length=len(DATA) + 1)
        request.close_connection = True

    with pytest.raises(LinkFailed):
        fetched(link(server(answer).url), tmp_path)


def test_a_server_that_says_nothing(server, tmp_path):
    with pytest.raises(LinkTimedOut) as caught:
        fetched(link(server(lambda request: time.sleep(2)).url, read_timeout_s=0.2), tmp_path)
    assert caught.value.facts["timeout_s"] == 0.2


def test_a_server_that_falls_silent_in_the_middle(server, tmp_path):
    def answer(request):
        request.send(200, DATA, Content_Length=len(DATA) * 2)
        time.sleep(2)

    with pytest.raises(LinkTimedOut):
        fetched(link(server(answer).url, read_timeout_s=0.2), tmp_path)


def test_a_server_that_drips_is_given_up_after_the_total_time(server, tmp_path):
    def answer(request):
        request.send(200, b"", Content_Length=10_000)
        for _ in range(100):
            request.wfile.write(b"x")
            time.sleep(0.05)

    with pytest.raises(LinkTimedOut) as caught:
        fetched(link(server(answer).url, total_timeout_s=0.3), tmp_path)
    assert caught.value.facts["timeout_s"] == 0.3


def test_nobody_at_the_port(tmp_path):
    with socket.socket() as one:  # it is kept, so that nobody else begins to listen there
        one.bind(("127.0.0.1", 0))
        with pytest.raises(LinkFailed):
            fetched(link(f"http://127.0.0.1:{one.getsockname()[1]}/"), tmp_path)


def test_name_that_does_not_exist(tmp_path):
    with pytest.raises(LinkFailed):
        fetched(link("http://name.invalid/"), tmp_path)


class TestPrivateAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1",
            "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
            "64:ff9b::7f00:1", "2002:7f00:1::", "::ffff:169.254.169.254",
        ],
    )  # fmt: skip
    def test_private(self, address):
        assert not guard.is_public(address)

    @pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808"])
    def test_public(self, address):
        assert guard.is_public(address)

    def test_loopback_is_refused_unless_allowed(self, server, tmp_path):
        one = server(lambda request: request.send(200, DATA))
        with pytest.raises(PrivateAddress) as caught:
            fetched(link(one.url, allow_hosts=()), tmp_path)
        assert caught.value.facts == {"host": "127.0.0.1"}
        assert one.seen == []
        assert fetched(link(one.url, allow_hosts=[f"127.0.0.1:{one.server_port}"]), tmp_path).size_bytes == len(DATA)

    @pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]"])
    def test_other_spellings_of_loopback_are_refused(self, host, tmp_path):
        with pytest.raises((PrivateAddress, LinkFailed)):
            fetched(link(f"http://{host}:9/", allow_hosts=()), tmp_path)

    def test_redirect_to_a_private_address_is_refused(self, server, tmp_path):
        inner = server(lambda request: request.send(200, DATA))
        outer = server(lambda request: request.send(302, Location=inner.url))
        with pytest.raises(PrivateAddress):
            fetched(link(outer.url, allow_hosts=[f"127.0.0.1:{outer.server_port}"]), tmp_path)
        assert inner.seen == []

    def test_a_name_that_changes_its_address_is_resolved_once(self, server, tmp_path, monkeypatch):
        """DNS rebinding: public at the first question, loopback at the next."""
        one = server(lambda request: request.send(200, DATA))
        asked, connected = [], []

        def resolve(host, port, *args, **kwargs):
            asked.append(host)
            address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        def connect(address, *args, **kwargs):
            connected.append(address[0])
            raise OSError

        monkeypatch.setattr(guard.socket, "getaddrinfo", resolve)
        monkeypatch.setattr(guard.sockets, "create_connection", connect)
        with pytest.raises(LinkFailed):
            fetched(link(f"http://rebind.example:{one.server_port}/", allow_hosts=()), tmp_path)
        assert connected == ["93.184.216.34"]
        with pytest.raises(PrivateAddress):
            fetched(link(f"http://rebind.example:{one.server_port}/", allow_hosts=()), tmp_path)

    def test_proxies_of_the_environment_are_not_used(self, server, tmp_path, monkeypatch):
        proxy = server(lambda request: request.send(200, b"from the proxy"))
        one = server(lambda request: request.send(200, DATA))
        monkeypatch.setenv("http_proxy", proxy.url)
        assert fetched(link(one.url), tmp_path).path.read_bytes() == DATA
        assert proxy.seen == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:word@example.org:8443/a/b.csv?token=x#y", "https://example.org:8443/a/b.csv"),
        ("http://[broken", "?"),
    ],
)
def test_a_link_is_shown_without_what_may_be_secret(url, expected):
    assert shown(url) == expected

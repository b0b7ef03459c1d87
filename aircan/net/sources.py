"""Where the bytes of a file come from: a path, or a link over HTTP. Sources implement `ports.Source`."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

import requests
import urllib3

from aircan import __version__
from aircan.contract import Resource
from aircan.errors import LinkFailed, LinkRefused, LinkServerFailed, LinkTimedOut, SourceMissing
from aircan.net.guard import GuardedAdapter

_REDIRECTS = (301, 302, 303, 307, 308)
_BROKEN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
_FILE_NAMES = (
    re.compile(r"""filename\*=UTF-8'[^']*'([^";]+)""", re.I),
    re.compile(r"""filename\*?="?([^";]+)"?""", re.I),
)


class FileSource:
    """A file in a folder that this process can read."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self.name = self._path.name
        self.size_bytes: int | None = self._path.stat().st_size if self._path.is_file() else None

    def open(self) -> BinaryIO:
        """Open the file. Raises SourceMissing when it is not there or may not be read."""
        try:
            return open(self._path, "rb")
        except OSError as exc:
            raise SourceMissing(type(exc).__name__, name=self.name) from exc


@dataclass
class LinkSource:
    """A file behind an HTTP(S) link.

    Attributes:
        url: the link. Credentials in it are used, but shown nowhere.
        headers: sent to the link's own origin only; a redirect elsewhere goes without them.
        name: file name; until the answer is there, the last piece of the link's path.
        size_bytes: from the answer's Content-Length, None before it and for packed content.
        allow_hosts: hosts (with or without ":port") that may have a private address.
        connect_timeout_s, read_timeout_s: how long to wait for a connection, and for the next bytes.
        total_timeout_s: how long the whole transfer may take.
        max_redirects: redirects that are followed.
        clock: seconds that only go forward.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = ""
    size_bytes: int | None = None
    allow_hosts: Collection[str] = ()
    connect_timeout_s: float = 10
    read_timeout_s: float = 60
    total_timeout_s: float = 3600
    max_redirects: int = 5
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.name = self.name or Path(unquote(urlsplit(self.url).path)).name

    @classmethod
    def of(cls, resource: Resource, **options: Any) -> LinkSource:
        """Return the source of a resource that is a link; options are those of the class."""
        return cls(resource.path, headers=resource.headers, **options)

    def open(self) -> BinaryIO:
        """Ask for the file and return its unpacked bytes as they come.

        Raises:
            PrivateAddress: the link, or a redirect, leads to a private address that is not allowed.
            LinkRefused: another status than 200, too many redirects, or a scheme that is not http(s).
            LinkServerFailed: status 429 or 5xx.
            LinkTimedOut: no connection, no bytes, or no end in time.
            LinkFailed: everything else that can go wrong between two machines.
        """
        session = requests.Session()
        # Proxies, netrc and certificates of the environment are the operator's, not for strangers' links.
        session.trust_env = False
        adapter = GuardedAdapter(self.allow_hosts)
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        deadline = self.clock() + self.total_timeout_s
        try:
            response = self._follow(session)
        except BaseException:
            session.close()
            raise
        self._note(response)
        return cast(BinaryIO, _Body(response, session, self, deadline))

    def _follow(self, session: requests.Session) -> requests.Response:
        url = self.url
        for _ in range(self.max_redirects + 1):
            response = self._ask(session, url)
            target = response.headers.get("Location")
            if response.status_code not in _REDIRECTS or not target:
                break
            response.close()
            url = urljoin(url, target)
        else:
            raise LinkRefused("too many redirects", url=shown(self.url), http_status=response.status_code)
        status = response.status_code
        if status != 200:
            response.close()
            error = LinkServerFailed if status == 429 or status >= 500 else LinkRefused
            raise error(url=shown(self.url), http_status=status)
        return response

    def _ask(self, session: requests.Session, url: str) -> requests.Response:
        if urlsplit(url).scheme not in ("http", "https"):
            raise LinkRefused("only http and https are fetched", url=shown(url), http_status="-")
        own = dict(self.headers) if _origin(url) == _origin(self.url) else {}
        headers = {"User-Agent": f"AirCan/{__version__}", "Accept": "*/*", "Accept-Encoding": "gzip, deflate", **own}
        with translated(self):
            return session.get(
                url,
                headers=headers,
                stream=True,
                allow_redirects=False,
                timeout=(self.connect_timeout_s, self.read_timeout_s),
            )

    def _note(self, response: requests.Response) -> None:
        length = response.headers.get("Content-Length", "")
        packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        self.size_bytes = int(length) if length.isdigit() and not packed else None
        self.name = file_name(response.headers.get("Content-Disposition", "")) or self.name


def file_name(disposition: str) -> str:
    """Return the file name of a Content-Disposition header without any folder, "" when there is none."""
    found = next(filter(None, (pattern.search(disposition) for pattern in _FILE_NAMES)), None)
    return Path(unquote(found[1].strip())).name if found else ""


def shown(url: str) -> str:
    """Return a link without user, password, query and fragment, which may hold secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, "", ""))
    except ValueError:
        return "?"


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


class translated:  # noqa: N801 - reads as a verb: with translated(source)
    """Turn the exceptions of requests and urllib3 into leaves of ours."""

    def __init__(self, source: LinkSource) -> None:
        self._source = source

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        url, detail = shown(self._source.url), type(exc).__name__
        if isinstance(exc, (requests.Timeout, urllib3.exceptions.TimeoutError)):
            raise LinkTimedOut(detail, url=url, timeout_s=self._source.read_timeout_s) from exc
        if isinstance(exc, _BROKEN):
            if "timed out" in str(exc).lower():
                raise LinkTimedOut(detail, url=url, timeout_s=self._source.read_timeout_s) from exc
            raise LinkFailed(detail, url=url) from exc


class _Body:
    """The bytes of an answer, unpacked; watches the total time and the announced length."""

    def __init__(self, response: requests.Response, session: requests.Session, source: LinkSource, deadline: float):
        self._response, self._session, self._source, self._deadline = response, session, source, deadline
        self._announced = response.headers.get("Content-Length", "")

    def read(self, size: int = -1) -> bytes:
        """Return some bytes, at most about `size`, b"" at the end."""
        if self._source.clock() > self._deadline:
            raise LinkTimedOut("total", url=shown(self._source.url), timeout_s=self._source.total_timeout_s)
        raw = self._response.raw
        with translated(self._source):
            some = _modern(raw, size) if hasattr(raw, "read1") else _urllib3_1(raw, size)
        if not some and self._announced.isdigit() and raw.tell() < int(self._announced):
            raise LinkFailed("the transfer broke off", url=shown(self._source.url))
        return some

    def close(self) -> None:
        """Close the connection."""
        self._response.close()
        self._session.close()

    def __enter__(self) -> _Body:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _modern(raw: Any, size: int) -> bytes:
    """Return what is there, unpacked, b"" at the end only."""
    while not (some := raw.read1(size, decode_content=True)):
        if urllib3.util.response.is_fp_closed(raw._fp):
            break
    return cast(bytes, some)


def _urllib3_1(raw: Any, size: int) -> bytes:
    """Do for urllib3 1.26, which is closed to changes, what `read1` does in 2.

    Its `read` waits until `size` bytes have come, for as long as a server drips.
    """
    raw._init_decoder()
    while True:
        packed = raw._fp.read1(size)
        raw._fp_bytes_read += len(packed)
        some = raw._decode(packed, True, not packed)
        if some or not packed:
            return bytes(some)

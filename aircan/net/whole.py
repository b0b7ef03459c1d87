"""HTTP answers whose headers are whole. Imports nothing of ours.

When a connection breaks while the headers arrive, `http.client` takes what came for all of them: a length with half
its digits, or none, and a file that seems to end where the connection did. Here that is a broken connection.
"""

from __future__ import annotations

import http.client
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class _Lines:
    """Reads lines and remembers the last; all else is the file's."""

    def __init__(self, file: Any) -> None:
        self.file, self.last = file, b""

    def readline(self, *args: Any) -> bytes:
        """Return the next line, b"" at the end."""
        self.last = bytes(self.file.readline(*args))
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class WholeResponse(http.client.HTTPResponse):
    """An answer whose headers end with an empty line; else RemoteDisconnected, as if it had never begun."""

    def begin(self) -> None:
        """Read the status and the headers."""
        own: Any = self.fp
        lines = _Lines(own)
        watched: Any = lines
        self.fp = watched
        try:
            super().begin()
        finally:
            if self.fp is watched:
                self.fp = own
        if lines.last not in (b"\r\n", b"\n"):
            self.close()
            raise http.client.RemoteDisconnected("the headers broke off")


class _Plain(HTTPConnection):
    response_class = WholeResponse


class _Tls(HTTPSConnection):
    response_class = WholeResponse


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


POOLS = {"http": _PlainPool, "https": _TlsPool}


class WholeAdapter(HTTPAdapter):
    """A requests adapter that takes answers with whole headers only, through proxies as well."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make a pool manager whose connections are of our kind."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:
        """Return a proxy's pool manager whose connections are of our kind."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        return manager

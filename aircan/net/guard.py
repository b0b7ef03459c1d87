"""HTTP connections that go to public addresses only. Imports only `errors` and `whole`.

The name is resolved here, each address is judged, and the connection is made to the judged address: a
name that changes its address between a check and a connection (DNS rebinding) gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import connection as sockets

from aircan.errors import PrivateAddress
from aircan.net.whole import WholeResponse

_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(text: str) -> bool:
    """Return whether an address belongs to the public Internet, IPv4 inside IPv6 looked at as well."""
    address: Address = ipaddress.ip_address(text.split("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Guarded(HTTPConnection):
    """A connection that judges each address of its host before it connects."""

    allow_hosts: Collection[str] = ()
    response_class = WholeResponse

    def _new_conn(self) -> socket.socket:
        host, port = self._dns_host.strip("[]"), int(self.port or self.default_port)
        free = host in self.allow_hosts or f"{host}:{port}" in self.allow_hosts
        try:
            found = socket.getaddrinfo(host, port, sockets.allowed_gai_family(), socket.SOCK_STREAM)
        except (OSError, UnicodeError) as exc:
            raise NewConnectionError(self, f"the name {host} is not known") from exc
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        public = addresses if free else [address for address in addresses if is_public(address)]
        if not public:
            raise PrivateAddress(f"all addresses of {host} are private", host=host)
        return self._first(public, port)

    def _first(self, addresses: list[str], port: int) -> socket.socket:
        failed: Exception | None = None
        for address in addresses:
            try:
                return sockets.create_connection(
                    (address, port),
                    self.timeout,
                    source_address=self.source_address,
                    socket_options=self.socket_options,
                )
            except TimeoutError as exc:
                failed = ConnectTimeoutError(self, f"no connection to {self.host} in time")
                failed.__cause__ = exc
            except OSError as exc:
                failed = NewConnectionError(self, f"no connection to {self.host}: {type(exc).__name__}")
                failed.__cause__ = exc
        raise failed or NewConnectionError(self, f"{self.host} has no address")


class _GuardedTls(_Guarded, HTTPSConnection):
    pass


class GuardedAdapter(HTTPAdapter):
    """A requests adapter whose connections are guarded.

    Args:
        allow_hosts: names or addresses, with or without ":port", that may be private.
    """

    def __init__(self, allow_hosts: Collection[str] = ()) -> None:
        self._allow_hosts = frozenset(host.lower() for host in allow_hosts)
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make a pool manager whose pools open guarded connections."""
        super().init_poolmanager(*args, **kwargs)
        facts = {"allow_hosts": self._allow_hosts}
        plain = type("_Plain", (_Guarded,), facts)
        tls = type("_Tls", (_GuardedTls,), facts)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("_PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("_TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }

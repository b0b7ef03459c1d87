"""What a worker knows that no order says: the key, which CKAN it serves, where the store is. Imports `errors`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import SplitResult, urlsplit

from aircan.errors import OrderRefused

CONNECTION = "aircan_ckan"
"""Id of the Airflow Connection, when the environment does not say AIRCAN_CONNECTION."""


def connection_id(environ: Mapping[str, str] = os.environ) -> str:
    """Return the id of the Airflow Connection that is read by `Access.of`."""
    return environ.get("AIRCAN_CONNECTION") or CONNECTION


class Connection(Protocol):
    """What is read of an Airflow Connection."""

    host: str | None
    port: int | None
    schema: str | None
    password: str | None

    @property
    def extra_dejson(self) -> Mapping[str, Any]:
        """The connection's extra, a JSON object."""
        ...


def connection(kind: Any, conn_id: str = "") -> Connection:
    """Return an Airflow Connection, that of `connection_id` if none is named.

    `kind` is Airflow's own class, which Airflow 2 and 3 ask by different names.
    """
    read = getattr(kind, "get_connection_from_secrets", None) or kind.get
    found: Connection = read(conn_id or connection_id())
    return found


@dataclass(frozen=True)
class Access:
    """What a worker knows that no order says.

    Attributes:
        keys: the factory's key, as in CKAN; behind it, while a key is changed, the previous one.
        site_url: the one CKAN whose orders are carried out, "" for any; an order of another gets no token.
        store: address of the store, see `aircan.store`.
        store_options: of its file system.
        allow_hosts: hosts (with or without ":port") with a private address that a link may lead to.
    """

    keys: tuple[str, ...] = field(default=(), repr=False)
    site_url: str = ""
    store: str = ""
    store_options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    allow_hosts: Collection[str] = ()

    @classmethod
    def of(cls, connection: Connection, environ: Mapping[str, str] = os.environ) -> Access:
        """Read an Airflow Connection.

        Args:
            connection: its password is the key; its host, if there is one, the CKAN whose orders are carried out;
                its extra may hold previous_key, store, store_options and allow_hosts.
            environ: AIRCAN_STORE in it is the store when the connection names none.
        """
        extra = connection.extra_dejson
        allowed = extra.get("allow_hosts") or ()
        return cls(
            keys=tuple(key for key in (connection.password, extra.get("previous_key")) if key),
            site_url=_site_url(connection),
            store=str(extra.get("store") or environ.get("AIRCAN_STORE") or ""),
            store_options=dict(extra.get("store_options") or {}),
            allow_hosts=tuple(allowed.split() if isinstance(allowed, str) else allowed),
        )

    def check(self, site_url: str) -> None:
        """Raise OrderRefused unless this is the CKAN that is served: its token is for nobody else."""
        if not self.site_url:
            return
        ours, theirs = urlsplit(self.site_url), urlsplit(site_url)
        same_scheme = not ours.scheme or ours.scheme == theirs.scheme
        same_path = not ours.path.strip("/") or ours.path.strip("/") == theirs.path.strip("/")
        if not (same_scheme and same_path and _host(ours) == _host(theirs)):
            raise OrderRefused(f"this worker serves {self.site_url}", field="site_url")


def _site_url(connection: Connection) -> str:
    """Return the address that a connection names; without a scheme it begins with //."""
    host = (connection.host or "").rstrip("/")
    if not host:
        return ""
    if "://" not in host:
        host = f"{connection.schema or ''}://{host}".removeprefix(":")
    port = f":{connection.port}" if connection.port and not urlsplit(host).port else ""
    scheme, _, rest = host.partition("//")
    name, slash, path = rest.partition("/")
    return f"{scheme}//{name}{port}{slash}{path}"


def _host(parts: SplitResult) -> tuple[str | None, int | None]:
    standard = {"http": 80, "https": 443}.get(parts.scheme)
    try:
        return parts.hostname, parts.port if parts.port != standard else None
    except ValueError as exc:
        raise OrderRefused(str(exc), field="site_url") from exc

"""Connections to the DataStore's database as its write role, and PostgreSQL's errors in our words.

They are our own, not CKAN's: a load runs for minutes, can be interrupted from another thread, and must
not use up the pool that serves people's requests.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errorcodes, sql
from sqlalchemy.engine import make_url

from aircan.errors import (
    AircanError,
    DatastoreMisconfigured,
    DatastoreUnavailable,
    JobStopped,
    LoadFailed,
    TableBusy,
    TooManyColumns,
    ValueRefused,
)

from .. import config

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_MS = 10_000
SHARED_NAME = "gateway of aircan"
SHARED_IDLE = 2
"""Connections that a web worker keeps open between requests; to open one takes longer than to use it."""

MAX_COLUMNS = 1598
"""PostgreSQL's limit of 1600 less `_id` and `_full_text`."""

# Set anew in each transaction, so that it also holds behind a pooler that hands connections around.
_PRELUDE = sql.SQL(
    "SET LOCAL datestyle = 'ISO, YMD'; SET LOCAL client_min_messages = 'warning'; "
    "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = '60s'; "
    "SET LOCAL lock_timeout = {}"
)
_WITHOUT_WAITING = sql.SQL("; SET LOCAL synchronous_commit = off")

# COPY _aircan_..., line 7, column b: "x"    or    COPY _aircan_..., line 7: "1,2,x"
# The words are translated by PostgreSQL, their order is not.
_CONTEXT = re.compile(r"^COPY [^,]+, \S+ (?P<line>\d+)(?:, \S+ (?P<column>.*))?", re.MULTILINE | re.DOTALL)

_UNAVAILABLE = {"08", "53", "57", "58"}
_MISCONFIGURED = {errorcodes.READ_ONLY_SQL_TRANSACTION, errorcodes.INSUFFICIENT_PRIVILEGE}
_MISCONFIGURED_CLASSES = {"28", "3D", "3F"}
_BUSY = {errorcodes.LOCK_NOT_AVAILABLE, errorcodes.DEADLOCK_DETECTED, errorcodes.QUERY_CANCELED}
_OF_DATA = {"22", "23", "54", "P0"}


class Connections:
    """Connections of one job, one for each thread that works at the same time.

    Args:
        name: shown as application_name in pg_stat_activity.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._idle: list[Any] = []
        self._busy: set[Any] = set()
        self._lock = threading.Lock()
        self.stopped = threading.Event()

    @contextmanager
    def transaction(self, *, lock_timeout_ms: int = LOCK_TIMEOUT_MS, lasting: bool = True) -> Iterator[Any]:
        """Yield a cursor; commit at the end, roll back on any exception.

        Where it is not `lasting`, the commit does not wait for the disk: a crash of the server within the next second
        undoes it. That is for work on a stage: the next commit that waits takes all before it along.
        Raises the leaves of LoadFailed that `translate` names, and JobStopped after `interrupt`.
        """
        connection = self._take()
        try:
            with connection.cursor() as cursor:
                prelude = _PRELUDE.format(sql.Literal(lock_timeout_ms))
                cursor.execute(prelude if lasting else prelude + _WITHOUT_WAITING)
                if size_mb := config.work_memory_mb():
                    cursor.execute("SET LOCAL maintenance_work_mem = %s", (f"{size_mb}MB",))
                yield cursor
            self._raise_if_stopped()
            connection.commit()
        except psycopg2.Error as exc:
            raise translate(exc, stopped=self.stopped.is_set()) from exc
        finally:
            self._give_back(connection)

    def interrupt(self) -> None:
        """Cancel what runs on every connection, from another thread; nothing can be begun any more.

        Repeated for a short while, since a statement may be on its way when it is cancelled.
        """
        self.stopped.set()
        for _ in range(20):
            with self._lock:
                busy = list(self._busy)
            if not busy:
                return
            for connection in busy:
                self._cancel(connection)
            time.sleep(0.1)

    def close(self) -> None:
        """Close every connection that is not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _cancel(self, connection: Any) -> None:
        try:
            connection.cancel()
        except psycopg2.Error as exc:
            log.warning("A statement could not be cancelled: %s", type(exc).__name__)

    def _raise_if_stopped(self) -> None:
        if self.stopped.is_set():
            raise JobStopped("interrupted")

    def _take(self) -> Any:
        self._raise_if_stopped()
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = _connect(self._name)
            if self.stopped.is_set():
                connection.close()
                self._raise_if_stopped()
        with self._lock:
            self._busy.add(connection)
        return connection

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            self._busy.discard(connection)
        if not connection.closed:
            try:
                connection.rollback()  # after a commit this does nothing
            except psycopg2.Error:
                connection.close()
        if not connection.closed:
            with self._lock:
                self._idle.append(connection)


class Shared(Connections):
    """Connections for the short requests of a web worker: a few are kept open for the next request.

    One that the server has closed meanwhile is not used. Nobody interrupts or closes them all.
    """

    def _take(self) -> Any:
        with self._lock:
            kept, self._idle = self._idle, []
        good = [connection for connection in kept if _is_good(connection)]
        with self._lock:
            self._idle += good
        return super()._take()

    def _give_back(self, connection: Any) -> None:
        super()._give_back(connection)
        with self._lock:
            many, self._idle = self._idle[:-SHARED_IDLE], self._idle[-SHARED_IDLE:]
        for one in many:
            one.close()

    def close(self) -> None:
        """Keep them for the next request."""


def _is_good(connection: Any) -> bool:
    """Return whether the server has said nothing on an idle connection: what it would say is that it closes it."""
    if select.select([connection.fileno()], [], [], 0)[0]:
        connection.close()
        return False
    return True


def shared() -> Shared:
    """Return this process's connections for short requests."""
    return _shared(os.getpid(), config.datastore_write_url())


@functools.lru_cache(maxsize=2)
def _shared(_pid: int, _url: str) -> Shared:
    return Shared(SHARED_NAME)


@contextmanager
def transaction(name: str = "aircan", *, lock_timeout_ms: int = LOCK_TIMEOUT_MS) -> Iterator[Any]:
    """Yield a cursor of a connection of its own, for work that belongs to no job."""
    connections = Connections(name)
    try:
        with connections.transaction(lock_timeout_ms=lock_timeout_ms) as cursor:
            yield cursor
    finally:
        connections.close()


@contextmanager
def savepoint(cursor: Any) -> Iterator[None]:
    """Let a statement fail without losing the transaction. Raises what `translate` names."""
    cursor.execute("SAVEPOINT aircan")
    try:
        yield
    except psycopg2.Error as exc:
        if cursor.connection.closed or exc.pgcode == errorcodes.QUERY_CANCELED:
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT aircan")
        raise translate(exc) from exc
    cursor.execute("RELEASE SAVEPOINT aircan")


def _connect(name: str) -> Any:
    address = config.datastore_write_url()
    if not address:
        raise DatastoreMisconfigured("ckan.datastore.write_url is not set")
    dsn = make_url(address).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        return psycopg2.connect(
            dsn,
            application_name=name,
            connect_timeout=CONNECT_TIMEOUT_S,
            keepalives=1,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
    except psycopg2.Error as exc:
        # The message of a failed connection names host and user, never the password.
        raise DatastoreUnavailable(str(exc).strip()) from exc


def translate(exc: psycopg2.Error, *, stopped: bool = False) -> AircanError:
    """Return the error of our tree that says what PostgreSQL said.

    A refused value of a COPY becomes ValueRefused with `copy_line` (1-based line of the copied text on which
    the record ends) and `copy_column` (text that begins with the column's name); see `stage.located`.
    Details carry PostgreSQL's message only where it holds no data.
    """
    code = exc.pgcode or ""
    if stopped and code in ("", errorcodes.QUERY_CANCELED):
        return JobStopped("interrupted")
    if not code or code[:2] in _UNAVAILABLE - {"57"} or (code[:2] == "57" and code != errorcodes.QUERY_CANCELED):
        return DatastoreUnavailable(f"{code} {exc}".strip())
    if code in _BUSY:
        return TableBusy(_short(exc))
    if code in _MISCONFIGURED or code[:2] in _MISCONFIGURED_CLASSES:
        return DatastoreMisconfigured(_short(exc))
    if code == errorcodes.TOO_MANY_COLUMNS:
        return TooManyColumns(_short(exc), limit=MAX_COLUMNS)
    found = _CONTEXT.search(getattr(exc.diag, "context", None) or "")
    if found and code[:2] in _OF_DATA:
        facts = {"copy_line": int(found["line"]), "copy_column": found["column"]}
        return ValueRefused(f"{code} {type(exc).__name__}", value=exc.diag.message_primary, **facts)
    return LoadFailed(_short(exc))


def _short(exc: psycopg2.Error) -> str:
    return f"{exc.pgcode} {exc.diag.message_primary or type(exc).__name__}"

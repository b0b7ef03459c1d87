"""DuckDB with a memory limit, that stops when asked. The only file that imports duckdb."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from aircan.errors import FileDamaged, FileEncrypted, FormatUnknown, JobStopped
from aircan.ports import Stop
from aircan.text import normal

WATCH_S = 0.2
"""How often a long query looks whether to stop."""

MOST_MB = 2048
"""Most memory for a file that cannot be read in parallel, whose records are long."""


class Engine:
    """One DuckDB connection in memory; temporary files go to `workdir`. Never reaches the network.

    Args:
        workdir: folder for what does not fit in memory.
        memory_mb: limit of DuckDB itself; the process needs about 85 MB more (measured 2026-11).
        threads: cores to use.
        stop: asked every 0.2 s while a query runs.
    """

    def __init__(self, workdir: Path, *, stop: Stop, memory_mb: int = 96, threads: int = 2) -> None:
        self._stop, self._threads, self._memory_mb, self._parallel = stop, threads, memory_mb, True
        self._connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": threads,
                "temp_directory": str(workdir / "duckdb"),
                "preserve_insertion_order": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                # It makes a join of `x IN (six words)`, behind which rows leave in any order (DuckDB 2.0.0, 2026-11).
                "disabled_optimizers": "in_clause",
            }
        )
        self._connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query and return all its rows. Raises JobStopped when stopped."""
        with self._watched():
            return self._fetch(sql)

    def row(self, sql: str) -> tuple[Any, ...]:
        """Run a query and return its only row."""
        return self.rows(sql)[0]

    def prove(self, relation: str, rows: int) -> None:
        """Read a relation whose cells may hold line ends to its end, once, before anything is made of it.

        DuckDB's parallel reader may begin inside a text that looks like rows. It notices, but only in the end, when
        what it has read is long in use. What it takes once it takes always; what it refuses is read by one thread.
        """
        if normal.PARALLEL in relation and self.row(f"SELECT count(*) FROM {relation}") != (rows,):  # noqa: S608
            self._parallel = False

    def batches(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and yield its rows in lists of at most `size`."""
        with self._watched():
            cursor = self._connection.execute(sql if self._parallel else sql.replace(normal.PARALLEL, normal.SERIAL))
            while batch := cursor.fetchmany(size):
                yield batch

    def run(self, sql: str) -> None:
        """Run a statement. Raises JobStopped when stopped."""
        with self._watched():
            self._fetch(sql)

    def write(self, sql: str) -> None:
        """Run a COPY to a file by one thread: several hold rows to keep the order, the more the busier the machine is.

        Measured with 10,000,000 x 9 while PostgreSQL worked on both cores (2026-11): 35 MB more, and no time gained.
        """
        with self._watched():
            self._connection.execute("SET threads = 1")
            try:
                self._fetch(sql)
            finally:
                self._connection.execute(f"SET threads = {self._threads}")

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Return all rows of a query; what the parallel reader refuses is read by one thread, from then on."""
        if self._parallel or normal.PARALLEL not in sql:
            try:
                return self._rows(sql)
            except (duckdb.NotImplementedException, duckdb.InvalidInputException):
                if normal.PARALLEL not in sql:
                    raise
            self._parallel = False
        return self._rows(sql.replace(normal.PARALLEL, normal.SERIAL))

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query. A serial read has one thread: with several, COPY held the whole file to keep the order.

        It holds 2048 rows however long they are, and gets the memory for them that it asks for.
        """
        if normal.SERIAL not in sql:
            return self._connection.execute(sql).fetchall()
        self._connection.execute("SET threads = 1")
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.OutOfMemoryException:
            if self._memory_mb >= MOST_MB:
                raise
        finally:
            self._connection.execute(f"SET threads = {self._threads}")
        self._memory_mb = min(MOST_MB, 4 * self._memory_mb)
        self._connection.execute(f"SET memory_limit = '{self._memory_mb}MB'")
        return self._rows(sql)

    def interrupt(self) -> None:
        """End the statement that runs now, from another thread."""
        self._connection.interrupt()

    def close(self) -> None:
        """Close the connection and free its memory."""
        self._connection.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), name="aircan-engine", daemon=True)
        watcher.start()
        try:
            yield
        except duckdb.InterruptException as exc:
            raise JobStopped("a query was interrupted") from exc
        finally:
            ended.set()
            watcher.join()

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(WATCH_S):
            if self._stop.is_set():
                self._connection.interrupt()


@contextlib.contextmanager
def broken_file(found: str) -> Iterator[None]:
    """Turn what DuckDB says of a broken file of the kind `found` into FileDamaged, FileEncrypted or FormatUnknown."""
    try:
        yield
    except (duckdb.BinderException, duckdb.ParserException):
        raise
    except duckdb.OutOfMemoryException as exc:
        raise FormatUnknown(str(exc)[:200], found=f"{found} with row groups too large for the memory") from exc
    except duckdb.Error as exc:
        if "encrypt" in str(exc):
            raise FileEncrypted(str(exc)[:200], found=found) from exc
        raise FileDamaged(str(exc)[:200], found=found, reason="it cannot be read to its end") from exc


def literal(text: str) -> str:
    """Return text as an SQL string literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"

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


class Engine:
    """One DuckDB connection in memory; temporary files go to `workdir`. Never reaches the network.

    Args:
        workdir: folder for what does not fit in memory.
        memory_mb: limit of DuckDB itself; the process needs about 85 MB more (measured 2026-11).
        threads: cores to use.
        stop: asked every 0.2 s while a query runs.
    """

    def __init__(self, workdir: Path, *, stop: Stop, memory_mb: int = 96, threads: int = 2) -> None:
        self._stop = stop
        self._connection = duckdb.connect(
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": threads,
                "temp_directory": str(workdir / "duckdb"),
                "preserve_insertion_order": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            }
        )
        self._connection.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query and return all its rows. Raises JobStopped when stopped."""
        with self._watched():
            return self._execute(sql).fetchall()

    def row(self, sql: str) -> tuple[Any, ...]:
        """Run a query and return its only row."""
        return self.rows(sql)[0]

    def batches(self, sql: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        """Run a query and yield its rows in lists of at most `size`."""
        with self._watched():
            cursor = self._connection.execute(sql)
            while batch := cursor.fetchmany(size):
                yield batch

    def run(self, sql: str) -> None:
        """Run a statement. Raises JobStopped when stopped."""
        with self._watched():
            self._execute(sql)

    def _execute(self, sql: str) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql)
        except duckdb.NotImplementedException:
            if normal.PARALLEL not in sql:
                raise
            return self._connection.execute(sql.replace(normal.PARALLEL, normal.SERIAL))

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

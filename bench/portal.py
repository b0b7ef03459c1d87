"""What others feel of a load: the search of another table, and reads of the table that is replaced.

    python bench/portal.py [ROWS]        default 1,000,000 rows are loaded beside the search

The options that bound a load are at their default and at their lowest. The swap is measured over reloads of a small
table, whose work around the swap is short: with nobody in the way, then behind a query of 5 s.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _common import median_ms, write_rows
from _loads import Every, answer, datastore, drop, ended, in_process, ours, search, site, start, write_url

OTHER_ROWS = 100_000
SMALL_ROWS = 2_000
RELOADS = 10
ALONE = 100
PAUSE_S, READ_PAUSE_S = 0.05, 0.002
BOUNDS = {
    "default": {"load_connections": 2, "threads": 2, "memory_mb": 64},
    "lowest": {"load_connections": 1, "threads": 1, "memory_mb": 64},
}
"""Parameters of an order, as `load.connections`, `load.threads` and `load.memory_mb` set them."""
LOCK_MS, READ_MS, BEYOND_MS, QUERY_S = 10, 50, 20, 5


def question(app: Any, table: str) -> Callable[[], None]:
    """Return a search for a word that some rows hold, for any thread."""

    def ask() -> None:
        with app._wsgi_app.test_request_context():
            assert len(search(table, q="Quito", limit=10)["records"]) == 10

    return ask


def slowdown(path: Path, ask: Callable[[], None], cursor: Any) -> None:
    """Print the search of another table during a load against the same search alone."""
    for name, params in BOUNDS.items():
        with Every(ask, PAUSE_S) as alone:
            _wait_for(alone, ALONE)
        load = start(__file__, "ours", path=str(path), params=params)
        with Every(ask, PAUSE_S) as during:
            found = ended(load)
        drop(cursor, found["table"])
        began = found["ended"] - found["seconds"]
        quiet = [took for _, took in alone.times]
        busy = [took for at, took in during.times if at >= began]
        print(
            f"datastore_search of another table, {name} connections and threads: during a load of"
            f" {found['seconds']:.1f} s {median_ms(busy):.1f} ms, alone {median_ms(quiet):.1f} ms:"
            f" {median_ms(busy) / median_ms(quiet):.2f}x; of 20 the slowest {_slowest(busy):.0f} ms,"
            f" alone {_slowest(quiet):.0f} ms; {len(busy)} searches",
            flush=True,
        )


def swaps(path: Path, cursor: Any) -> None:
    """Print the lock of a swap and what readers wait, with nobody in the way and behind a long query."""
    from ckanext.aircan_connector.datastore.publish import LOCK_WAIT_MS

    with replaced(path, cursor) as table, reader(table) as read:
        found = []
        with Every(read, READ_PAUSE_S) as reads:
            found.extend(in_process(__file__, "ours", path=str(path), table=table) for _ in range(RELOADS))
        longest = max(times["lock"] for times in found) * 1000
        print(f"swap: exclusive lock: longest {longest:.1f} ms of {RELOADS} (at most {LOCK_MS})")
        worst = max(took for _, took in reads.times) * 1000
        typical = median_ms([took for _, took in reads.times])
        print(
            f"swap: longest read of others: {worst:.1f} ms of {len(reads.times)} reads,"
            f" median {typical:.2f} ms (at most {READ_MS})",
            flush=True,
        )
        hold = f'SELECT pg_sleep({QUERY_S}) FROM (SELECT FROM "{table}" LIMIT 1) one'
        with Every(read, READ_PAUSE_S) as reads:
            held = in_process(__file__, "ours", path=str(path), table=table, before_swap=hold)
        worst = max(took for _, took in reads.times) * 1000
        print(
            f"swap: behind a query of {QUERY_S} s: longest read {worst:.0f} ms, {held['tries']:.0f} tries"
            f" (at most {LOCK_WAIT_MS + BEYOND_MS})"
        )


@contextmanager
def replaced(path: Path, cursor: Any) -> Iterator[str]:
    """Load a table that the reloads replace; drop it at the end."""
    table = str(uuid.uuid4())
    try:
        in_process(__file__, "ours", path=str(path), table=table)
        yield table
    finally:
        drop(cursor, table)


@contextmanager
def reader(table: str) -> Iterator[Callable[[], None]]:
    """Enter a function that reads ten rows of a table on a connection of its own."""
    with datastore(write_url()) as cursor:

        def read() -> None:
            cursor.execute(f'SELECT * FROM "{table}" ORDER BY _id LIMIT 10')
            assert len(cursor.fetchall()) == 10

        yield read


def _wait_for(every: Every, count: int) -> None:
    while len(every.times) < count:
        time.sleep(0.05)


def _slowest(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1] * 1000


def main(rows: int) -> None:
    """Measure the search of another table, then the swaps."""
    with tempfile.TemporaryDirectory() as folder, datastore(write_url()) as cursor, site() as app:
        path, other, small = (Path(folder) / name for name in ("rows.csv", "other.csv", "small.csv"))
        write_rows(path, rows)
        write_rows(other, OTHER_ROWS)
        write_rows(small, SMALL_ROWS)
        searched = in_process(__file__, "ours", path=str(other))["table"]
        try:
            slowdown(path, question(app, searched), cursor)
        finally:
            drop(cursor, searched)
        swaps(small, cursor)


if __name__ == "__main__":
    if not answer({"ours": ours}):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

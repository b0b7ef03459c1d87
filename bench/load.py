"""Loads against two yardsticks, for four files: mixed rows, fewer mixed rows, 200 columns, text-heavy.

P is one plain COPY of the same clean rows into the typed table with its primary key. The floor knows the types
and has the clean rows cut already: two connections that COPY with the exact vector in a trigger of one call, then
primary key, the full-text index that CKAN would make, and ANALYZE. Its vectors are compared with the load's.

    python bench/load.py [ROWS] [FILE ...]        FILE: mixed, small, wide, text; default all, 1,000,000 rows

Needs CKAN_INI. Each way to publish is loaded in a process of its own, whose peak memory is printed.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
from _common import ckan_site, peak_mb, seconds, write_rows, write_text, write_wide

AT_LEAST = {"complete": (1.20, "floors"), "searchable": (6.5, "P"), "rows": (2.5, "P")}


def load(path: str, publish: str) -> None:
    """Load a file once, in this process of its own, and print what it took as JSON."""
    with ckan_site():
        from aircan.contract import Dataset, Order, Resource
        from aircan.ports import never
        from aircan.run import run
        from aircan.steps.fetch import FileSource
        from ckanext.aircan_connector.datastore.sink import DirectSink

        resource_id, job_id = str(uuid.uuid4()), str(uuid.uuid4())
        order = Order(job_id, "LOAD", Resource(resource_id, path=path), Dataset("d"), {"publish": publish})
        reports: list[Any] = []
        sink = DirectSink(job_id, resource_id)
        before = peak_mb()
        with tempfile.TemporaryDirectory() as folder:
            ports = {"source": FileSource(Path(path)), "sink": sink, "tell": reports.append, "stop": never()}
            took = seconds(lambda: run(order, **ports, workdir=Path(folder)))
        sink.close()
    assert reports[-1].status.value == "DONE", reports[-1]
    found = {"seconds": took, "peak_mb": peak_mb(), "before_mb": before, "table": resource_id, **sink.measured}
    print("RESULT " + json.dumps(found))


class Yardsticks:
    """P and the floor for the rows of a table that was loaded."""

    def __init__(self, url: str, table: str, folder: Path) -> None:
        self._url, self._table, self._folder = url, table, folder
        self._connection = psycopg2.connect(url)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._cursor.execute(
            "SELECT attname, typname FROM pg_attribute a JOIN pg_type t ON t.oid = atttypid"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND attname <> '_full_text' ORDER BY attnum",
            (f'"{table}"',),
        )
        self._columns: list[tuple[str, str]] = self._cursor.fetchall()
        self._listed = ", ".join(f'"{name}"' for name, _ in self._columns)
        self._rows = folder / "clean.csv"
        with self._rows.open("wb") as out:
            self._cursor.execute("SET max_parallel_workers_per_gather = 0")
            self._cursor.copy_expert(
                f'COPY (SELECT {self._listed} FROM "{table}" ORDER BY _id) TO STDOUT (FORMAT csv)', out
            )

    def plain(self) -> float:
        """Return P in seconds."""

        def copy() -> None:
            with self._rows.open("rb") as rows:
                self._make("bench_p", with_vector=False)
                self._cursor.copy_expert(f"COPY bench_p ({self._listed}) FROM STDIN (FORMAT csv)", rows)
                self._cursor.execute("ALTER TABLE bench_p ADD PRIMARY KEY (_id)")

        took = seconds(copy)
        self._cursor.execute("DROP TABLE bench_p")
        return took

    def floor(self, index: str) -> float:
        """Return the floor in seconds. `index`: what follows CREATE INDEX ON table. Raises when a vector differs."""
        halves = self._halves()

        def build() -> None:
            self._make("bench_f", with_vector=True)
            threads = [threading.Thread(target=self._copy, args=(half,)) for half in halves]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self._cursor.execute("ALTER TABLE bench_f ADD PRIMARY KEY (_id)")
            self._cursor.execute(f"CREATE INDEX ON bench_f {index}")
            self._cursor.execute("ANALYZE bench_f")

        took = seconds(build)
        self._cursor.execute(
            f"SELECT count(*), count(*) FILTER (WHERE f._full_text IS NOT DISTINCT FROM t._full_text)"
            f' FROM "{self._table}" t LEFT JOIN bench_f f USING (_id)'
        )
        rows, equal = self._cursor.fetchone()
        assert rows == equal, f"{rows - equal} of {rows} vectors differ"
        self._cursor.execute("DROP TABLE bench_f; DROP FUNCTION bench_f()")
        return took

    def drop(self) -> None:
        """Drop the loaded table."""
        self._cursor.execute(f'DROP TABLE "{self._table}"')
        self._connection.close()

    def _halves(self) -> list[Path]:
        halves = [self._folder / "half0.csv", self._folder / "half1.csv"]
        size = self._rows.stat().st_size
        with self._rows.open("rb") as rows, halves[0].open("wb") as first, halves[1].open("wb") as second:
            while rows.tell() < size // 2:
                first.write(rows.readline())
            for block in iter(lambda: rows.read(1 << 20), b""):
                second.write(block)
        return halves

    def _copy(self, half: Path) -> None:
        with psycopg2.connect(self._url) as connection, connection.cursor() as cursor, half.open("rb") as rows:
            cursor.execute("SET datestyle = 'ISO, YMD'")
            cursor.copy_expert(f"COPY bench_f ({self._listed}) FROM STDIN (FORMAT csv)", rows)

    def _make(self, name: str, *, with_vector: bool) -> None:
        columns = ", ".join(f'"{column}" {kind}' for column, kind in self._columns)
        vector = ", _full_text tsvector" if with_vector else ""
        self._cursor.execute(f"CREATE TABLE {name} ({columns}{vector})")
        if with_vector:
            texts = _chunked([_text(column, kind) for column, kind in self._columns if column != "_id"])
            self._cursor.execute(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN"
                f" NEW._full_text := to_tsvector(concat_ws(' ', {texts})); RETURN NEW; END $f$;"
                f" CREATE TRIGGER z BEFORE INSERT ON {name} FOR EACH ROW EXECUTE PROCEDURE {name}()"
            )


def _text(column: str, kind: str) -> str:
    if kind in ("text", "numeric", "date"):
        return f'NEW."{column}"'
    return f'NEW."{column}"::text' if kind == "bool" else f"(to_json(NEW.\"{column}\") #>> '{{}}')"


def _chunked(texts: list[str]) -> str:
    """Return the arguments of a concat_ws, which takes at most 100."""
    if len(texts) <= 90:
        return ", ".join(texts)
    chunks = [", ".join(texts[i : i + 90]) for i in range(0, len(texts), 90)]
    return ", ".join(f"concat_ws(' ', {chunk})" for chunk in chunks)


def measure(name: str, path: Path, url: str, index: Callable[[], str], folder: Path) -> None:
    """Load a file once for each way to publish, and print each against the yardsticks of this run."""
    found = {}
    for publish in AT_LEAST:
        done = subprocess.run(
            [sys.executable, __file__, "--load", str(path), publish], check=True, stdout=subprocess.PIPE, text=True
        )
        found[publish] = json.loads(next(x for x in done.stdout.splitlines() if x.startswith("RESULT "))[7:])
    sticks = Yardsticks(url, found["complete"]["table"], folder)
    yard = {"P": statistics.median(sticks.plain() for _ in range(3)), "floors": sticks.floor(index())}
    print(f"{name}: {path.stat().st_size / 1e6:.0f} MB; P {yard['P']:.2f} s, floor {yard['floors']:.2f} s")
    for publish, took in found.items():
        at_least, unit = AT_LEAST[publish]
        # Behind the swap come the rest of the work and the index: people see the rows before that.
        visible = took["seconds"] - (took["behind"] if publish != "complete" else 0)
        print(
            f"{name}: {publish}: ours {visible:.2f} s, theirs {yard[unit]:.2f} s: {visible / yard[unit]:.2f} {unit}"
            f" (at most {at_least}); all done after {took['seconds']:.2f} s = {took['seconds'] / yard['floors']:.2f}"
            f" floors; peak {took['peak_mb']:.0f} MB, {took['before_mb']:.0f} of it CKAN before the load"
        )
        parts = {part: round(s, 2) for part, s in took.items() if part in ("key", "index", "analyze", "swap", "behind")}
        print(f"    {parts}")
        with psycopg2.connect(url) as connection, connection.cursor() as cursor:
            if publish != "complete":
                cursor.execute(f'DROP TABLE "{took["table"]}"')
    sticks.drop()


def main(arguments: list[str]) -> None:
    """Write the files, then measure each."""
    rows = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 1_000_000
    wanted = arguments or ["mixed", "small", "wide", "text"]
    writers: dict[str, Callable[[Path], None]] = {
        "mixed": lambda path: write_rows(path, rows),
        "small": lambda path: write_rows(path, rows // 5),
        "wide": lambda path: write_wide(path, rows // 20),
        "text": lambda path: write_text(path, rows // 5),
    }
    with ckan_site():
        from ckanext.aircan_connector import config
        from ckanext.aircan_connector.datastore import indexes

        url = config.datastore_write_url()
        made = indexes.full_text("bench", {})[0]
    for name in wanted:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.csv"
            writers[name](path)
            measure(name, path, url, lambda: f"USING {made.method} ({made.expression})", Path(folder))


if __name__ == "__main__":
    load(*sys.argv[2:4]) if sys.argv[1:2] == ["--load"] else main(sys.argv[1:])

"""A load of 1,000,000 rows x 9 mixed columns against a plain COPY of the same cleaned rows into the same typed table.

Prints seconds, the ratio, and the most memory that the loading process had. `complete` has rows, full text,
primary key and full-text index; the plain COPY has only rows and primary key.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import psycopg2
from _common import ckan_site, peak_mb, seconds, write_rows

ROWS = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else 1_000_000


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
        reports = []
        sink = DirectSink(job_id, resource_id)
        before = peak_mb()
        with tempfile.TemporaryDirectory() as folder:
            took = seconds(
                lambda: run(
                    order,
                    source=FileSource(Path(path)),
                    sink=sink,
                    tell=reports.append,
                    stop=never(),
                    workdir=Path(folder),
                )
            )
        sink.close()
    last = reports[-1]
    assert last.status.value == "DONE", last
    found = {"seconds": took, "peak_mb": peak_mb(), "before_mb": before, "table": resource_id, **sink.measured}
    print("RESULT " + json.dumps(found))


def plain_copy(url: str, table: str) -> float:
    """Return the seconds of COPY of the same rows into the same typed table, with its primary key."""
    with psycopg2.connect(url) as connection, connection.cursor() as cursor, tempfile.TemporaryFile() as rows:
        cursor.execute("SET max_parallel_workers_per_gather = 0")
        cursor.execute(
            "SELECT string_agg(format('%%I', attname), ', ' ORDER BY attnum) FROM pg_attribute"
            " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND attname <> '_full_text'",
            (f'"{table}"',),
        )
        columns = cursor.fetchone()[0]
        cursor.copy_expert(f'COPY (SELECT {columns} FROM "{table}" ORDER BY _id) TO STDOUT (FORMAT csv)', rows)
        connection.commit()
        rows.seek(0)

        def copy() -> None:
            cursor.execute(f'CREATE TABLE bench_plain AS SELECT {columns} FROM "{table}" WHERE false')
            cursor.copy_expert("COPY bench_plain FROM STDIN (FORMAT csv)", rows)
            cursor.execute("ALTER TABLE bench_plain ADD PRIMARY KEY (_id)")
            connection.commit()

        took = seconds(copy)
        cursor.execute("DROP TABLE bench_plain")
        cursor.execute(f'DROP TABLE "{table}"')
    return took


def measure(path: Path, publish: str, url: str) -> None:
    """Load in a process of its own, copy the same rows plainly, and print both."""
    command = [sys.executable, __file__, "--load", str(path), publish]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(next(x for x in done.stdout.splitlines() if x.startswith("RESULT "))[7:])
    plain = plain_copy(url, found["table"])
    print(
        f"load: {publish}: {ROWS:,} rows in {found['seconds']:.1f} s, plain COPY {plain:.1f} s:"
        f" {found['seconds'] / plain:.1f}x; peak {found['peak_mb']:.0f} MB,"
        f" of which {found['before_mb']:.0f} MB were CKAN before the load"
    )


def main() -> None:
    """Write the file, then measure both ways to publish."""
    with ckan_site():
        from ckanext.aircan_connector import config

        url = config.datastore_write_url()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, ROWS)
        print(f"load: {ROWS:,} rows x 9 columns, {path.stat().st_size / 1e6:.0f} MB")
        for publish in ("complete", "searchable"):
            measure(path, publish, url)


if __name__ == "__main__":
    load(*sys.argv[2:4]) if sys.argv[1:2] == ["--load"] else main()

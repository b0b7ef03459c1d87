"""Peak memory of a load for files of 100 MB, 1 GB and 5 GB, and the time of a row when there are ten times as many.

    python bench/memory.py [MB ...] [rows=ROWS] [library]      default 100 1000, rows=1000000 (and ten times as many)

`0` as the only size leaves out the first measurement, `rows=0` the second. With `library` the files are read, typed
and converted into a sink that throws the rows away: what is left out is PostgreSQL's own work, in processes of its
own. Otherwise they are loaded into the DataStore; the memory of CKAN before the load is part of the peak and printed
beside it.
"""

from __future__ import annotations

import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from _common import peak_mb, seconds, write_rows
from _loads import answer, assert_complete, in_process, kept, ours

AT_MOST_MB = 250
AT_MOST = 1.3
TRIAL_ROWS = 20_000


class Discard:
    """A sink that counts the rows and throws them away."""

    def __init__(self) -> None:
        self.rows = 0

    def columns(self) -> None:
        """There is no table."""

    def begin(self, fields: Any, writing: Any = None) -> None:
        """Begin with no rows."""
        self.rows = 0

    def put(self, part: Any) -> None:
        """Count the rows of a part."""
        self.rows += part.rows

    def publish(self, *, rows: int, when: Any) -> Any:
        """Fail unless all rows came."""
        from aircan.contract import Written

        assert rows == self.rows
        return Written(total=rows)

    def discard(self) -> None:
        """Nothing is kept."""


def library(asked: dict[str, Any]) -> dict[str, Any]:
    """Carry a load out with the library alone."""
    from aircan.contract import Dataset, Order, Resource
    from aircan.net.sources import FileSource
    from aircan.ports import never
    from aircan.run import run

    path, sink, reports = Path(asked["path"]), Discard(), list[Any]()
    order = Order(str(uuid.uuid4()), "LOAD", Resource("bench", path=str(path)), Dataset("d"), {})
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        ports = {"source": FileSource(path), "sink": sink, "tell": reports.append, "stop": never()}
        took = seconds(lambda: run(order, **ports, workdir=Path(folder)))
    assert reports[-1].status.value == "DONE", reports[-1]
    return {"seconds": took, "peak_mb": peak_mb(), "before_mb": before, "rows": sink.rows}


def load(path: Path, rows: int, way: str) -> dict[str, Any]:
    """Load a file, look whether all of it is there, drop the table."""
    found = in_process(__file__, way, path=str(path))
    if way == "ours":
        with kept() as (cursor, tables):
            tables.append(found["table"])
            assert_complete(cursor, found["table"], rows)
    assert found["rows"] == rows, found
    return found


def memory(sizes_mb: list[int], way: str, folder: Path) -> None:
    """Print the peak of each size."""
    path = folder / "rows.csv"
    write_rows(path, TRIAL_ROWS)
    row_bytes = path.stat().st_size / TRIAL_ROWS
    for size_mb in filter(None, sizes_mb):
        rows = int(size_mb * 1e6 / row_bytes)
        write_rows(path, rows)
        found = load(path, rows, way)
        print(
            f"memory, {path.stat().st_size / 1e6:.0f} MB, {rows} rows,"
            f" {'into the DataStore' if way == 'ours' else 'the library alone, rows thrown away'}:"
            f" peak {found['peak_mb']:.0f} MB, {found['before_mb']:.0f} of it before the load,"
            f" {found['seconds']:.1f} s (at most {AT_MOST_MB} MB)",
            flush=True,
        )


def growth(rows: int, folder: Path) -> None:
    """Print the time of a row with ten times as many rows against the time of a row."""
    per_row = {}
    for count in (rows, rows * 10):
        path = folder / "rows.csv"
        write_rows(path, count)
        found = load(path, count, "ours")
        per_row[count] = found["seconds"] / count
        print(f"growth: {count} rows: {found['seconds']:.1f} s, peak {found['peak_mb']:.0f} MB", flush=True)
    ratio = per_row[rows * 10] / per_row[rows]
    print(f"time per row, {rows * 10} rows against {rows}: {ratio:.2f}x (at most {AT_MOST})")


def main(arguments: list[str]) -> None:
    """Measure memory, then growth."""
    rows = [int(word.removeprefix("rows=")) for word in arguments if word.startswith("rows=")] or [1_000_000]
    sizes_mb = [int(word) for word in arguments if word.isdigit()] or [100, 1000]
    with tempfile.TemporaryDirectory() as folder:
        memory(sizes_mb, "library" if "library" in arguments else "ours", Path(folder))
        if rows[0]:
            growth(rows[0], Path(folder))


if __name__ == "__main__":
    if not answer({"ours": ours, "library": library}):
        main(sys.argv[1:])

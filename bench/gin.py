"""What a portal gains and pays with gin instead of gist, CKAN's default, as the method of the full-text index.

    python bench/gin.py [ROWS]        default 1,000,000 rows

The same file is loaded with each, and CKAN's datastore_search asked the same questions, as often in turn.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import median_ms, seconds, write_rows
from _loads import answer, assert_complete, in_process, kept, ours, search, site

METHODS = ("gist", "gin")
OPTION = "ckan.datastore.default_fts_index_method"
ROUNDS = 20
QUESTIONS = {
    "a rare word": {"q": "31"},
    "three words": {"q": "row words 31"},
    "a word of one row in seven": {"q": "Quito"},
    "the beginning of a word": {"q": {"note": "wor"}},
    "no word": {},
}


def asked_in_turn(tables: dict[str, str], question: dict[str, Any]) -> dict[str, float]:
    """Return the median of milliseconds of a question for each table."""
    times: dict[str, list[float]] = {method: [] for method in tables}
    for _ in range(ROUNDS + 1):
        for method, table in tables.items():
            times[method].append(seconds(lambda table=table: search(table, limit=10, **question)))
    return {method: median_ms(found[1:]) for method, found in times.items()}


def main(rows: int) -> None:
    """Load with both methods, then ask."""
    loads: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, kept() as (cursor, made):
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        for method in METHODS:
            loads[method] = in_process(__file__, "ours", path=str(path), settings={OPTION: method})
            made.append(loads[method]["table"])
            assert_complete(cursor, loads[method]["table"], rows)
            cursor.execute("SELECT pg_indexes_size(to_regclass(%s))", (f'"{loads[method]["table"]}"',))
            loads[method]["size_mb"] = cursor.fetchone()[0] / 1e6
        for what, unit in (("seconds", "s"), ("index", "s"), ("size_mb", "MB")):
            gist, gin = (loads[method][what] for method in METHODS)
            name = {"seconds": "load to complete", "index": "index alone", "size_mb": "all indexes"}[what]
            print(f"{name}, {rows} rows: gist {gist:.2f} {unit}, gin {gin:.2f} {unit}: {gin / gist:.2f}", flush=True)
        with site():
            tables = {method: loads[method]["table"] for method in METHODS}
            ratios = []
            for name, question in QUESTIONS.items():
                found = asked_in_turn(tables, question)
                ratios.append(found["gin"] / found["gist"])
                print(
                    f"search, {name}: gist {found['gist']:.1f} ms, gin {found['gin']:.1f} ms: {ratios[-1]:.2f}",
                    flush=True,
                )
    print(f"search with gin takes {statistics.geometric_mean(ratios[:-1]):.2f} of the time with gist")


if __name__ == "__main__":
    if not answer({"ours": ours}):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

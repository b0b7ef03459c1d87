"""Two loads at once against the same two one after the other.

    python bench/two.py [ROWS]        default 1,000,000 rows each

Each load is a process of its own and begins when CKAN has long started; two at once begin at the same moment.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from _common import write_rows
from _loads import answer, assert_complete, drop, ended, in_process, kept, ours, start

START_S = 20
AT_MOST = 0.8


def main(rows: int) -> None:
    """Load one after the other, then both at once."""
    with tempfile.TemporaryDirectory() as folder, kept() as (cursor, tables):
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        one_by_one = 0.0
        for _ in range(2):
            found = in_process(__file__, "ours", path=str(path), at=time.time() + START_S)
            one_by_one += found["seconds"]
            tables.append(found["table"])
            assert_complete(cursor, found["table"], rows)
            drop(cursor, found["table"])
        at = time.time() + START_S
        both = [ended(process) for process in [start(__file__, "ours", path=str(path), at=at) for _ in range(2)]]
        tables.extend(found["table"] for found in both)
        for found in both:
            assert_complete(cursor, found["table"], rows)
    at_once = max(found["ended"] for found in both) - at
    ratio = at_once / one_by_one
    print(
        f"two loads of {rows} rows at once: ours {at_once:.2f} s, one after the other {one_by_one:.2f} s:"
        f" {ratio:.2f} of the time (at most {AT_MOST})"
    )


if __name__ == "__main__":
    if not answer({"ours": ours}):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)

"""A load against CKAN's own API: datastore_create, then datastore_upsert in batches of their best size.

    python bench/api.py [ROWS] [ROWS-OF-THE-TRIAL]        default 1,000,000 and 50,000

The actions are called in one process, without HTTP, with the types known and the records ready: that is kind to
them. Every size of a batch is tried on a smaller file first; the best one loads the whole.
"""

from __future__ import annotations

import csv
import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

from _common import seconds, write_rows
from _loads import answer, assert_complete, drop, faster, in_process, kept, ours, site

SIZES = (250, 1000, 5000, 20000)
AT_LEAST = 5
TYPES = ("numeric", "numeric", "numeric", "text", "text", "timestamp", "timestamp", "text", "text")
"""CKAN's own types for the columns of `write_rows`."""


def api(asked: dict[str, Any]) -> dict[str, Any]:
    """Make a table through the API and insert the rows of a file in batches."""
    with site(), Path(asked["path"]).open(newline="", encoding="utf-8") as file:
        import ckantoolkit as tk
        from _common import make_dataset

        user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]

        def act(action: str, **data: Any) -> Any:
            return tk.get_action(action)({"user": user, "ignore_auth": True}, data)

        dataset = make_dataset()
        table = act("resource_create", package_id=dataset["id"], url="http://example.org/bench.api")["id"]
        reader = csv.DictReader(file)
        fields = [{"id": name, "type": kind} for name, kind in zip(reader.fieldnames or (), TYPES, strict=True)]

        def load() -> None:
            act("datastore_create", resource_id=table, fields=fields, force=True)
            for batch in iter(lambda: list(itertools.islice(reader, asked["size"])), []):
                act("datastore_upsert", resource_id=table, records=batch, method="insert", force=True)
            act("datastore_search", resource_id=table, limit=0)

        took = seconds(load)
        act("package_delete", id=dataset["id"])
    return {"seconds": took, "table": table}


def main(rows: int, trial_rows: int) -> None:
    """Find the best size of a batch, then load the whole both ways."""
    with tempfile.TemporaryDirectory() as folder, kept() as (cursor, tables):
        path, trial = Path(folder) / "rows.csv", Path(folder) / "trial.csv"
        write_rows(path, rows)
        write_rows(trial, trial_rows)
        tried = {}
        for size in SIZES:
            found = in_process(__file__, "api", path=str(trial), size=size)
            tried[size] = found["seconds"]
            print(f"api: batches of {size}: {found['seconds']:.2f} s for {trial_rows} rows", flush=True)
            drop(cursor, found["table"])
        best = min(tried, key=lambda size: tried[size])
        theirs = in_process(__file__, "api", path=str(path), size=best)
        tables.append(theirs["table"])
        assert_complete(cursor, theirs["table"], rows)
        drop(cursor, theirs["table"])
        mine = in_process(__file__, "ours", path=str(path))
        tables.append(mine["table"])
        assert_complete(cursor, mine["table"], rows)
    measure = f"complete, {rows} rows, against datastore_upsert in batches of {best}"
    faster(measure, mine["seconds"], theirs["seconds"], AT_LEAST)


if __name__ == "__main__":
    if not answer({"ours": ours, "api": api}):
        given = [int(word) for word in sys.argv[1:3]]
        main(given[0] if given else 1_000_000, given[1] if len(given) > 1 else 50_000)

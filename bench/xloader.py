"""Loads against ckanext-xloader 2.6.0: its own code, in an environment of its own, on the same CKAN and PostgreSQL.

    python bench/xloader.py [ROWS] [rows|flights ...]        default 1,000,000 rows, both

rows: mixed rows to complete. Both make the one index of the whole row (`default_fts_index_field_types` is empty),
and xloader's table must have it at the end: on CKAN 2.12 it never has, because xloader does not commit there.
flights: the 336,776 flights of 2013 from upload to complete, CKAN and xloader as they come.

Needs CKAN 2.11 or 2.10, as `make bench CKAN_VERSION=2.11.6 ARGS=xloader.py` has it, and CKAN_INI, CKAN_URL,
CKAN_API_TOKEN. xloader gets the file from a web server on the loopback that does nothing else.
"""

from __future__ import annotations

import functools
import http.server
import logging
import os
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from _common import seconds, write_rows
from _loads import answer, assert_complete, drop, faster, in_process, kept, ours, site
from _peers import flights as unpack_flights
from _peers import xloader as xloader_python

ONE_INDEX = {"ckan.datastore.default_fts_index_field_types": ""}
AT_LEAST = {"rows": 1.4, "flights": 5}
FLIGHTS = 336_776
LIMIT_S = 3600


def theirs(asked: dict[str, Any]) -> dict[str, Any]:
    """Save a resource with a link and do what xloader's worker does with it. `formats` keeps its hook quiet."""
    settings = {"ckan.plugins": "datastore xloader", "ckanext.xloader.formats": "none", **asked.get("settings", {})}
    with site(**settings):
        import ckantoolkit as tk
        from _common import make_dataset
        from ckanext.xloader import jobs

        user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
        dataset = make_dataset()
        given = {"package_id": dataset["id"], "url": asked["url"], "format": "CSV"}
        created: list[dict[str, Any]] = []

        def create() -> None:
            created.append(tk.get_action("resource_create")({"user": user, "ignore_auth": True}, given))

        saved_s = seconds(create)
        table = created[0]["id"]
        metadata = {"resource_id": table, "ckan_url": os.environ["CKAN_URL"], "original_url": asked["url"]}
        work = {"api_key": os.environ["CKAN_API_TOKEN"], "metadata": metadata}
        logger = logging.getLogger("bench.xloader")
        took = seconds(lambda: jobs.xloader_data_into_datastore_(work, {}, logger))
        tk.get_action("package_delete")({"user": user, "ignore_auth": True}, {"id": dataset["id"]})
    return {"seconds": took, "saved_s": saved_s, "table": table}


@contextmanager
def served(path: Path) -> Iterator[str]:
    """Serve a file on the loopback; its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    handler = functools.partial(Quiet, directory=str(path.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{path.name}"
        finally:
            server.shutdown()
            thread.join()


def act(action: str, files: Any = None, **data: Any) -> Any:
    """Call an action of the live site over HTTP."""
    url = f"{os.environ['CKAN_URL']}/api/3/action/{action}"
    body = {"data": data, "files": files} if files else {"json": data}
    headers = {"Authorization": os.environ["CKAN_API_TOKEN"]}
    found = requests.post(url, headers=headers, timeout=300, **body)
    found.raise_for_status()
    return found.json()["result"]


@contextmanager
def organisation() -> Iterator[str]:
    """Make an organisation with a dataset on the live site; the dataset's id. Both are purged at the end."""
    name = f"bench-{uuid.uuid4()}"
    act("organization_create", name=name)
    try:
        dataset = act("package_create", name=name, owner_org=name)["id"]
        try:
            yield dataset
        finally:
            act("dataset_purge", id=dataset)
    finally:
        act("organization_purge", id=name)


def uploaded(path: Path, dataset: str) -> dict[str, Any]:
    """Upload a file to the live site and wait until its worker has loaded it."""
    began = time.perf_counter()
    with path.open("rb") as file:
        made = act("resource_create", {"upload": (path.name, file)}, package_id=dataset, name="flights", format="CSV")
    while time.perf_counter() - began < LIMIT_S:
        jobs = act("aircan_job_list", resource=made["id"])["results"]
        if jobs and jobs[0]["status"] not in ("WAITING", "RUNNING"):
            break
        time.sleep(0.2)
    took = time.perf_counter() - began
    assert jobs[0]["status"] == "DONE", jobs[0]
    return {"seconds": took, "table": made["id"]}


def rows(count: int, python: Path) -> None:
    """Mixed rows, complete, one index each."""
    with tempfile.TemporaryDirectory() as folder, kept() as (cursor, tables):
        path = Path(folder) / "rows.csv"
        write_rows(path, count)
        with served(path) as url:
            peer = in_process(__file__, "theirs", str(python), url=url, settings=ONE_INDEX)
        tables.append(peer["table"])
        assert_complete(cursor, peer["table"], count)
        drop(cursor, peer["table"])
        mine = in_process(__file__, "ours", path=str(path), settings=ONE_INDEX)
        tables.append(mine["table"])
        assert_complete(cursor, mine["table"], count)
    faster(f"complete, {count} rows, against xloader", mine["seconds"], peer["seconds"], AT_LEAST["rows"])


def flights(python: Path) -> None:
    """Print what the flights take from upload to complete."""
    with tempfile.TemporaryDirectory() as folder, kept() as (cursor, tables):
        path = unpack_flights(python, Path(folder))
        with served(path) as url:
            peer = in_process(__file__, "theirs", str(python), url=url)
        tables.append(peer["table"])
        assert_complete(cursor, peer["table"], FLIGHTS)
        theirs_types = types_of(cursor, peer["table"])
        drop(cursor, peer["table"])
        with organisation() as dataset:
            mine = uploaded(path, dataset)
            tables.append(mine["table"])
            assert_complete(cursor, mine["table"], FLIGHTS)
            ours_types = types_of(cursor, mine["table"])
    print(f"flights: types: ours {ours_types}, theirs {theirs_types}")
    took = peer["saved_s"] + peer["seconds"]
    faster(f"{FLIGHTS} flights, upload to complete, against xloader", mine["seconds"], took, AT_LEAST["flights"])


def types_of(cursor: Any, table: str) -> dict[str, int]:
    """Return how many columns of a table have each type."""
    cursor.execute(
        "SELECT format_type(atttypid, NULL), count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s)"
        " AND attnum > 0 AND attname NOT IN ('_id', '_full_text') GROUP BY 1 ORDER BY 1",
        (f'"{table}"',),
    )
    return dict(cursor.fetchall())


def main(arguments: list[str]) -> None:
    """Measure what is asked for."""
    from importlib.metadata import version

    if not version("ckan").startswith(("2.10", "2.11")):
        raise SystemExit("xloader leaves no index on this CKAN. Run: make bench CKAN_VERSION=2.11.6 ARGS=xloader.py")
    count = next((int(word) for word in arguments if word.isdigit()), 1_000_000)
    wanted = [word for word in arguments if not word.isdigit()] or ["rows", "flights"]
    python = xloader_python()
    if "rows" in wanted:
        rows(count, python)
    if "flights" in wanted:
        flights(python)


if __name__ == "__main__":
    if not answer({"ours": ours, "theirs": theirs}):
        main(sys.argv[1:])

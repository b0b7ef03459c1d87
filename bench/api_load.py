"""A whole load through CKAN's own API over HTTP (`ApiSink`, the DAG aircan_api_load) against one by `DirectSink`.

    python bench/api_load.py [ROWS]        default 100,000

Both fetch, read, type and convert the same file in a process of their own; the difference is how the rows get into
the table. CKAN answers from one process with threads, as a small site does; a table and its index are complete in
the end either way.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from _common import seconds, write_rows
from _loads import answer, assert_complete, in_process, kept, ours, site


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback; give its address."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    quiet = type("Quiet", (WSGIRequestHandler,), {"log": lambda *_args: None})
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def api(asked: dict[str, Any]) -> dict[str, Any]:
    """Serve CKAN and have another process load a file into a new table through it."""
    with site() as app:
        import ckantoolkit as tk
        from _common import make_dataset

        user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
        context = {"user": user, "ignore_auth": True}
        dataset = make_dataset()
        told = {"package_id": dataset["id"], "url": "http://example.org/bench.api"}
        table = tk.get_action("resource_create")(dict(context), told)["id"]
        token = tk.get_action("api_token_create")(dict(context), {"user": user, "name": "bench"})["token"]
        with served(app) as url:
            found = in_process(__file__, "client", url=url, token=token, table=table, path=asked["path"])
        tk.get_action("package_delete")(dict(context), {"id": dataset["id"]})
    return {**found, "table": table}


def client(asked: dict[str, Any]) -> dict[str, Any]:
    """Load a file through the API of a CKAN; return {"seconds", "rows"}."""
    from aircan.apisink import ApiSink
    from aircan.ckanapi import CkanApi
    from aircan.contract import Dataset, Order, Resource
    from aircan.net.sources import FileSource
    from aircan.run import run

    order = Order("bench", "LOAD", Resource(asked["table"]), Dataset("d"))
    reports: list[Any] = []
    with tempfile.TemporaryDirectory() as folder:
        sink = ApiSink(CkanApi(asked["url"], asked["token"]), asked["table"], Path(folder) / "parts")
        ports = {"source": FileSource(Path(asked["path"])), "sink": sink, "tell": reports.append}
        took = seconds(lambda: run(order, **ports))
    assert reports[-1].status.value == "DONE", reports[-1]
    return {"seconds": took, "rows": reports[-1].result["rows"]}


def main(rows: int) -> None:
    """Load the same file both ways and say the ratio."""
    with tempfile.TemporaryDirectory() as folder, kept() as (cursor, tables):
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        theirs = in_process(__file__, "api", path=str(path))
        tables.append(theirs["table"])
        assert_complete(cursor, theirs["table"], rows)
        mine = in_process(__file__, "ours", path=str(path))
        tables.append(mine["table"])
        assert_complete(cursor, mine["table"], rows)
    ratio = theirs["seconds"] / mine["seconds"]
    print(f"through the API {theirs['seconds']:.1f} s, direct {mine['seconds']:.1f} s, {rows} rows: {ratio:.1f} times")


if __name__ == "__main__":
    if not answer({"ours": ours, "api": api, "client": client}):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)

"""What the benchmarks of whole loads share: a load in a process of its own, its table, a line to print.

A way to load is a function of one dict that answers with another; `in_process` runs it in a fresh process, because
peak memory and the state of CKAN belong to a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
from _common import peak_mb, seconds

MARK = "RESULT "


@contextmanager
def site(**settings: Any) -> Iterator[Any]:
    """Enter CKAN as CKAN_INI has it, with these options instead of the file's."""
    from ckan.cli import CKANConfigLoader
    from ckan.config.middleware import make_app

    config = CKANConfigLoader(os.environ["CKAN_INI"]).get_config()
    config.update(settings)
    app = make_app(config)
    with app._wsgi_app.test_request_context():
        yield app


def in_process(script: str, way: str, python: str = sys.executable, **asked: Any) -> dict[str, Any]:
    """Run a way of a script in a process of its own and return its answer. Raises with its last lines when it fails."""
    return ended(start(script, way, python, **asked))


def start(script: str, way: str, python: str = sys.executable, **asked: Any) -> subprocess.Popen[str]:
    """Start a way of a script; `ended` waits for it."""
    command = [python, script, "--way", way, json.dumps(asked)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Wait for a process of `start` and return its answer."""
    said, _ = process.communicate()
    found = [line for line in said.splitlines() if line.startswith(MARK)]
    if process.returncode or not found:
        raise RuntimeError("\n".join(said.splitlines()[-30:]))
    return dict(json.loads(found[-1][len(MARK) :]))


def answer(ways: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]]) -> bool:
    """Carry out the way that this process was started for, if it was."""
    if sys.argv[1:2] != ["--way"]:
        return False
    print(MARK + json.dumps(ways[sys.argv[2]](json.loads(sys.argv[3]))), flush=True)
    return True


def ours(asked: dict[str, Any]) -> dict[str, Any]:
    """Load a file into a new table of the DataStore.

    Args:
        asked: "path"; "publish" and other "params" of the order; "connections"; "settings" of CKAN; "at": a moment
            (seconds of the epoch) to begin at, for loads that run at once; "table": one that is there, to replace;
            "before_swap": SQL that another connection runs while the new table is swapped in.
    """
    with site(**asked.get("settings", {})):
        from aircan.contract import Dataset, Order, Resource
        from aircan.net.sources import FileSource
        from aircan.ports import never
        from aircan.run import run
        from ckanext.aircan_connector.datastore.sink import DirectSink

        path, table, job_id = Path(asked["path"]), asked.get("table") or str(uuid.uuid4()), str(uuid.uuid4())
        params = {"publish": "complete", **asked.get("params", {})}
        order = Order(job_id, "LOAD", Resource(table, path=str(path)), Dataset("d"), params)
        reports: list[Any] = []
        hold = _holder(asked["before_swap"]) if asked.get("before_swap") else None
        sink = DirectSink(job_id, table, before_publish=hold, connections=params.get("load_connections", 2))
        time.sleep(max(0.0, asked.get("at", 0) - time.time()))
        before = peak_mb()
        with tempfile.TemporaryDirectory() as folder:
            ports = {"source": FileSource(path), "sink": sink, "tell": reports.append, "stop": never()}
            took = seconds(lambda: run(order, **ports, workdir=Path(folder)))
        sink.close()
    assert reports[-1].status.value == "DONE", reports[-1]
    found = {"seconds": took, "peak_mb": peak_mb(), "before_mb": before, "table": table}
    return {**found, "rows": reports[-1].result["rows"], "ended": time.time(), **sink.measured}


def _holder(statement: str) -> Callable[[Any], None]:
    """Return a hook that starts a statement on a connection of its own and returns once it surely runs."""

    def run() -> None:
        with datastore(write_url()) as cursor:
            cursor.execute(statement)

    def hook(_: Any) -> None:
        threading.Thread(target=run).start()
        time.sleep(0.5)

    return hook


@contextmanager
def datastore(url: str) -> Iterator[Any]:
    """Enter a cursor of the DataStore's write role that commits by itself."""
    connection = psycopg2.connect(url)
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def write_url() -> str:
    """Return the address of the DataStore's write role, from CKAN_INI."""
    from ckan.cli import CKANConfigLoader

    config = CKANConfigLoader(os.environ["CKAN_INI"]).get_config()
    return os.environ.get("CKAN_DATASTORE_WRITE_URL") or str(config["ckan.datastore.write_url"])


def state_of(cursor: Any, table: str) -> dict[str, Any]:
    """Return what is true of a table: rows, rows without full text, indexes by method, whether its trigger fires."""
    cursor.execute(f'SELECT count(*), count(*) FILTER (WHERE _full_text IS NULL) FROM "{table}"')
    rows, blank = cursor.fetchone()
    cursor.execute("SELECT indexdef FROM pg_indexes WHERE tablename = %s AND indexdef ~ 'USING gi'", (table,))
    text_indexes = len(cursor.fetchall())
    cursor.execute(
        "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(%s) AND tgname = 'zfulltext' AND tgenabled <> 'D'",
        (f'"{table}"',),
    )
    return {"rows": rows, "blank": blank, "text_indexes": text_indexes, "trigger": bool(cursor.fetchone()[0])}


def assert_complete(cursor: Any, table: str, rows: int) -> None:
    """Raise unless a table has so many rows, all with full text, an index of it, and a trigger that fires."""
    state = state_of(cursor, table)
    is_whole = state["rows"] == rows and state["trigger"] and state["text_indexes"] and not state["blank"]
    assert is_whole, state


def drop(cursor: Any, *tables: str) -> None:
    """Drop tables of the DataStore, and what is counted of them."""
    for table in tables:
        cursor.execute(f'DROP TABLE IF EXISTS "{table}" CASCADE')
        cursor.execute("SELECT to_regclass('_table_stats')")
        if cursor.fetchone()[0]:
            cursor.execute("DELETE FROM _table_stats WHERE resource_id = %s", (table,))


def search(table: str, **asked: Any) -> dict[str, Any]:
    """Ask CKAN for rows of a table, without HTTP and without asking who may."""
    import ckantoolkit as tk

    return dict(tk.get_action("datastore_search")({"ignore_auth": True}, {"resource_id": table, **asked}))


@contextmanager
def kept() -> Iterator[tuple[Any, list[str]]]:
    """Enter a cursor of the DataStore and a list of tables, which are dropped at the end, whatever happened."""
    tables: list[str] = []
    with datastore(write_url()) as cursor:
        try:
            yield cursor, tables
        finally:
            drop(cursor, *tables)


def faster(measure: str, ours_s: float, theirs_s: float, at_least: float) -> None:
    """Print how many times faster ours is."""
    print(f"{measure}: ours {ours_s:.2f} s, theirs {theirs_s:.2f} s: {theirs_s / ours_s:.2f}x (at least {at_least})")


class Every:
    """Call a function over and over in a thread of its own, and keep the seconds of each call."""

    def __init__(self, function: Callable[[], Any], pause_s: float = 0.0) -> None:
        self.times: list[tuple[float, float]] = []
        self._function, self._pause_s, self._ended = function, pause_s, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Every:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            began = time.time()
            self.times.append((began, seconds(self._function)))
            self._ended.wait(self._pause_s)

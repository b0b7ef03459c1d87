"""LOAD: fetch a file, read it, and put its rows in the place of a table's old ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from aircan.contract import Order, Reject, Write, Writing, Written
from aircan.errors import KeyNotUnique, RowsMissing, ValueRefused
from aircan.ports import Sink, Source, Stop
from aircan.recipes.options import Options
from aircan.recipes.prepare import Places, bring, prepared
from aircan.reporting import Reporter
from aircan.steps.load import load as put
from aircan.table import Place, explain


def load(order: Order, *, source: Source, sink: Sink, report: Reporter, stop: Stop, workdir: Path) -> Mapping[str, Any]:
    """Load a file and return {"rows", "rejected", "fields", "bytes", "seconds", "sha256", "format", facts}.

    Tells the tasks fetch, sniff, infer, load and publish. The old table is untouched until `publish`.

    Raises:
        RowsRefused: more rejects than allowed. OrderRefused: a wrong parameter. Else what the steps raise.
    """
    started = time.monotonic()
    options = Options.of(order.params)
    fetched = bring(source, report, stop, workdir, options)
    with (
        prepared(fetched, order, sink.columns, report=report, stop=stop, workdir=workdir, options=options) as ready,
        report.task("load") as line,
    ):
        sink.begin(ready.columns.fields, options.writing)
        progress = arriving(report, fetched.size_bytes, ready.rows)
        with locating(ready.places), contextlib.closing(ready.parts(workdir, stop)) as parts:
            loaded = put(parts, sink, connections=options.load_connections, stop=stop, progress=progress)
        report.count(rows=loaded.rows, bytes=fetched.size_bytes, total_bytes=fetched.size_bytes)
        line(f"{loaded.rows} rows in {loaded.parts} parts.")
    if loaded.rows != ready.rows:
        raise RowsMissing(rows=ready.rows, loaded=loaded.rows)
    written = publish(ready.rows, sink, places=ready.places_again(workdir, stop), report=report, options=options)
    return {**ready.result(), **written, "seconds": round(time.monotonic() - started, 3)}


def publish(rows: int, sink: Sink, *, places: Places, report: Reporter, options: Options) -> dict[str, Any]:
    """Publish the rows that are loaded, tell the task publish, and return what the result of the job says of it.

    Args:
        rows: how many there are.
        sink: holds them.
        places: asked for the rows that are refused, or cannot be told apart by the key, to name their lines.
        report: takes the reports.
        options: of the order.

    Returns:
        {"written": counts} when rows were added to a table; {} when they took the place of all others.
    """
    with report.task("publish") as line, locating(places), _naming(places, report, options.writing):
        written = sink.publish(rows=rows, when=options.publish)
        line(_told(written, options.writing))
    return {} if options.writing.mode is Write.REPLACE else {"written": written.to_dict()}


def _told(written: Written, writing: Writing) -> str:
    if writing.mode is Write.REPLACE:
        return f"The table holds {written.total} rows."
    return (
        f"{written.added} rows added, {written.changed} changed, {written.deleted} deleted; "
        f"the table holds {written.total} rows."
    )


@contextlib.contextmanager
def locating(places: Places) -> Iterator[None]:
    """Put the line of the file into a ValueRefused that names a row of the new table."""
    try:
        yield
    except ValueRefused as exc:
        row = exc.facts.get("row")
        if not row or "line" in exc.facts:
            raise
        raise ValueRefused(exc.detail, **{**exc.facts, "line": places([row])[row].line}) from exc


@contextlib.contextmanager
def _naming(places: Places, report: Reporter, writing: Writing) -> Iterator[None]:
    """Tell the rows whose key is missing or not unique by their lines, and put the first into the error."""
    try:
        yield
    except KeyNotUnique as exc:
        found = exc.facts.get("found")
        if not found:
            raise
        at = places(sorted({row for one in found for row in (one["row"], one["first"]) if row}))
        refused = [_refused(one, at, ", ".join(writing.key)) for one in found]
        report.rejects(refused)
        first = {"line": refused[0].line, "first": explain(refused[0])}
        raise KeyNotUnique(**{**exc.facts, **first, "found": None}) from exc


def _refused(one: Mapping[str, Any], at: Mapping[int, Place], key: str) -> Reject:
    place = at[one["row"]]
    facts = {"line": place.line, **({"first_line": at[one["first"]].line} if one["first"] else {})}
    return Reject(place.line, one["code"], key, one["value"], facts, place.text)


def arriving(report: Reporter, size_bytes: int, rows: int, *, start: float = 0.0) -> Callable[[int], None]:
    """Return what tells rows that have arrived, as rows and as bytes of the file.

    `start`: share of the task that is done before the first of all `rows` arrives.
    """
    of = max(rows, 1)

    def tell(arrived: int) -> None:
        share = start + (1 - start) * arrived / of
        report.progress(share, rows=arrived, bytes=size_bytes * arrived // of, total_bytes=size_bytes)

    return tell

"""The tasks that do the work: fetch, convert, load, publish. Each takes the run, and leaves its part in the store."""

from __future__ import annotations

import contextlib
import gzip
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from aircan.contract import Field, Part
from aircan.errors import AircanError, RowsMissing, StoreUnavailable
from aircan.ports import Source
from aircan.recipes.load import arriving, locating
from aircan.recipes.load import publish as publish_rows
from aircan.recipes.prepare import Places, Ready, bring, prepared
from aircan.reporting import Reporter
from aircan.staged import descriptors
from aircan.staged.descriptors import DATASET, OURS, RESOURCE
from aircan.staged.outside import Run
from aircan.staged.work import Desk, working
from aircan.steps.convert import count_rows
from aircan.steps.fetch import Fetched
from aircan.steps.load import load as put
from aircan.store import Store
from aircan.table import Place

log = logging.getLogger(__name__)

DATA = "data"
"""Name of the fetched file in the store."""

KEPT_S = 7 * 24 * 3600.0
"""How long the files of a run that never ended are kept."""

QUIET_S = 3600.0
"""After this CKAN is asked whether a run whose files are here is over, for at most so many runs at a time."""

MOST_ASKED = 20

_JOB_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

LEAST_PARTS = 16
"""Parts of a batch, about 32 MB of rows: fewer, and starting a task takes longer than its work."""

MOST_BATCHES = 64
"""Batches of a run, well below the 1,024 that Airflow maps."""

WRITERS = 4
"""Parts that are written into the store at the same time."""

WRITING_SHARE = 0.4
"""Share of the phase load that is done when all parts are in the store."""


def fetch(run: Run, source: Source | None = None) -> dict[str, Any]:
    """Bring the file into the store; return {"file", "bytes"}. Files of runs that never ended are swept before.

    `source`: where the bytes are, for a DAG that makes the file itself; None: the file that the order is about.
    """
    with working(run, "fetch") as desk:
        _sweep(desk)
        desk.store.clear("fetch")
        began = time.time()
        fetched = bring(source or desk.ports.source, desk.report, desk.stop, desk.workdir, desk.options)
        desk.store.upload("fetch", DATA, fetched.path)
        size, sha256 = fetched.size_bytes, fetched.sha256
        described = descriptors.file(desk.order, DATA, name=fetched.name, size_bytes=size, sha256=sha256)
        _describe(desk, "fetch", described, {"name": fetched.name, "sha256": sha256, "bytes": size, "began": began})
    return {"file": fetched.name, "bytes": fetched.size_bytes}


def _sweep(desk: Desk) -> None:
    """Sweep the store; trouble with it is for the next one to find who needs it.

    A cancelled run of which no task worked, and one whose worker was killed, leave files that nobody dropped.
    """
    try:
        gone = desk.store.sweep(KEPT_S)
        for run_id in filter(_JOB_ID.fullmatch, desk.store.others(QUIET_S)[:MOST_ASKED]):
            if desk.ports.is_over(run_id):
                desk.store.drop_other(run_id)
                gone.append(run_id)
        if gone:
            log.info("Removed the files of %s runs that never ended", len(gone), extra={"action": "store_swept"})
    except AircanError as exc:
        log.warning("The store could not be swept: %s", exc, extra={"action": "store_not_swept"})


def convert(run: Run) -> list[dict[str, int]]:
    """Find out what the file is, declare the table to CKAN, and leave its rows in the store as numbered parts.

    Returns:
        The batches in which the parts are to be loaded, [{"first": 0, "parts": 16}, ...]; at least one, which is
        empty when there are no rows, since a mapped task of Airflow without any would end the run.
    """
    with working(run, "convert") as desk:
        desk.store.clear("convert")
        began, fetched = _fetched(desk.store, desk.workdir)
        live = desk.ports.sink.columns()
        with _ready(desk, fetched, live, desk.report) as ready, desk.report.task("load", ends=False):
            desk.ports.sink.begin(ready.columns.fields, desk.options.writing)
            share = WRITING_SHARE / max(ready.rows, 1)
            with contextlib.closing(ready.parts(desk.workdir, desk.stop)) as parts:
                kept = put(
                    parts,
                    _Keeper(desk.store),
                    connections=WRITERS,
                    stop=desk.stop,
                    progress=lambda rows: desk.report.progress(share * rows),
                )
            if kept.rows != ready.rows:
                raise RowsMissing(rows=ready.rows, loaded=kept.rows)
            ours = {
                "result": ready.result(),
                "parts": kept.parts,
                "live": None if live is None else [field.to_dict() for field in live],
                "began": began,
            }
            paths = [_part(number) for number in range(kept.parts)]
            rows = descriptors.rows(paths, ready.columns.fields, size_bytes=kept.size_bytes)
            _describe(desk, "convert", rows, ours)
    return batches(kept.parts)


def _ready(
    desk: Desk, fetched: Fetched, live: Sequence[Field] | None, report: Reporter
) -> contextlib.AbstractContextManager[Ready]:
    return prepared(
        fetched,
        desk.order,
        lambda: live,
        report=report,
        stop=desk.stop,
        workdir=desk.workdir,
        options=desk.options,
    )


def batches(parts: int) -> list[dict[str, int]]:
    """Return the parts 0 to `parts` - 1 in batches of equal size, as few as there should be."""
    size = max(LEAST_PARTS, -(-parts // MOST_BATCHES))
    return [{"first": first, "parts": min(size, parts - first)} for first in range(0, max(parts, 1), size)]


def load(run: Run, batch: Mapping[str, int]) -> dict[str, int]:
    """Put the parts of one batch into the table; return {"rows"}. A part that is there already is left alone."""
    numbers = range(batch["first"], batch["first"] + batch["parts"])
    with working(run, "load", f"error-{batch['first']}.json") as desk:
        ours = desk.store.read_json("convert", DATASET)[OURS]
        result, at_once = ours["result"], desk.options.load_connections
        tell = arriving(desk.report, result["bytes"], result["rows"], start=WRITING_SHARE)
        with desk.report.task("load", ends=False, share=None), locating(_places(desk, ours)):
            loaded = put(
                _parts(desk.store, numbers),
                desk.ports.sink,
                connections=at_once,
                stop=desk.stop,
                progress=lambda rows: tell(max(rows, desk.ports.arrived())),
            )
        desk.store.write_json("load", done(batch["first"]), {"rows": loaded.rows})
    return {"rows": loaded.rows}


def publish(run: Run) -> dict[str, int]:
    """Publish the table, tell the result, and return {"rows", "rejected"}."""
    with working(run, "publish") as desk:
        ours = desk.store.read_json("convert", DATASET)[OURS]
        result, size = ours["result"], ours["result"]["bytes"]
        with desk.report.task("load", begins=False, share=1.0) as line:
            desk.report.count(rows=result["rows"], bytes=size, total_bytes=size)
            line(f"{result['rows']} rows in {ours['parts']} parts.")
        written = publish_rows(
            result["rows"], desk.ports.sink, places=_places(desk, ours), report=desk.report, options=desk.options
        )
        whole = {**result, **written, "seconds": round(time.time() - ours["began"], 3)}
        desk.report.result(**whole)
        table = descriptors.table(desk.order, desk.store.read_json("convert", RESOURCE))
        _describe(desk, "publish", table, {"result": whole})
    return {"rows": whole["rows"], "rejected": whole["rejected"]}


class _Keeper:
    """Takes parts into the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, part: Part) -> None:
        self._store.write("convert", _part(part.number), gzip.compress(part.data, compresslevel=1, mtime=0))


def done(first: int) -> str:
    """Return the name of the file that says that the batch with this first part is loaded."""
    return f"done-{first}.json"


def _describe(desk: Desk, task: str, resource: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """Leave the descriptors of a task; the package is the last, and says that all is there."""
    desk.store.write_json(task, RESOURCE, resource)
    desk.store.write_json(task, DATASET, descriptors.package(desk.order.dataset, resource, ours))


def _part(number: int) -> str:
    return f"part-{number:05}.csv.gz"


def _parts(store: Store, numbers: Sequence[int]) -> Iterator[Part]:
    for number in numbers:
        try:
            data = gzip.decompress(store.read("convert", _part(number)))
        except (OSError, EOFError) as exc:
            raise StoreUnavailable(str(exc), url=store.url, reason=f"convert/{_part(number)} is not whole") from exc
        yield Part(number, count_rows(data), data)


def _fetched(store: Store, workdir: Path) -> tuple[float, Fetched]:
    """Return when the fetch began, and the file, in this task's folder."""
    ours = store.read_json("fetch", DATASET)[OURS]
    path = workdir / "fetched"
    store.download("fetch", DATA, path)
    if (size := path.stat().st_size) != ours["bytes"]:
        raise StoreUnavailable(f"{size} bytes", url=store.url, reason=f"fetch/{DATA} is not whole")
    return ours["began"], Fetched(path, ours["name"], size, ours["sha256"])


def _places(desk: Desk, ours: Mapping[str, Any]) -> Places:
    """Return what finds rows of the table in the file, by reading it once more, and telling nothing of it."""

    def places(rows: Sequence[int]) -> Mapping[int, Place]:
        live = None if ours["live"] is None else [Field.from_dict(field) for field in ours["live"]]
        _, fetched = _fetched(desk.store, desk.workdir)
        with _ready(desk, fetched, live, Reporter(lambda report: None)) as ready:
            return ready.places(rows)

    return places

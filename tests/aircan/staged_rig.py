"""A CKAN in memory for the tasks of a run, and what runs them in order, the mapped ones at the same time."""

from __future__ import annotations

import contextlib
import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from aircan import staged
from aircan.errors import JobStopped
from aircan.staged import Access, Ports, Run
from aircan.status import ACTIVE, Status
from tests.aircan.rig import MemorySink, MemorySource, Told, order

SITE = "https://ckan.example.org"


class MemoryCkan:
    """The doors of one job: its file, its table, its reports; `status` is the job's."""

    def __init__(self, data=b"", sink=None):
        self.data, self.sink, self.told = data, sink or MemorySink(), Told()
        self.status, self.lock, self.beats, self.open = Status.WAITING, threading.Lock(), 0, 0
        self.over = set()

    def tell(self, report):
        with self.lock:
            if self.status not in ACTIVE and report.status is not self.status:
                raise JobStopped(f"the job is {self.status.value}")
            self.status = report.status
            self.told.append(report)

    def beat(self, report):
        if self.status not in ACTIVE:
            raise JobStopped(f"the job is {self.status.value}")
        self.beats += 1

    def connect(self, asked, access, stop):
        self.open += 1
        source = MemorySource(self.data) if isinstance(self.data, bytes) else self.data
        return Ports(source, self.sink, self.tell, self.beat, self._arrived, self.over.__contains__, self._close)

    def _arrived(self):
        with self.sink.lock:
            return sum(part.rows for part in (self.sink.stage or {}).values())

    def _close(self):
        self.open -= 1


def staged_run(ckan, store, params=None, types=None, *, options=None, access=None, **conf):
    """Return the run of an order of this CKAN."""
    told = order({"max_reject_share": 1.0, **(params or {})}, types)
    told = replace(told, site_url=SITE)
    access = access or Access(("key",), store=str(store), store_options=options or {})
    return Run({**told.to_dict(), **conf}, "aircan_load", told.job_id, access, ckan.connect)


def carry_out(run, between=lambda task: None):
    """Run the tasks as a factory does: what fails ends the chain, `report` comes in any case. Return what it returns.

    `between` is called with the name of each task that is done.
    """
    published = None
    with contextlib.suppress(Exception):
        staged.fetch(run)
        between("fetch")
        batches = json.loads(json.dumps(staged.convert(run)))
        between("convert")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda batch: staged.load(run, batch), batches))
        between("load")
        published = staged.publish(run)
        between("publish")
    return staged.report(run, published)


def tree(folder: Path):
    """Return the paths of all files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode()

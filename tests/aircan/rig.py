"""Ports in memory, and the few readers that the tests of the library share."""

from __future__ import annotations

import io
import re
import threading
from pathlib import Path

from aircan.contract import REPLACE, Dataset, Field, Order, Resource, Type, Written
from aircan.errors import RowsMissing
from aircan.run import run
from aircan.status import Status

SAMPLES = Path(__file__).parent.parent / "samples" / "csv"


class MemorySource:
    def __init__(self, data, name="table.csv"):
        self.data, self.name, self.size_bytes = data, name, len(data)

    def open(self):
        return io.BytesIO(self.data)


class MemorySink:
    """Keeps parts in memory; `live` is the published table, `stage` the hidden one, `there` the old one's columns."""

    def __init__(self, fail_on=None, **there):
        self.there = [Field(name, name, Type(kind), {"code": "table"}) for name, kind in there.items()] or None
        self.fields, self.stage, self.live, self.live_fields = None, None, None, None
        self.fail_on, self.lock, self.discarded = fail_on, threading.Lock(), 0

    def columns(self):
        return self.there

    def begin(self, fields, writing=REPLACE):
        self.fields, self.stage, self.writing = list(fields), {}, writing

    def put(self, part):
        if self.fail_on and part.number >= self.fail_on[0]:
            raise self.fail_on[1]
        with self.lock:
            self.stage.setdefault(part.number, part)

    def publish(self, *, rows, when):
        held = sum(part.rows for part in self.stage.values())
        if held != rows:
            raise RowsMissing(rows=rows, loaded=held)
        self.live, self.live_fields, self.when = self.stage, self.fields, when
        self.stage = None
        return Written(rows, rows)

    def discard(self):
        self.stage, self.discarded = None, self.discarded + 1

    @property
    def rows(self):
        """Rows of the live table without `_id`, after checking that it counts from 1."""
        out = []
        for number in sorted(self.live):
            part = self.live[number]
            rows = copy_rows(part.data.decode())
            assert len(rows) == part.rows
            out += rows
        assert [row[0] for row in out] == [str(n) for n in range(1, len(out) + 1)]
        return [row[1:] for row in out]


class Told(list):
    """A `tell` that keeps every report."""

    def __call__(self, report):
        self.append(report)

    def merged(self, key):
        return [item for report in self for item in report.result.get(key, ())]

    @property
    def tasks(self):
        return [(r.task.id, r.task.status) for r in self if r.task]


_CELL = re.compile(r'("(?:[^"]|"")*"|[^,"\n]*)([,\n])')


def copy_rows(text):
    """Read COPY text in CSV format as PostgreSQL does: an unquoted empty cell is None."""
    rows, row, position = [], [], 0
    while position < len(text):
        match = _CELL.match(text, position)
        assert match, text[position : position + 80]
        cell, end = match.groups()
        row.append(cell[1:-1].replace('""', '"') if cell.startswith('"') else cell or None)
        if end == "\n":
            rows.append(row)
            row = []
        position = match.end()
    assert not row
    return rows


def order(params=None, types=None, **resource):
    return Order(
        job_id="11111111-1111-1111-1111-111111111111",
        job_type="LOAD",
        resource=Resource(id="22222222", types=types or {}, **resource),
        dataset=Dataset(id="33333333"),
        params=params or {},
    )


def load(data, params=None, types=None, sink=None, stop=None, workdir=None):
    """Run a LOAD in memory; return the final report, the sink, and what was told."""
    sink, told = sink or MemorySink(), Told()
    final = run(
        order({"max_reject_share": 1.0, **(params or {})}, types),
        source=MemorySource(data) if isinstance(data, bytes) else data,
        sink=sink,
        tell=told,
        stop=stop,
        workdir=workdir,
    )
    return final, sink, told


def loaded(data, params=None, types=None):
    """Run a LOAD that must be DONE; return rows, rejects as told, and the result."""
    final, sink, told = load(data, params, types)
    assert final.status is Status.DONE, final.error
    return sink.rows, told.merged("rejects"), final.result

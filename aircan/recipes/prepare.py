"""The pieces of a LOAD before anything is written: bring the file, find out what it is, decide its types.

A run inside CKAN and the tasks of a run elsewhere are made of the same pieces.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aircan.contract import Field, Order, Part, TypeChange, Write
from aircan.engine import Engine
from aircan.errors import RowsRefused
from aircan.ports import Source, Stop
from aircan.progress import Reading
from aircan.recipes.options import Options
from aircan.reporting import Reporter
from aircan.steps.convert import convert, part_size, refuse, rows_in_file
from aircan.steps.fetch import Fetched, fetch
from aircan.steps.infer import Columns, infer
from aircan.steps.sniff import sniff
from aircan.steps.target import aim, differences, refuse_changes, settled
from aircan.table import Place, Rejects, Table, explain

WIDE_COLUMNS = 100
"""From here on the engine works with one thread: each keeps vectors for each column."""

Places = Callable[[Sequence[int]], Mapping[int, Place]]
"""Numbers of rows as they are loaded (1-based) -> their places in the file."""


@dataclass(frozen=True)
class Ready:
    """A file that was read to its end and whose columns are decided.

    Attributes:
        fetched: the file.
        table: its rows.
        columns: its columns.
        rejected: records that are not loaded.
        options: of the order.
        engine: reads the table; closed at the end of the block of `prepared`.
    """

    fetched: Fetched
    table: Table
    columns: Columns
    rejected: int
    options: Options
    engine: Engine

    @property
    def rows(self) -> int:
        """How many rows are loaded."""
        return self.table.rows + self.table.rejected - self.rejected

    def parts(self, workdir: Path, stop: Stop) -> Generator[Part, None, None]:
        """Yield the rows as parts, see `steps.convert`; the caller closes the generator."""
        columns, options = self.columns.columns, self.options
        size = part_size(self.fetched.size_bytes, most=options.part_bytes, connections=options.load_connections)
        return convert(self.table, columns, self.engine, workdir=workdir, stop=stop, part_bytes=size)

    def places(self, rows: Sequence[int]) -> Mapping[int, Place]:
        """Return where rows that are loaded under these numbers stand in the file."""
        return _places(self.table, self.columns, self.engine, rows)

    def places_again(self, workdir: Path, stop: Stop) -> Places:
        """Return what does the same when the engine is closed, with one of its own."""
        memory_mb = max(self.options.memory_mb, self.table.memory_mb)

        def places(rows: Sequence[int]) -> Mapping[int, Place]:
            with Engine(workdir, stop=stop, memory_mb=memory_mb) as engine:
                return _places(self.table, self.columns, engine, rows)

        return places

    def result(self) -> dict[str, Any]:
        """Return what the result of the job says of the file: {"rows", "rejected", "fields", "bytes", ..., facts}."""
        return {
            "rows": self.rows,
            "rejected": self.rejected,
            "fields": [field.to_dict() for field in self.columns.fields],
            "bytes": self.fetched.size_bytes,
            "sha256": self.fetched.sha256,
            "file": self.fetched.name,
            **self.table.facts,
        }


def _places(table: Table, columns: Columns, engine: Engine, rows: Sequence[int]) -> Mapping[int, Place]:
    numbers = rows_in_file(table, columns.columns, engine, rows)
    found = table.locate(sorted(numbers.values()))
    return {row: found[number] for row, number in numbers.items()}


def bring(source: Source, report: Reporter, stop: Stop, workdir: Path, options: Options) -> Fetched:
    """Fetch the file and tell the task fetch. Raises what `steps.fetch` raises."""
    with report.task("fetch") as line:
        fetched = fetch(
            source,
            workdir,
            limit_bytes=options.max_size_bytes or None,
            stop=stop,
            progress=lambda size, of: report.progress(size / of if of else None, bytes=size, total_bytes=of),
        )
        report.count(bytes=fetched.size_bytes, total_bytes=fetched.size_bytes)
        line(f"Fetched {fetched.name or 'the file'}, {fetched.size_bytes} bytes.")
    return fetched


@contextlib.contextmanager
def prepared(
    fetched: Fetched,
    order: Order,
    live: Callable[[], Sequence[Field] | None],
    *,
    report: Reporter,
    stop: Stop,
    workdir: Path,
    options: Options,
) -> Iterator[Ready]:
    """Read a file to its end and decide its columns; tell the tasks sniff and infer, the rejects and the warnings.

    Args:
        fetched: the file.
        order: what to do.
        live: asked for the columns of the table that is there, None when there is none.
        report: takes the reports.
        stop: asked between pieces of work.
        workdir: where the files are that the rows are read from.
        options: of the order.

    Raises:
        RowsRefused: more rejects than allowed. Else what the steps raise.
    """
    rejects = Rejects(options.max_rejects_kept, report.rejects)
    table = _sniff(fetched, order, report, stop, workdir, rejects, options)
    _judge(table.rows, rejects, options)
    memory_mb = max(options.memory_mb, table.memory_mb)
    threads = 1 if table.one_thread or len(table.labels) > WIDE_COLUMNS else options.threads
    with Engine(workdir, stop=stop, memory_mb=memory_mb, threads=threads) as engine:
        if not table.one_line:
            engine.prove(table.relation, table.rows)
        columns = _infer(table, engine, order, live(), report, rejects, options)
        ready = Ready(fetched, table, columns, rejects.count, options, engine)
        _judge(ready.rows, rejects, options)
        yield ready


def _sniff(
    fetched: Fetched, order: Order, report: Reporter, stop: Stop, workdir: Path, rejects: Rejects, options: Options
) -> Table:
    with report.task("sniff") as line:
        looked = Reading(stop, workdir, report.progress)
        table = sniff(
            fetched.path,
            params=order.params,
            workdir=workdir,
            rejects=rejects,
            stop=looked,
            name=fetched.name,
            format_=order.resource.format,
            limit_bytes=options.max_size_bytes or None,
        )
        rejects.flush()
        report.warn(*table.warnings)
        report.result(**table.facts)
        named = ", ".join(f"{name} {value!r}" for name, value in table.facts.items() if value not in ("", None))
        line(f"{table.rows} rows, {table.rejected} rejected, {len(table.labels)} columns; {named}.")
    return table


def _infer(
    table: Table,
    engine: Engine,
    order: Order,
    live: Sequence[Field] | None,
    report: Reporter,
    rejects: Rejects,
    options: Options,
) -> Columns:
    """Decide the types, those of the table that is there where rows are added to it; tell what a new table changes."""
    writing, persons = options.writing, order.resource.types
    with report.task("infer") as line:
        target = aim(table.labels, live, writing, persons)
        columns = settled(infer(table, engine, types=target.types, rules=options.rules), target, writing)
        is_new = live is None or writing.mode is not Write.REPLACE
        changes = [] if is_new else differences(live or (), columns.fields, persons)
        report.warn(*columns.warnings, *target.warnings, *changes)
        if options.on_type_change is TypeChange.FAIL:
            refuse_changes(changes)
        refuse(table, columns.columns, engine, rejects)
        rejects.flush()
        line(", ".join(f"{field.id}: {field.type.value}" for field in columns.fields[:50]))
    return columns


def _judge(rows: int, rejects: Rejects, options: Options) -> None:
    """Raise RowsRefused when too many records were rejected, or all of them."""
    total = rows + rejects.count
    first = rejects.first
    if first is None or (rows and rejects.count <= options.max_reject_share * total):
        return
    raise RowsRefused(
        rejected=rejects.count,
        rows=total,
        limit_percent=f"{options.max_reject_share * 100:g}",
        line=first.line,
        field=first.field or None,
        first=explain(first),
    )

"""LOAD: fetch a file, read it, and put its rows in the place of a table's old ones."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from aircan.columns.rules import Rules
from aircan.contract import REPLACE, Field, Order, Publish, Reject, TypeChange, Write, Writing, Written
from aircan.engine import Engine
from aircan.errors import KeyNotUnique, OrderRefused, RowsMissing, RowsRefused, ValueRefused
from aircan.ports import Sink, Source, Stop
from aircan.progress import Reading
from aircan.reporting import Reporter
from aircan.steps.convert import PART_BYTES, convert, refuse, rows_in_file
from aircan.steps.fetch import Fetched, fetch
from aircan.steps.infer import Columns, infer
from aircan.steps.load import load as put
from aircan.steps.sniff import sniff
from aircan.steps.target import aim, differences, refuse_changes, settled
from aircan.table import Place, Rejects, Table, explain

WIDE_COLUMNS = 100
"""From here on the engine works with one thread: each keeps vectors for each column."""

Number = TypeVar("Number", int, float)
Word = TypeVar("Word", bound=Enum)


@dataclass(frozen=True)
class Options:
    """Parameters of a LOAD; those of the format (delimiter, encoding, header_line) are its own.

    Attributes:
        max_size_bytes: largest file, 0 for no limit.
        max_reject_share: share of the records, 0 to 1, that may be rejected; a file with rejects and no
            sound row at all fails in any case.
        max_rejects_kept: rejects that are told; all are counted.
        load_connections: parts that are put at the same time.
        publish: when the new table takes the old one's place.
        writing: what the rows do to the table.
        on_type_change: what to do when a file that replaces it would change types.
        rules: how values are read.
        part_bytes: size of a part.
        memory_mb: memory of the engine; the process needs about 85 MB more.
        threads: cores of the engine.
    """

    max_size_bytes: int = 0
    max_reject_share: float = 0.05
    max_rejects_kept: int = 10_000
    load_connections: int = 2
    publish: Publish = Publish.SEARCHABLE
    writing: Writing = REPLACE
    on_type_change: TypeChange = TypeChange.ADOPT
    rules: Rules = field(default_factory=Rules)
    part_bytes: int = PART_BYTES
    memory_mb: int = 64
    threads: int = 2

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Options:
        """Read the parameters of an order. Raises OrderRefused naming the wrong one; others are ignored."""
        return cls(
            max_size_bytes=_number(params, "max_size_bytes", 0, 0, 1 << 50),
            max_reject_share=_number(params, "max_reject_share", 0.05, 0.0, 1.0),
            max_rejects_kept=_number(params, "max_rejects_kept", 10_000, 0, 1_000_000),
            load_connections=_number(params, "load_connections", 2, 1, 32),
            publish=_word(params, "publish", Publish.SEARCHABLE),
            writing=_writing(params),
            on_type_change=_word(params, "on_type_change", TypeChange.ADOPT),
            rules=Rules.of(params),
            part_bytes=_number(params, "part_bytes", PART_BYTES, 1, 64 << 20),
            memory_mb=_number(params, "memory_mb", 64, 64, 1 << 20),
            threads=_number(params, "threads", 2, 1, 256),
        )


def _word(params: Mapping[str, Any], name: str, default: Word) -> Word:
    """Return a parameter as a member of the default's enum."""
    try:
        return type(default)(params.get(name) or default)
    except ValueError as exc:
        raise OrderRefused(field=f"params.{name}") from exc


def _writing(params: Mapping[str, Any]) -> Writing:
    """Return what the rows do to the table. A key is needed where it is used; elsewhere it may wait for its time."""
    mode, key = _word(params, "write", Write.REPLACE), params.get("key") or []
    if not isinstance(key, (list, tuple)) or not all(isinstance(name, str) and name for name in key):
        raise OrderRefused(field="params.key")
    used = mode in (Write.UPSERT, Write.DELETE)
    if (used and not key) or len(set(key)) < len(key):
        raise OrderRefused(field="params.key")
    return Writing(mode, tuple(key) if used else (), rows_first=params.get("publish") == Publish.ROWS.value)


def _number(params: Mapping[str, Any], name: str, default: Number, least: Number, most: Number) -> Number:
    """Return a parameter as a number of the default's type, from `least` to `most`, both included."""
    given = params.get(name)
    if given is None or given == "":
        return default
    try:
        number = type(default)(given)
    except (TypeError, ValueError) as exc:
        raise OrderRefused(field=f"params.{name}") from exc
    if isinstance(given, bool) or not least <= number <= most:
        raise OrderRefused(field=f"params.{name}")
    return number


def load(order: Order, *, source: Source, sink: Sink, report: Reporter, stop: Stop, workdir: Path) -> Mapping[str, Any]:
    """Load a file and return {"rows", "rejected", "fields", "bytes", "seconds", "sha256", "format", facts}.

    Tells the tasks fetch, sniff, infer, load and publish. The old table is untouched until `publish`.

    Raises:
        RowsRefused: more rejects than allowed. OrderRefused: a wrong parameter. Else what the steps raise.
    """
    started = time.monotonic()
    options = Options.of(order.params)
    rejects = Rejects(options.max_rejects_kept, report.rejects)
    fetched = _fetch(source, report, stop, workdir, options)
    table = _sniff(fetched, order, report, stop, workdir, rejects)
    _judge(table.rows, rejects, options)
    memory_mb = max(options.memory_mb, table.memory_mb)
    threads = 1 if table.one_thread or len(table.labels) > WIDE_COLUMNS else options.threads
    with Engine(workdir, stop=stop, memory_mb=memory_mb, threads=threads) as engine:
        columns = _infer(table, engine, order, sink.columns(), report, rejects, options)
        rows = table.rows + table.rejected - rejects.count
        _judge(rows, rejects, options)
        with report.task("load") as line:
            sink.begin(columns.fields, options.writing)
            progress = _Progress(report, fetched, rows)
            parts = convert(table, columns.columns, engine, workdir=workdir, stop=stop, part_bytes=options.part_bytes)
            with _locating(table, columns, engine), contextlib.closing(parts):
                loaded = put(parts, sink, connections=options.load_connections, stop=stop, progress=progress)
            line(f"{loaded.rows} rows in {loaded.parts} parts.")
    report.progress_now(rows=loaded.rows, bytes=fetched.size_bytes, total_bytes=fetched.size_bytes)
    if loaded.rows != rows:
        raise RowsMissing(rows=rows, loaded=loaded.rows)
    with report.task("publish") as line, _naming(table, columns, report, stop, workdir, options):
        written = sink.publish(rows=rows, when=options.publish)
        line(_told(written, options.writing))
    return {
        "rows": rows,
        "rejected": rejects.count,
        "fields": [field.to_dict() for field in columns.fields],
        "bytes": fetched.size_bytes,
        "seconds": round(time.monotonic() - started, 3),
        "sha256": fetched.sha256,
        "file": fetched.name,
        **({} if options.writing.mode is Write.REPLACE else {"written": written.to_dict()}),
        **table.facts,
    }


def _told(written: Written, writing: Writing) -> str:
    if writing.mode is Write.REPLACE:
        return f"The table holds {written.total} rows."
    return (
        f"{written.added} rows added, {written.changed} changed, {written.deleted} deleted; "
        f"the table holds {written.total} rows."
    )


def _fetch(source: Source, report: Reporter, stop: Stop, workdir: Path, options: Options) -> Fetched:
    with report.task("fetch") as line:
        fetched = fetch(
            source,
            workdir,
            limit_bytes=options.max_size_bytes or None,
            stop=stop,
            progress=lambda size, of: report.progress(size / of if of else None, bytes=size, total_bytes=of),
        )
        line(f"Fetched {fetched.name or 'the file'}, {fetched.size_bytes} bytes.")
    report.progress_now(bytes=fetched.size_bytes, total_bytes=fetched.size_bytes)
    return fetched


def _sniff(fetched: Fetched, order: Order, report: Reporter, stop: Stop, workdir: Path, rejects: Rejects) -> Table:
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
            limit_bytes=_number(order.params, "max_size_bytes", 0, 0, 1 << 50) or None,
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


@contextlib.contextmanager
def _locating(table: Table, columns: Columns, engine: Engine) -> Iterator[None]:
    """Put the line of the file into a ValueRefused that names a row of the new table."""
    try:
        yield
    except ValueRefused as exc:
        row = exc.facts.get("row")
        if not row or "line" in exc.facts:
            raise
        number = rows_in_file(table, columns.columns, engine, [row])[row]
        raise ValueRefused(exc.detail, **{**exc.facts, "line": table.locate([number])[number].line}) from exc


@contextlib.contextmanager
def _naming(
    table: Table, columns: Columns, report: Reporter, stop: Stop, workdir: Path, options: Options
) -> Iterator[None]:
    """Tell the rows whose key is missing or not unique by their lines, and put the first into the error."""
    try:
        yield
    except KeyNotUnique as exc:
        found = exc.facts.get("found")
        if not found:
            raise
        loaded = sorted({row for one in found for row in (one["row"], one["first"]) if row})
        with Engine(workdir, stop=stop, memory_mb=max(options.memory_mb, table.memory_mb)) as engine:
            numbers = rows_in_file(table, columns.columns, engine, loaded)
        places = table.locate(sorted(numbers.values()))
        at = {row: places[number] for row, number in numbers.items()}
        refused = [_refused(one, at, ", ".join(options.writing.key)) for one in found]
        report.rejects(refused)
        first = {"line": refused[0].line, "first": explain(refused[0])}
        raise KeyNotUnique(**{**exc.facts, **first, "found": None}) from exc


def _refused(one: Mapping[str, Any], at: Mapping[int, Place], key: str) -> Reject:
    place = at[one["row"]]
    facts = {"line": place.line, **({"first_line": at[one["first"]].line} if one["first"] else {})}
    return Reject(place.line, one["code"], key, one["value"], facts, place.text)


class _Progress:
    """Turns rows that have arrived into rows and bytes of the file."""

    def __init__(self, report: Reporter, fetched: Fetched, rows: int) -> None:
        self._report, self._size, self._rows = report, fetched.size_bytes, max(rows, 1)

    def __call__(self, rows: int) -> None:
        done = self._size * rows // self._rows
        self._report.progress(rows / self._rows, rows=rows, bytes=done, total_bytes=self._size)


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

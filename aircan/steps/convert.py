"""Turn the rows of a table into parts of COPY text, in file order, and tell those that a person's type refuses."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from aircan.columns import values
from aircan.contract import Part, Reject
from aircan.engine import Engine, literal
from aircan.errors import JobStopped
from aircan.ports import Stop
from aircan.steps.infer import Column
from aircan.table import VALUE_KEPT, Rejects, Table

PART_BYTES = 2 << 20
"""Largest size at which a part is cut, at the next row end."""

LEAST_BYTES = 1 << 18
"""No file is cut into smaller parts than this: to open a second connection takes as long as to load it."""

PARTS_EACH = 8
"""Parts that each connection gets at least, as far as LEAST_BYTES allows: so none waits long for another's last."""

READ_BYTES = 1 << 20
"""Bytes read back at a time."""

WAIT_S = 0.02
"""How often a reader who is ahead looks whether more is there."""

REJECTS_AT_ONCE = 500


def _condition(refused: Sequence[tuple[int, Column]]) -> str:
    return " OR ".join(
        f"coalesce({values.misfit(c.reading, values.trimmed(f'c{i}'))}, false)" for i, c in refused if c.reading
    )


def refuse(table: Table, columns: Sequence[Column], engine: Engine, rejects: Rejects) -> None:
    """Add to `rejects` the rows with a value that does not fit the type that a person chose for its column.

    One reject a row, for the first such column; those that nobody wants to see are only counted.
    """
    refused = [(i, c) for i, c in enumerate(columns) if c.misfits]
    if not refused:
        return
    shown = ", ".join(
        f"CASE WHEN {values.misfit(c.reading, values.trimmed(f'c{i}'))} THEN left(c{i}, {VALUE_KEPT}) END"
        for i, c in refused
        if c.reading
    )
    wide = f"(SELECT row_number() OVER () AS rn, * FROM {table.relation})"  # noqa: S608 - own names only
    found = f"SELECT rn, {shown} FROM {wide} WHERE {_condition(refused)}"  # noqa: S608
    for batch in engine.batches(found, REJECTS_AT_ONCE):
        if not rejects.wanted:
            rejects.skip(len(batch))
            continue
        places = table.locate([row[0] for row in batch])
        for number, *shown_values in batch:
            at, value = next((n, value) for n, value in enumerate(shown_values) if value is not None)
            field, place = refused[at][1].field, places[number]
            rejects.add(Reject(place.line, "value", field.id, value, facts={"type": field.type.value}, text=place.text))


def rows_in_file(table: Table, columns: Sequence[Column], engine: Engine, loaded: Sequence[int]) -> dict[int, int]:
    """Return, for rows that are loaded under these numbers, their numbers among the rows of a table."""
    refused = [(i, c) for i, c in enumerate(columns) if c.misfits]
    if not refused or not loaded:
        return {number: number for number in loaded}
    wide = f"(SELECT row_number() OVER () AS rn, * FROM {table.relation})"  # noqa: S608 - own names only
    kept = f"SELECT row_number() OVER () AS id, rn FROM {wide} WHERE NOT ({_condition(refused)})"  # noqa: S608
    wanted = ", ".join(str(int(number)) for number in loaded)
    return dict(engine.rows(f"SELECT id, rn FROM ({kept}) WHERE id IN ({wanted})"))  # noqa: S608


def convert(
    table: Table,
    columns: Sequence[Column],
    engine: Engine,
    *,
    workdir: Path,
    stop: Stop,
    part_bytes: int = PART_BYTES,
) -> Generator[Part, None, None]:
    """Yield the parts of a table: `_id` from 1 in file order over the rows that are loaded, then the columns.

    Rows that `refuse` tells are left out. Raises JobStopped when stopped; the file in `workdir` is
    removed when the generator is closed, which the caller must do.

    Where every cell stays as it stands in the file, its clean copy only gets numbers. Else the engine writes a
    file that is read while it grows, and never waits for who takes the parts: behind a full pipe its threads spun, and
    took PostgreSQL's time (measured 2026-11: 8 s of 28 s of processor for 1,000,000 x 9).
    """
    if table.copy and not any(column.changed for column in columns):
        yield from cut(_numbered(table.copy, stop), part_bytes)
        return
    path = workdir / "parts.csv"
    path.write_bytes(b"")
    try:
        with contextlib.closing(_stream(path, _copy(table, columns, path), engine, stop)) as chunks:
            yield from cut(chunks, part_bytes)
    finally:
        path.unlink(missing_ok=True)


def _copy(table: Table, columns: Sequence[Column], path: Path) -> str:
    refused = [(i, c) for i, c in enumerate(columns) if c.misfits]
    where = f" WHERE NOT ({_condition(refused)})" if refused else ""
    rows = f"(SELECT * FROM {table.relation}{where})"  # noqa: S608 - own names only
    listed = ", ".join(_value(i, column) for i, column in enumerate(columns))
    return (
        f"COPY (SELECT row_number() OVER () AS _id, {listed} FROM {rows}) "  # noqa: S608
        f"TO {literal(str(path))} (FORMAT csv, HEADER false, NULLSTR '', USE_TMP_FILE false)"
    )


def _value(index: int, column: Column) -> str:
    if column.reading is None:
        return f"c{index}"
    return values.copied(column.reading, values.trimmed(f"c{index}"), has_null_words=bool(column.field.nulls))


def _stream(path: Path, statement: str, engine: Engine, stop: Stop) -> Generator[bytes, None, None]:
    """Run a statement that writes a file, in a thread, and yield what is in the file as it comes."""
    failed: list[BaseException] = []

    def write() -> None:
        try:
            engine.write(statement)
        except BaseException as exc:  # noqa: BLE001 - raised again below, in the reader's thread
            failed.append(exc)

    writer = threading.Thread(target=write, name="aircan-convert", daemon=True)
    writer.start()
    try:
        with open(path, "rb", buffering=0) as written:
            is_last = False
            while not is_last:
                if stop.is_set():
                    raise JobStopped
                is_last = not writer.is_alive()  # asked before the read: what it wrote last is read then
                while chunk := written.read(READ_BYTES):
                    yield chunk
                writer.join(WAIT_S)
    finally:
        while writer.is_alive():
            engine.interrupt()
            writer.join(0.2)
    if failed:
        raise failed[0]


def _numbered(copy: Path, stop: Stop) -> Iterator[bytes]:
    """Yield the records of a normal form, each with its number from 1 as its first cell."""
    number, rest, is_last = 1, b"", False
    with open(copy, "rb") as written:
        written.readline()
        while not is_last:
            if stop.is_set():
                raise JobStopped
            data = written.read(max(READ_BYTES, len(rest)))
            is_last = not data
            data = rest + data
            end = len(data) if is_last else _row_end(data)
            rest = data[end:]
            records = _records(data[:end])
            yield b"".join([b"%d,%b\n" % numbered for numbered in enumerate(records, number)])
            number += len(records)


def _records(data: bytes) -> list[bytes]:
    """Return the records of CSV, without their line ends. `data` ends with one, or is empty."""
    lines = data.split(b"\n")
    lines.pop()
    if b'"' not in data or not any(line.count(b'"') & 1 for line in lines):
        return lines
    records, open_lines = list[bytes](), list[bytes]()
    for line in lines:
        open_lines.append(line)
        if line.count(b'"') & 1 == (len(open_lines) > 1):
            records.append(b"\n".join(open_lines))
            open_lines.clear()
    return records


def part_size(size_bytes: int, *, most: int, connections: int) -> int:
    """Return the size at which the parts of a file are cut: smaller ones for a smaller file, but `most` bytes."""
    return min(most, max(size_bytes // (PARTS_EACH * connections), LEAST_BYTES))


def cut(chunks: Iterator[bytes], part_bytes: int) -> Iterator[Part]:
    """Cut a stream of CSV at row ends into parts of at most `part_bytes`, or of one row.

    A line end inside quotes is no row end.
    """
    number, waiting, size = 0, list[bytes](), part_bytes
    for chunk in chunks:
        waiting.append(chunk)
        if sum(map(len, waiting)) < size:
            continue
        data = b"".join(waiting)
        while len(data) >= size:
            end = _row_end(data[:size])
            if not end:
                size *= 2
                continue
            yield Part(number, count_rows(data[:end]), data[:end])
            number, data, size = number + 1, data[end:], part_bytes
        waiting = [data]
    if data := b"".join(waiting):
        yield Part(number, count_rows(data), data)


def _row_end(data: bytes) -> int:
    """Return the end of the last complete row, 0 when there is none."""
    end = data.rfind(b"\n") + 1
    odd = data.count(b'"', 0, end) % 2
    while odd and end:
        start = data.rfind(b"\n", 0, end - 1) + 1
        odd ^= data.count(b'"', start, end) % 2
        end = start
    return end


def count_rows(data: bytes) -> int:
    """Return how many rows of CSV are in the bytes; a line end inside quotes is none."""
    if b'"' in data:
        data = b"".join(data.split(b'"')[::2])
    return data.count(b"\n")

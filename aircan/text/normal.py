"""The normal form: the clean CSV that a format leaves for DuckDB, and the SQL that reads it back.

One record a line, LF, a header c0, c1, ..., every cell text; an unquoted empty cell is NULL, a quoted one the
empty string. Imports nothing of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

BUFFER_BYTES = 4 << 20
"""DuckDB's read buffer: with its default of 32 MiB a small memory limit does not suffice (measured 2026-11)."""

_TO_QUOTE = ('"', ",", "\n", "\r")


def begin(out: BinaryIO, columns: int, delimiter: str = ",") -> None:
    """Write the first line of a normal form with that many columns."""
    out.write(delimiter.join(f"c{i}" for i in range(columns)).encode() + b"\n")


def write(out: BinaryIO, rows: Iterable[Sequence[str | None]]) -> int:
    """Write rows, none of them wholly NULL; return the bytes of the longest. The delimiter is a comma."""
    longest = 0
    for row in rows:
        line = (",".join(map(_cell, row)) + "\n").encode()
        longest = max(longest, len(line))
        out.write(line)
    return longest


def _cell(text: str | None) -> str:
    if text is None:
        return ""
    if not text or any(mark in text for mark in _TO_QUOTE):
        return '"' + text.replace('"', '""') + '"'
    return text


STRETCH_BYTES = 8_000_000
"""What a thread of DuckDB reads at a time. A buffer that is a little longer leaves a short rest, on which its parallel
reader fails now and then ("does not support a full read", DuckDB 2.0.0): longer ones are whole multiples."""

PARALLEL, SERIAL = "parallel=true", "parallel=false"
"""How the relation is read; `engine` takes the second where the first is refused."""

BUFFERS = 256
"""A large file is read in about so many buffers: DuckDB keeps some 20 kB of each until the query ends."""


def buffer_bytes(longest_bytes: int) -> int:
    """Return the read buffer for a normal form whose longest record has that many bytes."""
    least = max(BUFFER_BYTES, 2 * longest_bytes)
    return least if least <= STRETCH_BYTES else -(-least // STRETCH_BYTES) * STRETCH_BYTES


def memory_mb(columns: int, longest_bytes: int) -> int:
    """Return the memory that DuckDB needs to read it: measured with 9 to 400 columns and long texts (2026-11)."""
    return 64 + 2 * columns // 3 + 8 * ((buffer_bytes(longest_bytes) - BUFFER_BYTES) >> 20)


def relation(path: Path, columns: int, longest_bytes: int, delimiter: str = ",") -> str:
    """Return SQL that reads the normal form back. Nothing is left to DuckDB's own sniffing.

    `new_line` is needed: without it a CR inside quotes is "an invalid state" (DuckDB 2.0.0, 2026-11).
    """
    names = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(columns))
    longest = buffer_bytes(longest_bytes)
    buffer = max(longest, min(STRETCH_BYTES, path.stat().st_size // BUFFERS))
    quoted_path, quoted_delimiter = (text.replace("'", "''") for text in (str(path), delimiter))
    return (
        f"read_csv('{quoted_path}', columns={{{names}}}, auto_detect=false, header=true, "
        f"delim='{quoted_delimiter}', quote='\"', escape='\"', nullstr='', allow_quoted_nulls=false, "
        f"null_padding=false, new_line='\\n', max_line_size={longest // 2}, buffer_size={buffer}, {PARALLEL})"
    )


def pad(path: Path, stretches: Sequence[tuple[int, int]], columns: int) -> None:
    """Give every record of a normal form with commas the cells of all columns; the new ones are NULL.

    Args:
        path: rewritten through a file beside it.
        stretches: byte at which a stretch of records ends -> cells that each of them has.
        columns: cells that each will have.
    """
    target = path.with_name(path.name + ".padded")
    with open(path, "rb") as source, open(target, "wb") as out:
        begin(out, columns)
        source.readline()
        for end, cells in stretches:
            inside = False
            while left := end - source.tell():
                pieces = source.read(min(left, BUFFER_BYTES)).split(b'"')
                for index in range(1 if inside else 0, len(pieces), 2):
                    pieces[index] = pieces[index].replace(b"\n", b"," * (columns - cells) + b"\n")
                inside ^= len(pieces) % 2 == 0
                out.write(b'"'.join(pieces))
    target.replace(path)

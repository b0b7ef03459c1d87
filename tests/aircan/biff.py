"""Workbooks of XLS made for tests: one sheet, the cells and texts that are asked for, in a container ([MS-CFB])."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

SECTOR = 4096
FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def number(row: int, column: int, value: float) -> bytes:
    """Return a cell with a number."""
    return record(0x0203, struct.pack("<HHHd", row, column, 0, value))


def shared(row: int, column: int, text: int) -> bytes:
    """Return a cell with a shared text."""
    return record(0x00FD, struct.pack("<HHHI", row, column, 0, text))


def begin(kind: int) -> bytes:
    """Return the begin of a part: 0x05 of the workbook, 0x10 of a sheet, 0x20 of a chart."""
    return record(0x0809, struct.pack("<HHHHII", 0x0600, kind, 0, 0, 0, 0x0600))


END_OF_PART = record(0x000A, b"")


def texts(some: list[str]) -> bytes:
    """Return the shared texts; all of them in one record."""
    packed = b"".join(struct.pack("<HB", len(text), 0) + text.encode("latin-1") for text in some)
    return record(0x00FC, struct.pack("<II", len(some), len(some)) + packed)


def stream(rows: int, columns: int, cells: Iterable[bytes], shared_texts: list[str]) -> Iterator[bytes]:
    name = b"Data"
    before, behind = begin(0x05), texts(shared_texts) + END_OF_PART
    sheet = struct.pack("<IHBB", 0, 0, len(name), 0) + name
    at = len(before) + len(record(0x0085, sheet)) + len(behind)
    yield before + record(0x0085, struct.pack("<I", at) + sheet[4:]) + behind
    yield begin(0x10)
    yield record(0x0200, struct.pack("<IIHHH", 0, rows, 0, columns, 0))
    yield from cells
    yield END_OF_PART


def write(path: Path, rows: int, columns: int, cells: Iterable[bytes], shared_texts: list[str] | None = None) -> None:
    """Write a workbook of one sheet with these cells, row by row."""
    with open(path, "wb") as out:
        out.write(bytes(SECTOR))
        size = sum(out.write(piece) for piece in stream(rows, columns, cells, shared_texts or []))
        used = -(-max(size, SECTOR) // SECTOR)
        out.write(bytes(used * SECTOR - size))
        tables = -(-(used + 3) // (SECTOR // 4 - 1))
        entry = "<64sHBBIII16sIQQIQ"
        root = ("Root Entry".encode("utf-16-le"), 22, 5, 1, FREE, FREE, 1, bytes(16), 0, 0, 0, used + 1, 0)
        book = ("Workbook".encode("utf-16-le"), 18, 2, 1, FREE, FREE, FREE, bytes(16), 0, 0, 0, 0, used * SECTOR)
        out.write((struct.pack(entry, *root) + struct.pack(entry, *book)).ljust(2 * SECTOR, b"\0"))
        chain = [*range(1, used), END, END, END, *[FAT] * tables]
        table = struct.pack(f"<{len(chain)}I", *chain)
        out.write(table.ljust(tables * SECTOR, b"\xff"))
        places = [used + 2 + n for n in range(tables)]
        magic = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
        head = struct.pack("<8s16sHHHHH6s", magic, bytes(16), 0x3E, 4, 0xFFFE, 12, 6, bytes(6))
        head += struct.pack("<IIIIIIIII", 1, tables, used, 0, 4096, END, 0, END, 0)
        head += struct.pack("<109I", *places, *[FREE] * (109 - tables))
        out.seek(0)
        out.write(head.ljust(SECTOR, b"\0"))


def nested_extent(path: Path) -> None:
    """A chart in the sheet says that it has 16 million million cells; the compiled reader makes room for them."""
    extent = record(0x0200, struct.pack("<IIHHH", 0, 1 << 30, 0, 1 << 14, 0))
    chart = begin(0x0020) + extent + END_OF_PART
    cells = [shared(0, 0, 0), number(1, 0, 5), chart]
    write(path, 2, 1, cells, ["a"])

"""Records of delimited text: where each starts and ends, which of them make the table, and a clean copy.

A record is RFC 4180's: cells between delimiters, a cell that begins with a quote ends with one, a quote inside
is doubled, and line ends inside quotes belong to the cell. A line ends with LF, CR LF or CR. A quote
inside a cell that does not begin with one is an ordinary character, as in Python's csv module.
In a loose grammar blanks between a delimiter and a quote are not part of the cell.

Whole blocks are checked at once; only a block that is not plain is read record by record.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from aircan.contract import Reject
from aircan.errors import JobStopped
from aircan.ports import Stop
from aircan.table import TEXT_KEPT, Place, Rejects

BLOCK_BYTES = 1 << 20
"""Bytes read at a time."""

RECORD_BYTES = 16 << 20
"""Longest record that is loaded; also how far the end of a quoted cell is looked for."""

_EOLS = re.compile(rb"(\"[^\"]*\")|\r\n?")


@dataclass(frozen=True)
class Record:
    """A record: its first line, its bytes without line end, where the next begins, and what is wrong with it."""

    line: int
    raw: bytes
    end: int
    cells: int = 0
    code: str = ""


@dataclass(frozen=True)
class Block:
    """A stretch of the file that starts and ends with a record; `row` is the number of its first row."""

    offset: int
    length: int
    line: int
    row: int


@dataclass
class Scanned:
    """What a scan found: rows that are in the copy, blank records, the longest stretch, and an index.

    `one_line`: whether no row has a line end within quotes.
    """

    rows: int = 0
    blank: int = 0
    longest_bytes: int = 0
    one_line: bool = True
    blocks: list[Block] = field(default_factory=list)


def lines(data: bytes) -> int:
    """Return how many line ends (LF, CR LF, CR) are in the bytes."""
    count = data.count(b"\n")
    return count + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else count


class Grammar:
    """Records with one delimiter.

    Args:
        loose: whether blanks before an opening and behind a closing quote are left out: `a, "b, c" ,d`.
    """

    def __init__(self, delimiter: str, *, loose: bool = False) -> None:
        self.delimiter, self.loose = delimiter.encode(), loose
        d = re.escape(self.delimiter)
        around = rb" *" if loose else b""
        quoted = rb'%s"[^"]*(?:""[^"]*)*"%s' % (around, around)
        cell = rb'(?:%s|(?!%s")[^"%s\r\n][^%s\r\n]*|)' % (quoted, around, d, d)
        self._record = re.compile(rb"%s(?:%s%s)*(?:\r\n|\n|\r|\Z)" % (cell, d, cell))
        self._open = re.compile(rb'(?:%s%s)*%s"[^"]*(?:""[^"]*)*\Z' % (cell, d, around))
        self._cell = re.compile(rb"(%s)(?:%s|\Z)" % (cell, d))
        self._blanks = b" \t" + self.delimiter
        self._blank_line = re.compile(rb"\n[ \t%s]*\n" % d)
        self._not_structure = bytes(set(range(256)) - {ord(delimiter), 10})

    def walk(self, data: bytes, line: int, *, last: bool) -> Iterator[Record]:
        """Yield records of `data`, which begins a record and ends a line (or the file, when `last`).

        Stops early when the last record is still open and more bytes could close it.
        """
        position = 0
        while position < len(data):
            if match := self._record.match(data, position):
                raw = data[position : match.end()]
                record = self._closed(raw.rstrip(b"\r\n"), line, match.end())
            elif not last and len(data) - position < RECORD_BYTES and self._open.match(data, position):
                return
            else:
                end = _line_end(data, position)
                record = Record(line, data[position:end].rstrip(b"\r\n"), end, code="quote")
            yield record
            line += lines(data[position : record.end])
            position = record.end

    def _closed(self, raw: bytes, line: int, end: int) -> Record:
        code = "nul" if b"\0" in raw else "size" if len(raw) > RECORD_BYTES else ""
        return Record(line, raw, end, cells=len(self.cells(raw)), code=code)

    def cells(self, raw: bytes) -> list[bytes]:
        """Return the cells of a record as they are written, quotes included."""
        if b'"' not in raw:
            return raw.split(self.delimiter)
        found, position = [], 0
        while match := self._cell.match(raw, position):
            cell = match.group(1)
            found.append(cell.strip(b" ") if self.loose and cell.lstrip(b" ").startswith(b'"') else cell)
            if match.end() == match.end(1):
                break
            position = match.end()
        return found

    def texts(self, raw: bytes) -> list[str]:
        """Return the cells of a record as text."""
        if b'"' not in raw:
            return raw.decode(errors="replace").split(self.delimiter.decode())
        return [unquote(cell).decode(errors="replace") for cell in self.cells(raw)]

    def is_blank(self, raw: bytes) -> bool:
        """Return whether a record is nothing but delimiters and blanks."""
        return not raw.translate(None, self._blanks)

    def plain_rows(self, data: bytes, columns: int) -> int | None:
        """Return the rows in `data` if each of its records is a sound row, else None.

        A quote is put for each quoted text, then everything but delimiters and line ends goes; what is
        left must be the same for each record. Runs at memory speed, which is why it looks as it does.
        """
        if b"\0" in data:
            return None
        body = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data
        if not body.endswith(b"\n"):
            body += b"\n"
        if quotes := body.count(b'"'):
            if quotes % 2:
                return None
            body = _without_quoted(body)
            if not self._are_cells(body):
                return None
        rows = body.count(b"\n")
        shape = self.delimiter * (columns - 1) + b"\n"
        if body.translate(None, self._not_structure) != shape * rows:
            return None
        return None if self._blank_line.search(b"\n" + body) else rows

    def _are_cells(self, body: bytes) -> bool:
        """Return whether each quote in `body`, which stands for a quoted text, has a border on both sides."""
        quotes, before, after = body.count(b'"'), self.delimiter + b'"', b'"' + self.delimiter
        starts = body.count(before) + body.count(b'\n"') + body.startswith(b'"')
        return starts == quotes == body.count(after) + body.count(b'"\n')

    def normal(self, raw: bytes) -> bytes:
        """Return a record with one line end, and cells that hold a quote within quotes."""
        if b'"' in raw:
            raw = self.delimiter.join(_requote(cell) for cell in self.cells(raw))
        return raw + b"\n"


def _without_quoted(body: bytes) -> bytes:
    """Return the bytes with one quote in place of each quoted text (an even number of quotes)."""
    body = b'"'.join(body.split(b'"')[::2])
    while b'""' in body:
        body = body.replace(b'""', b'"')
    return body


def _requote(cell: bytes) -> bytes:
    if cell.startswith(b'"') or b'"' not in cell:
        return cell
    return b'"' + cell.replace(b'"', b'""') + b'"'


def unquote(cell: bytes) -> bytes:
    """Return what a cell as it is written says."""
    return cell[1:-1].replace(b'""', b'"') if cell.startswith(b'"') else cell


def _line_end(data: bytes, position: int) -> int:
    match = re.compile(rb"\r\n|\n|\r").search(data, position)
    return match.end() if match else len(data)


def _normal_lines(data: bytes) -> bytes:
    if b"\r" in data:
        data = _EOLS.sub(lambda match: match.group(1) or b"\n", data)
    return data if data.endswith(b"\n") else data + b"\n"


class Scanner:
    """Reads delimited UTF-8 text once, copies its sound rows, and tells the rest.

    Args:
        path: the text.
        offset: byte at which the first record below the header starts; line: its line.
        columns: cells that a row must have.
        damaged: whether some bytes are not valid UTF-8; their records are rejected.
    """

    def __init__(
        self, path: Path, grammar: Grammar, *, offset: int, line: int, columns: int, damaged: bool, stop: Stop
    ) -> None:
        self._path, self._grammar, self._offset, self._line = path, grammar, offset, line
        self._columns, self._damaged, self._stop = columns, damaged, stop
        self._found = Scanned()
        self._skipping = False

    def copy(self, out: BinaryIO, rejects: Rejects) -> Scanned:
        """Write the sound rows to `out` in normal form: LF, one record after the other; return what was found.

        Raises JobStopped when stopped.
        """
        with open(self._path, "rb") as text:
            text.seek(self._offset)
            pending, last = b"", False
            while not last:
                if self._stop.is_set():
                    raise JobStopped
                data = text.read(max(BLOCK_BYTES, len(pending)))
                last = not data
                pending = self._take(pending + data, last, out, rejects)
        return self._found

    def _take(self, data: bytes, last: bool, out: BinaryIO, rejects: Rejects) -> bytes:
        if self._skipping:
            data = self._skip(data, last)
        cut = len(data) if last else _safe_cut(data)
        if not cut and len(data) > RECORD_BYTES:
            rejects.add(self._reject(Record(self._line, data, len(data), code="size")))
            self._skipping = True
            return self._skip(data, last)
        block = data[:cut]
        while block:
            even = block if last else _even_cut(block)
            rows = self._plain(even)
            if rows is not None:
                line_count = lines(even)
                self._found.one_line &= line_count <= rows
                self._enter(len(even), rows, line_count)
                out.write(_normal_lines(even))
                block = block[len(even) :]
                continue
            used = self._careful(block, last, out, rejects)
            block = block[used:]
            if not used:
                break
        return block + data[cut:]

    def _skip(self, data: bytes, last: bool) -> bytes:
        """Drop the rest of a line that is too long."""
        end = _line_end(data, 0)
        over = end < len(data) or last or data.endswith(b"\n")
        self._skipping = not over
        self._line += over
        drop = end if over else len(data) - data.endswith(b"\r")
        self._offset += drop
        return data[drop:]

    def _plain(self, block: bytes) -> int | None:
        if not block or len(block) > RECORD_BYTES or (self._damaged and not _is_utf8(block)):
            return None
        return self._grammar.plain_rows(block, self._columns)

    def _careful(self, block: bytes, last: bool, out: BinaryIO, rejects: Rejects) -> int:
        used = rows = 0
        for record in self.judged(block, self._line, last=last):
            used = record.end
            if not record.code:
                rows += 1
                self._found.one_line &= b"\n" not in record.raw and b"\r" not in record.raw
                out.write(self._grammar.normal(record.raw))
            elif record.code == "blank":
                self._found.blank += 1
            else:
                rejects.add(self._reject(record))
        if used:
            self._enter(used, rows, lines(block[:used]))
        return used

    def judged(self, block: bytes, line: int, *, last: bool) -> Iterator[Record]:
        """Yield records with the code of what keeps them out of the table, "" for a sound row."""
        for record in self._grammar.walk(block, line, last=last):
            code = record.code
            if not code and self._grammar.is_blank(record.raw):
                code = "blank"
            elif not code and self._damaged and not _is_utf8(record.raw):
                code = "encoding"
            elif not code and record.cells != self._columns:
                code = "cells"
            yield record if code == record.code else Record(record.line, record.raw, record.end, record.cells, code)

    def _reject(self, record: Record) -> Reject:
        facts = {
            "cells": {"cells": record.cells, "columns": self._columns},
            "size": {"size_bytes": len(record.raw), "limit_bytes": RECORD_BYTES},
        }.get(record.code, {})
        return Reject(line=record.line, code=record.code, facts=facts, text=_text(record.raw))

    def _enter(self, length: int, rows: int, line_count: int) -> None:
        found = self._found
        found.blocks.append(Block(self._offset, length, self._line, found.rows + 1))
        found.longest_bytes = max(found.longest_bytes, length)
        found.rows += rows
        self._offset += length
        self._line += line_count

    def locate(self, rows: Sequence[int]) -> dict[int, Place]:
        """Return the places of rows (ascending numbers) by reading their blocks again."""
        places: dict[int, Place] = {}
        starts = [block.row for block in self._found.blocks]
        wanted: dict[int, set[int]] = {}
        for row in rows:
            wanted.setdefault(bisect_right(starts, row) - 1, set()).add(row)
        with open(self._path, "rb") as text:
            for index, numbers in wanted.items():
                block = self._found.blocks[index]
                text.seek(block.offset)
                places.update(self._places(text.read(block.length), block, numbers))
        return places

    def _places(self, data: bytes, block: Block, numbers: set[int]) -> Iterator[tuple[int, Place]]:
        """Yield the rows of these numbers, all in the block with this data, and their places."""
        if b'"' not in data and self._plain(data) is not None:  # then each line is a row
            listed = data.splitlines()
            for row in numbers:
                yield row, Place(block.line + row - block.row, _text(listed[row - block.row]))
            return
        last = max(numbers)
        sound = (r for r in self.judged(data, block.line, last=True) if not r.code)
        for row, record in enumerate(sound, block.row):
            if row in numbers:
                yield row, Place(record.line, _text(record.raw))
            if row >= last:
                return


def _text(raw: bytes) -> str:
    return raw[: TEXT_KEPT * 4].decode(errors="replace")[:TEXT_KEPT]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _safe_cut(data: bytes) -> int:
    """Return the end of the last line that surely ends within `data` (a CR at its end may be half of CR LF)."""
    return max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1


def _even_cut(block: bytes) -> bytes:
    """Return `block` up to the last line end before which the quotes are even."""
    end, odd = len(block), block.count(b'"') % 2
    while odd and end:
        start = _line_start(block, end)
        odd ^= block.count(b'"', start, end) % 2
        end = start
    return block[:end]


def _line_start(block: bytes, end: int) -> int:
    """Return where the line begins whose line end is just before `end`."""
    mark = end - 2 if block[end - 2 : end] == b"\r\n" else end - 1
    return max(block.rfind(b"\n", 0, mark), block.rfind(b"\r", 0, mark)) + 1

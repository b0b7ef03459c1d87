"""Where the values of a JSON text begin and end, found block by block, so that any list is read in little memory.

Only strings and brackets are looked at here; whether a value is valid JSON is msgspec's to say, value by value,
so that one bad record does not end the reading. Imports only `errors`, `ports` and `text`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from aircan.errors import JobStopped, JsonInvalid
from aircan.ports import Stop
from aircan.text.records import RECORD_BYTES, lines

BLOCK_BYTES = 1 << 20
"""Bytes read at a time."""

KEPT_BYTES = 256 * 1024
"""Longest member of a wrapping object that is kept."""

MOST_MEMBERS = 1000
"""Members of wrapping objects that are kept."""

MOST_LEVELS = 5
"""Levels of wrapping objects in which a list is looked for."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_FLAT = re.compile(rb'\{[^"{}\[\]]*(?:%s[^"{}\[\]]*)*\}' % _STRING, re.S)
_ELEMENT = re.compile(rb"[ \t\r\n]*(%s)[ \t\r\n]*," % _FLAT.pattern, re.S)
_TOKEN = re.compile(rb'%s|["\[\]{}]' % _STRING, re.S)
_SCALAR = re.compile(rb'%s|[^\s",:\[\]{}]+' % _STRING, re.S)
_IN_LIST = re.compile(rb"\[[ \t\r\n]*([^ \t\r\n])")
_SPACE = re.compile(rb"[ \t\r\n]*")


class Value(NamedTuple):
    """A value of the text: the byte and the line on which it starts, its bytes, and its deepest level.

    `raw` is cut at RECORD_BYTES; `size` is its whole length.
    """

    offset: int
    line: int
    raw: bytes
    size: int
    levels: int = 0


@dataclass(frozen=True)
class List:
    """A list inside wrapping objects: its keys from the top, where it starts, and the first byte of its first element.

    Example: {"result": {"records": [{"a": 1}]}} -> path ("result", "records"), first b"{".
    """

    path: tuple[str, ...]
    offset: int
    line: int
    first: bytes

    @property
    def name(self) -> str:
        """The path as the parameter `records` has it."""
        return ".".join(self.path)


class Scan:
    """Reads values from a place in a file on.

    Args:
        path: a file in UTF-8.
        offset: where to begin; `line` is the line of that byte, counted from 1.
    """

    def __init__(self, path: Path, offset: int = 0, line: int = 1, *, stop: Stop) -> None:
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by `close`
        self._file.seek(offset)
        self._buffer, self._at, self._base = b"", 0, offset
        self.line, self._stop, self._whole, self._returns = line, stop, False, False

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Scan:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def offset(self) -> int:
        """The byte of the file that is read next."""
        return self._base + self._at

    def peek(self) -> bytes:
        """Skip blanks and return the next byte without taking it; b"" at the end."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            if match and match.end() < len(self._buffer):
                self._move(match.end())
                return self._buffer[self._at : self._at + 1]
            self._move(len(self._buffer))
            if not self._more():
                return b""

    def take(self, expected: bytes) -> None:
        """Skip blanks and take one byte. Raises JsonInvalid when it is another."""
        found = self.peek()
        if found != expected:
            raise self.invalid(
                f"{_shown(expected)} is missing before {_shown(found)}" if found else "the file ends here"
            )
        self._move(self._at + 1)

    def invalid(self, reason: str) -> JsonInvalid:
        """Return the error that names this place."""
        return JsonInvalid(line=self.line, byte=self.offset + 1, reason=reason)

    def value(self) -> Value:
        """Take the next value. Raises JsonInvalid when there is none, or the file ends inside it."""
        first = self.peek()
        offset, line = self.offset, self.line
        if first not in (b"{", b"["):
            raw = self._scalar()
            return Value(offset, line, raw, len(raw))
        size = BLOCK_BYTES
        while True:
            end, levels = closed(self._buffer, self._at)
            if end:
                raw = self._buffer[self._at : end]
                self._move(end)
                return Value(offset, line, raw, len(raw), levels)
            if len(self._buffer) - self._at > RECORD_BYTES:
                raw = self._buffer[self._at : self._at + RECORD_BYTES]
                self.skip()
                return Value(offset, line, raw, self.offset - offset)
            if not self._more(size):
                raise JsonInvalid(line=line, byte=offset + 1, reason="the file ends inside the value that starts here")
            size *= 2

    def skip(self) -> None:
        """Take the next value of whatever length, and keep nothing of it."""
        if self.peek() not in (b"{", b"["):
            self._scalar()
            return
        offset, line, depth = self.offset, self.line, 0
        while True:
            end, depth = _walk(self._buffer, self._at, depth)
            self._move(end)
            if not depth:
                return
            if len(self._buffer) - self._at > RECORD_BYTES:
                raise self.invalid("a string is not closed, or is longer than any that is read")
            if not self._more():
                raise JsonInvalid(line=line, byte=offset + 1, reason="the file ends inside the value that starts here")

    def list_(self, path: tuple[str, ...]) -> tuple[List, bytes]:
        """Take a list without looking into it; return what it is, and its bytes if they are at most KEPT_BYTES."""
        self.peek()
        offset, line = self.offset, self.line
        while not (match := _IN_LIST.match(self._buffer, self._at)) and self._more():
            pass
        found = List(path, offset, line, match[1] if match else b"")
        self.skip()
        size = self.offset - offset
        return found, os.pread(self._file.fileno(), size, offset) if size <= KEPT_BYTES else b""

    def elements(self) -> Iterator[Value]:
        """Take a list and yield its elements. Raises JsonInvalid at whatever is no list."""
        self.take(b"[")
        if self.peek() == b"]":
            self.take(b"]")
            return
        while True:
            while match := _ELEMENT.match(self._buffer, self._at):
                start, end = match.span(1)
                self._move(start)
                value = Value(self._base + start, self.line, match[1], end - start, 1)
                self._move(match.end())
                yield value
            yield self.value()
            if self.peek() == b"]":
                self.take(b"]")
                return
            self.take(b",")

    def sequence(self) -> Iterator[Value]:
        """Yield values that follow each other with nothing but blanks between, to the end."""
        while self.peek():
            yield self.value()

    def end(self) -> None:
        """Raise JsonInvalid when anything but blanks is left."""
        if found := self.peek():
            raise self.invalid(f"the JSON is complete before {_shown(found)}")

    def _scalar(self) -> bytes:
        while True:
            match = _SCALAR.match(self._buffer, self._at)
            if match and (match.end() < len(self._buffer) or self._whole):
                self._move(match.end())
                return match.group()
            found = self._buffer[self._at : self._at + 1]
            if found and not match and found != b'"':
                raise self.invalid(f"a value is missing before {_shown(found)}")
            if len(self._buffer) - self._at > RECORD_BYTES or not self._more(max(BLOCK_BYTES, len(self._buffer))):
                if match and self._whole:
                    continue
                raise self.invalid("a string is not closed" if found else "the file ends here")

    def _move(self, to: int) -> None:
        if to > self._at:
            self.line += (_lines if self._returns else _feeds)(self._buffer, self._at, to)
            self._at = to

    def _more(self, size: int = 0) -> bool:
        """Read on; False when nothing is left. What was taken is forgotten."""
        if self._stop.is_set():
            raise JobStopped
        block = self._file.read(size or BLOCK_BYTES)
        while block.endswith(b"\r") and (more := self._file.read(1)):
            block += more
        self._whole = not block
        if block:
            self._base += self._at
            self._buffer, self._at = self._buffer[self._at :] + block, 0
            self._returns = b"\r" in self._buffer
        return bool(block)


def _feeds(data: bytes, start: int, end: int) -> int:
    return data.count(b"\n", start, end)


def _lines(data: bytes, start: int, end: int) -> int:
    # A CR LF that is cut between two moves counts once. Blocks are never cut there.
    return lines(data[start:end]) - (data[end - 1 : end + 1] == b"\r\n")


def closed(data: bytes, start: int) -> tuple[int, int]:
    """Return the end of the object or list that starts here, and how deep it is; 0 when it is not closed."""
    if match := _FLAT.match(data, start):
        return match.end(), 1
    depth = deepest = 0
    for match in _TOKEN.finditer(data, start):
        first = data[match.start()]
        if first in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif first in b"}]":
            depth -= 1
            if not depth:
                return match.end(), deepest
        elif match.end() - match.start() == 1:
            break
    return 0, deepest


def _walk(data: bytes, start: int, depth: int) -> tuple[int, int]:
    """Return how far the value can be followed, and the depth there; 0 when it is closed."""
    end = start
    for match in _TOKEN.finditer(data, start):
        first = data[match.start()]
        if first in b"{[":
            depth += 1
        elif first in b"}]":
            depth -= 1
        elif match.end() - match.start() == 1:
            return match.start(), depth
        end = match.end()
        if not depth:
            return end, 0
    return (len(data), depth) if depth else (end, depth)


def _shown(found: bytes) -> str:
    return repr(found.decode("ascii", "replace"))


@dataclass
class Document:
    """What a whole JSON text is, its records not looked into.

    Attributes:
        first: first byte of the first value.
        more: whether another value follows the first.
        lists: the lists inside wrapping objects.
        members: path -> bytes of the other members, those up to KEPT_BYTES; of lists too.
    """

    first: bytes
    more: bool = False
    lists: list[List] = field(default_factory=list)
    members: dict[tuple[str, ...], bytes] = field(default_factory=dict)


def look(path: Path, offset: int, *, stop: Stop) -> Document:
    """Return what a JSON text is. A list at the top is not read; an object is, to its end."""
    with Scan(path, offset, stop=stop) as scan:
        document = Document(scan.peek())
        if document.first == b"{":
            _members(scan, document, ())
            document.more = bool(scan.peek())
        return document


def _members(scan: Scan, document: Document, above: tuple[str, ...]) -> None:
    scan.take(b"{")
    if scan.peek() == b"}":
        scan.take(b"}")
        return
    while True:
        if scan.peek() != b'"':
            scan.take(b'"')
        key = scan.value().raw[1:-1].decode("utf-8", "replace")
        scan.take(b":")
        _member(scan, document, (*above, key))
        if scan.peek() == b"}":
            scan.take(b"}")
            return
        scan.take(b",")


def _member(scan: Scan, document: Document, path: tuple[str, ...]) -> None:
    kind = scan.peek()
    if kind == b"[" and len(document.lists) < MOST_MEMBERS:
        found, raw = scan.list_(path)
        document.lists.append(found)
        if raw:
            document.members[path] = raw
    elif kind == b"{" and len(path) < MOST_LEVELS:
        _members(scan, document, path)
    elif kind in b"{[":
        scan.skip()
    else:
        value = scan.value()
        if len(document.members) < MOST_MEMBERS and value.size <= KEPT_BYTES:
            document.members[path] = value.raw

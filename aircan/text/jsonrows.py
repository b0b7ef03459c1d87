"""JSON records become rows of the normal form: one column for each key, in the order in which keys first appear.

A number stays as its digits were written, a string is its characters, true and false are these words, null is NULL, an
object or a list is its JSON without blanks. msgspec reads the values and leaves their bytes as they are. Imports only
`contract`, `errors`, `ports`, `table` and `text`.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from aircan.columns.names import MAX_COLUMNS
from aircan.contract import Reject
from aircan.errors import TooManyColumns
from aircan.table import TEXT_KEPT, Place, Rejects
from aircan.text import normal
from aircan.text.jsonscan import Value
from aircan.text.records import RECORD_BYTES

MOST_LEVELS = 200
"""Deepest record that is read; msgspec and PostgreSQL stop where their stack ends, which is not the same everywhere."""

HELD_BYTES = 1 << 20
"""Bytes of rows that are held back until the columns are likely known."""

MOST_LEARNT = 300
"""Most keys of which a pattern is made."""

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_TEXT = msgspec.json.Decoder(str)
_PLAIN = rb'(?:null|("[^"\\]*(?:\\.[^"\\]*)*"|-?[0-9][0-9.eE+-]*|true|false))'
_BARE = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|(-?\bInfinity\b|\bNaN\b)', re.S)

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

Cells = Mapping[str, bytes]
"""Key -> the bytes of its value, JSON without blanks."""


class Refused(Exception):
    """A record that is no row. `code` and `facts` are those of the reject."""

    def __init__(self, code: str, **facts: Any) -> None:
        self.code, self.facts = code, facts
        super().__init__(code)


class Record:
    """One record's bytes, checked.

    Args:
        value: where it stands.
        check_utf8: whether bytes that are not valid UTF-8 may be in the file.
    """

    def __init__(self, value: Value, *, check_utf8: bool = False) -> None:
        if value.size > RECORD_BYTES:
            raise Refused("size", size_bytes=value.size, limit_bytes=RECORD_BYTES)
        if value.levels > MOST_LEVELS:
            raise Refused("depth", levels=value.levels, limit=MOST_LEVELS)
        if check_utf8 and not _is_utf8(value.raw):
            raise Refused("encoding")
        self.bare = False
        self.raw = self._compact(value.raw)

    def _compact(self, raw: bytes) -> bytes:
        try:
            return msgspec.json.format(raw, indent=-1)
        except (msgspec.DecodeError, RecursionError) as exc:
            words = _BARE.sub(_quoted, raw)
            if words == raw:
                raise Refused("json", reason=_reason(exc)) from exc
        self.bare = True
        try:
            return msgspec.json.format(words, indent=-1)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise Refused("json", reason=_reason(exc)) from exc

    def members(self) -> dict[str, bytes]:
        """Return the members of an object. Raises Refused when it is none, or a key is there twice."""
        return members(self.raw)

    def elements(self) -> list[bytes]:
        """Return the elements of a list. Raises Refused when it is none."""
        if self.raw[:1] != b"[":
            raise Refused("shape", found=kind(self.raw), wanted="a list")
        return [bytes(cell) for cell in _LIST.decode(self.raw)]


def members(raw: bytes) -> dict[str, bytes]:
    """Return key -> bytes of an object's members. Raises Refused when it is no object, or a key is there twice."""
    if raw[:1] != b"{":
        raise Refused("shape", found=kind(raw), wanted="an object")
    try:
        found = {key: bytes(cell) for key, cell in _OBJECT.decode(raw).items()}
    except (UnicodeDecodeError, msgspec.DecodeError) as exc:
        raise Refused("encoding") from exc
    # Quotes, colon and comma of each member, and two brackets; another length: a key is there twice, or is escaped.
    size = sum(map(len, found.values())) + len("".join(found).encode()) + 4 * len(found) + 1
    if size != len(raw) and len(raw) > 2:
        _refuse_twice(raw)
    return found


def _refuse_twice(raw: bytes) -> None:
    twice: list[str] = []

    def pairs(listed: list[tuple[str, Any]]) -> None:
        keys = [key for key, _ in listed]
        twice[:] = [key for number, key in enumerate(keys) if key in keys[:number]][:1]

    json.JSONDecoder(object_pairs_hook=pairs, parse_int=str, parse_float=str).decode(raw.decode("utf-8", "replace"))
    if twice:
        raise Refused("key_twice", key=twice[0][:100])


def _quoted(match: re.Match[bytes]) -> bytes:
    return match[1] or b'"' + match[2] + b'"'


def _reason(exc: Exception) -> str:
    if "truncated" in str(exc):
        return "a value is cut short, or half of a surrogate pair (\\ud800 to \\udfff) stands alone"
    return str(exc).removeprefix("JSON is malformed: ")


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def kind(raw: bytes) -> str:
    """Return what a value is, for people: "an object", "a list", "a string", "a number", "true", ..."""
    names = {b"{": "an object", b"[": "a list", b'"': "a string", b"t": "true", b"f": "false", b"n": "null"}
    return names.get(raw[:1], "a number")


def text_of(raw: bytes) -> str | None:
    """Return a value as a cell's text: None for null."""
    if raw == b"null":
        return None
    if raw[:1] == b'"':
        return str(_TEXT.decode(raw)) if b"\\" in raw else raw[1:-1].decode()
    return raw.decode()


def _unescaped(raw: bytes) -> bytes:
    """Return a JSON string as a quoted cell."""
    text = _TEXT.decode(raw)
    if "\0" in text:
        raise Refused("nul")
    return b'"' + text.encode().replace(b'"', b'""') + b'"'


def _cell(raw: bytes) -> bytes:
    """Return a value as a cell of the normal form. Raises Refused for a NUL character."""
    first = raw[:1]
    if first == b'"':  # a JSON string without escapes is a quoted cell of CSV as it stands
        return _unescaped(raw) if b"\\" in raw else raw
    if first not in b"{[":
        return b"" if raw == b"null" else raw
    if b"\\u0000" in raw and _NUL.search(raw):
        raise Refused("nul")
    return b'"' + raw.replace(b'"', b'""') + b'"'


class Writer:
    """Writes rows into a normal form and remembers where in the file each comes from.

    Args:
        path: the normal form; beside it, `<path>.places` holds three numbers a row.
        columns: keys of the columns that are known.
        plain: keys whose objects are text all the same.
    """

    def __init__(self, path: Path, *, columns: Sequence[str] = (), plain: Iterable[str] = ()) -> None:
        self.path = path
        self.columns = {key: number for number, key in enumerate(columns)}
        self.rows = self.longest_bytes = self.bare = 0
        self._plain = frozenset(plain)
        self._scalar, self._nested = set[str](), set[str]()
        self._out: BinaryIO = open(path, "wb")  # noqa: SIM115 - closed by `close`
        self._places_path = path.with_name(path.name + ".places")
        self._places_out: BinaryIO = open(self._places_path, "wb")  # noqa: SIM115 - closed by `close`
        self._places = array("Q")
        self._held: list[tuple[bytes, int]] = []
        self._width = max(len(self.columns), 2)  # of one column, a NULL would be a blank line, which is no row
        self._held_bytes, self.one_line = 0, True
        self._stretches: list[tuple[int, int]] = []
        self._like: re.Pattern[bytes] | None = None
        self._like_keys: tuple[str, ...] = ()
        self._like_at: list[int] = []
        self._like_width, self._like_straight = 0, False
        self._unseen: list[int] = []

    def add(self, value: Value, cells: Mapping[str, bytes]) -> None:
        """Write a row. Raises Refused for a value that PostgreSQL cannot store, TooManyColumns."""
        columns = self.columns
        written = {key: _cell(raw) for key, raw in cells.items()}
        for key, raw in cells.items():
            if raw != b"null":
                (self._nested if raw[:1] in b"{[" else self._scalar).add(key)
        new = [key for key in cells if key not in columns]
        if new:
            self._grow(new)
        row = [b""] * self._width
        for key, cell in written.items():
            row[columns[key]] = cell
        self._put(value, b",".join(row))
        self._learn(cells)

    def add_like_last(self, value: Value, raw: bytes) -> bool:
        """Write an object with the very keys of the last one and no nested value.

        Most records are such; others are left to `add`, and False is returned. `raw` is valid JSON without blanks.
        """
        match = self._like and self._like.fullmatch(raw)
        if not match:
            return False
        cells = match.groups(b"")
        if b"\\" in raw:
            cells = tuple(_unescaped(cell) if b"\\" in cell else cell for cell in cells)
        for number in self._unseen:
            if cells[number]:
                self._scalar.add(self._like_keys[number])
        if not self._like_straight:
            row = [b""] * self._width
            for number, cell in zip(self._like_at, cells, strict=True):
                row[number] = cell
            cells = tuple(row)
        self._put(value, b",".join(cells))
        return True

    def _learn(self, cells: Cells) -> None:
        """Make the pattern of records with these keys."""
        keys = tuple(cells)
        if keys == self._like_keys and self._like_width == self._width:
            self._unseen = [number for number, key in enumerate(keys) if key not in self._scalar]
            return
        self._like, self._like_keys, self._like_width = None, keys, self._width
        if keys and len(keys) <= MOST_LEARNT:
            members_ = b",".join(re.escape(msgspec.json.encode(key)) + b":" + _PLAIN for key in keys)
            self._like = re.compile(rb"\{%s\}" % members_)
        self._like_at = [self.columns[key] for key in keys]
        self._like_straight = self._like_at == list(range(self._width))
        self._unseen = [number for number, key in enumerate(keys) if key not in self._scalar]

    def _put(self, value: Value, line: bytes) -> None:
        self.longest_bytes = max(self.longest_bytes, len(line) + 1)
        self.one_line &= b"\n" not in line and b"\r" not in line
        self._held.append((line, self._width))
        self._held_bytes += len(line) + 1
        self.rows += 1
        self._places.extend((value.offset, value.line, value.size))
        if self._held_bytes >= HELD_BYTES:
            self._flush()

    def expect(self, columns: Sequence[str]) -> None:
        """Make these columns, whether or not a row has a value in them. Raises TooManyColumns."""
        self._grow([key for key in columns if key not in self.columns])

    def _grow(self, new: Sequence[str]) -> None:
        if len(self.columns) + len(new) > MAX_COLUMNS:
            raise TooManyColumns(columns=len(self.columns) + len(new), limit=MAX_COLUMNS)
        for key in new:
            self.columns[key] = len(self.columns)
        self._width = max(len(self.columns), 2)

    def _flush(self) -> None:
        width = self._width
        if self._held:
            if not self._stretches:
                normal.begin(self._out, width)
            self._out.writelines(line + b"," * (width - cells) + b"\n" for line, cells in self._held)
            self._stretches.append((self._out.tell(), width))
            self._held, self._held_bytes = [], 0
        self._places.tofile(self._places_out)
        del self._places[:]

    def close(self) -> None:
        """Write what is held back, and give every row the cells of all columns."""
        self._flush()
        width = self._width
        if not self._stretches:
            normal.begin(self._out, width)
        self._out.close()
        self._places_out.close()
        if any(cells != width for _, cells in self._stretches):
            self.longest_bytes += width
            normal.pad(self.path, self._stretches, width)

    @property
    def nested(self) -> frozenset[int]:
        """Numbers of the columns all of whose values are objects or lists."""
        return frozenset(self.columns[key] for key in self._nested - self._scalar - self._plain)

    def relation(self) -> str:
        """Return the SQL of the rows; of a table with one column there is a second one, which is NULL."""
        return normal.relation(self.path, self._width, self.longest_bytes)

    def locate(self, source: Path) -> Callable[[Sequence[int]], Mapping[int, Place]]:
        """Return the `locate` of the table; `source` is the text in UTF-8 that the records were read from."""
        places = self._places_path

        def at(rows: Sequence[int]) -> Mapping[int, Place]:
            found = {}
            with open(places, "rb") as numbers, open(source, "rb") as text:
                for row in rows:
                    numbers.seek((row - 1) * 24)
                    place = array("Q", numbers.read(24))
                    text.seek(place[0])
                    found[row] = Place(place[1], kept(text.read(min(place[2], 4 * TEXT_KEPT))))
            return found

        return at


def kept(raw: bytes) -> str:
    """Return as much of a record's text as is kept."""
    return raw[: 4 * TEXT_KEPT].decode("utf-8", "replace")[:TEXT_KEPT].replace("\0", "\ufffd")


def refuse(rejects: Rejects, value: Value, refused: Refused) -> None:
    """Tell a record that is no row."""
    rejects.add(Reject(value.line, refused.code, facts=refused.facts, text=kept(value.raw)))

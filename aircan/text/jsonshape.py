"""Which list of a JSON text holds the records, and what says so. Imports only `errors` and `text`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from aircan.errors import JsonIsError, RecordsMissing
from aircan.ports import Stop
from aircan.text.jsonrows import Record, Refused, kind, members, text_of
from aircan.text.jsonscan import Document, List, Scan, Value, closed
from aircan.text.records import RECORD_BYTES

PREFERRED = ("records", "data", "items", "results", "result", "rows", "features", "values", "value", "entries")
"""Names that a list of records usually has."""

HEADERS = ("columns", "fields", "headers", "header", "column_names")
"""Names of a list, beside one of lists, that names the columns."""

NAMES = ("id", "name", "label", "field", "title")
"""Members that name a column where HEADERS holds objects."""

COLUMNS_BYTES = 32 << 20
"""Largest text whose columns are turned into rows: it is held in memory."""

_FAULTS = ("error", "errors", "fault", "exception")
_NO_FAULT = (b"null", b"false", b"[]", b"{}", b'""', b"0")
_JSON = re.compile(
    rb"\s*(?:\{\s*(?:\"(?:[^\"\\\r\n]|\\.)*\"\s*:|\}|\Z)"
    rb"|\[\s*(?:\]|\{\s*[\"}]|\[\s*(?:[\"\[{\]\d-]|true|false|null)|(?:\"(?:[^\"\\\r\n]|\\.)*\"|-?\d[\d.eE+-]*|true|false|null)\s*[,\]]\s*[\"\d\[{tfn-]))"
)


def begins(head: bytes) -> bool:
    """Return whether a text that begins like this, in UTF-8 and without a mark, is JSON."""
    return _JSON.match(head) is not None


def lines_of(path: Path, offset: int) -> bool:
    """Return whether each line is a value: the first is one, and others follow."""
    with open(path, "rb") as file:
        file.seek(offset)
        line = b"\n"
        while line.isspace():
            line = file.readline(RECORD_BYTES)
        following = b"\n"
        while following.isspace():
            following = file.readline(1 << 16)
    first = line.strip()
    if not line.endswith(b"\n") or not following or not is_whole(first):
        return False
    return first[:1] == b"{" or (first[:1] == b"[" and following.lstrip().startswith(b"["))


def is_whole(raw: bytes) -> bool:
    """Return whether an object or a list is closed by the very last byte."""
    return closed(raw, 0)[0] == len(raw)


def find(document: Document, wanted: str) -> List | None:
    """Return the list that holds the records; None when the object itself is a record, or its columns are lists.

    Args:
        document: an object at the top.
        wanted: the parameter `records`, "" to find it.

    Raises:
        RecordsMissing: there is none of that name, or several could be it. JsonIsError: an API's error.
    """
    if wanted:
        found = [one for one in document.lists if one.name == wanted]
        if not found or found[0].first not in (b"{", b"["):
            raise RecordsMissing(wanted=wanted, lists=_listed(document.lists))
        return found[0]
    tables = [one for one in document.lists if one.first in (b"{", b"[") and one.path[-1] not in HEADERS]
    named = [one for one in tables if one.path[-1].lower() in PREFERRED]
    if named:
        return named[0]
    if len(tables) > 1:
        raise RecordsMissing(wanted="", lists=_listed(tables))
    if tables:
        return tables[0]
    refuse_error(document.members)
    empty = [one for one in document.lists if one.first == b"]" and one.path[-1].lower() in PREFERRED]
    if empty:
        raise RecordsMissing(wanted=empty[0].name, lists=_listed(document.lists))
    return None


def _listed(lists: Iterable[List]) -> str:
    return ", ".join(one.name for one in list(lists)[:20]) or "-"


def refuse_error(found: Mapping[tuple[str, ...], bytes]) -> None:
    """Raise JsonIsError when these members are what an API answers instead of data."""
    faults = [path for path in found if path[0].lower() in _FAULTS and found[path] not in _NO_FAULT]
    talk = [path for path in found if path[-1].lower() in ("message", "detail", "error_description", "title", "msg")]
    failed = found.get(("success",)) == b"false"
    status = any(path[-1].lower() in ("status", "code", "statuscode", "status_code") for path in found)
    if faults or failed or (talk and status and len(found) <= 6):
        said = next(iter([*(path for path in talk if path in faults or not faults), *faults, *talk]), None)
        raise JsonIsError(said=(text_of_member(found[said]) if said else "-")[:200])


def text_of_member(raw: bytes) -> str:
    """Return a member's text for people."""
    try:
        return text_of(Record(Value(0, 1, raw, len(raw))).raw) or "-"
    except Refused:
        return "-"


def header(document: Document, chosen: List) -> list[str] | None:
    """Return the names of the columns that stand beside a list of lists, None when none do."""
    for name in HEADERS:
        raw = document.members.get((*chosen.path[:-1], name))
        if raw and raw[:1] == b"[":
            try:
                return [_name(cell) for cell in Record(Value(0, 1, raw, len(raw))).elements()]
            except (Refused, KeyError):
                continue
    return None


def _name(raw: bytes) -> str:
    if raw[:1] == b"{":
        found = {key.lower(): cell for key, cell in members(raw).items()}
        raw = next(found[name] for name in NAMES if name in found) if set(found) & set(NAMES) else b"{"
    if raw[:1] != b'"':
        raise KeyError(raw)
    return text_of(raw) or ""


def columns(path: Path, offset: int, *, stop: Stop) -> Iterator[tuple[Value, dict[str, bytes]]] | None:
    """Return the rows of an object whose members are columns, or whose members are rows by number; else None.

    {"a": [1, 2], "b": [3, 4]}, {"a": {"0": 1, "1": 2}, "b": {"0": 3, "1": 4}} (pandas' own default) and
    {"0": {"a": 1, "b": 3}, "1": {"a": 2, "b": 4}} are the same table.
    """
    if path.stat().st_size - offset > COLUMNS_BYTES:
        return None
    with Scan(path, offset, stop=stop) as scan:
        raw = scan.value().raw
    top = members(Record(Value(offset, 1, raw, 0)).raw)
    kinds = {kind(cell) for cell in top.values()}
    if kinds == {"a list"}:
        lists = {key: Record(Value(0, 1, cell, 0)).elements() for key, cell in top.items()}
        sizes = set(map(len, lists.values()))
        return _across(lists, sizes.pop(), offset) if len(sizes) == 1 and len(top) > 1 else None
    if kinds != {"an object"}:
        return None
    inner = {key: members(cell) for key, cell in top.items()}
    if all(key.isdecimal() for key in inner):
        return iter([(Value(offset, number, b"", 0), row) for number, row in enumerate(inner.values(), 1)])
    keys = dict.fromkeys(key for column in inner.values() for key in column)
    if keys and all(key.isdecimal() for key in keys):
        turned = {name: [column.get(key, b"null") for key in keys] for name, column in inner.items()}
        return _across(turned, len(keys), offset)
    return None


def _across(lists: Mapping[str, list[bytes]], rows: int, offset: int) -> Iterator[tuple[Value, dict[str, bytes]]]:
    for number in range(rows):
        yield Value(offset, number + 1, b"", 0), {key: cells[number] for key, cells in lists.items()}

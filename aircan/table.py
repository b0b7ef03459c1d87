"""What a format hands to the steps: rejects on the way, and a table of text that DuckDB can read.

Imports only `contract` and `errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aircan.contract import Reject
from aircan.errors import fill

TEXT_KEPT = 10_000
"""Characters of a rejected record that are kept."""

VALUE_KEPT = 200
"""Characters of a value that are kept in a reject or a reason."""


@dataclass(frozen=True)
class Place:
    """Where a row stands in the file: the physical line on which it starts, and its text."""

    line: int
    text: str


Locate = Callable[[Sequence[int]], Mapping[int, Place]]
"""Row numbers (1-based, ascending) of a table -> their places in the file."""


@dataclass(frozen=True)
class Table:
    """A file read to its end: every record is a row of `relation` or was rejected.

    Attributes:
        format: name of the format, e.g. "csv".
        labels: the header's texts, in order, "" for an empty cell.
        relation: SQL of a DuckDB relation with the columns c0, c1, ..., all VARCHAR, in file order;
            NULL is an unquoted empty cell, '' a quoted one.
        rows: rows of `relation`.
        rejected: records that are not in it, all told already.
        locate: from row numbers to places in the file.
        one_line: whether no cell holds a line end, as far as the format knows; others have to be proved, see `engine`.
        decimal_comma: whether a comma may be a decimal mark (it is not the delimiter).
        copy: the file that `relation` reads, if it is the normal form with commas, see `text.normal`; else None.
        nested: numbers of the columns (from 0) all of whose values are JSON objects or arrays.
        memory_mb: memory that DuckDB needs for the longest record.
        one_thread: whether the engine has to read with one thread, as several would hold too much at once.
        facts: what was found, JSON-ready: {"encoding", "delimiter", "header_line", "blank_records", ...}.
        warnings: [{"code", facts}].
    """

    format: str
    labels: tuple[str, ...]
    relation: str
    rows: int
    rejected: int
    locate: Locate
    one_line: bool = False
    decimal_comma: bool = False
    copy: Path | None = None
    nested: frozenset[int] = frozenset()
    memory_mb: int = 96
    one_thread: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[Mapping[str, Any], ...] = ()


class Rejects:
    """Counts every reject and passes the first `most` on in batches.

    Args:
        most: how many are passed on; the rest is only counted.
        send: takes a list of at most `batch` rejects.
    """

    def __init__(self, most: int, send: Callable[[list[Reject]], None], batch: int = 500) -> None:
        self._most, self._send, self._batch = most, send, batch
        self._waiting: list[Reject] = []
        self.count = 0
        self.first: Reject | None = None

    @property
    def wanted(self) -> bool:
        """Whether the next reject would still be passed on."""
        return self.count < self._most

    @property
    def room(self) -> int:
        """How many more would still be passed on."""
        return max(0, self._most - self.count)

    def add(self, reject: Reject) -> None:
        """Count a reject and pass it on if it is among the first."""
        self.first = self.first or reject
        if self.wanted:
            self._waiting.append(reject)
        self.count += 1
        if len(self._waiting) >= self._batch:
            self.flush()

    def skip(self, count: int) -> None:
        """Count rejects that nobody wants to see."""
        self.count += count

    def flush(self) -> None:
        """Pass on what is waiting."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._send(waiting)


EXPLAINED = {
    "cells": "%(cells)s cells instead of %(columns)s",
    "quote": "a quote is not closed, or is followed by other text",
    "nul": "a NUL character",
    "encoding": "bytes that are not valid UTF-8",
    "size": "longer than %(limit_bytes)s bytes",
    "json": "not valid JSON: %(reason)s",
    "shape": "%(found)s instead of %(wanted)s",
    "key_twice": "the key %(key)s is there twice",
    "depth": "%(levels)s levels deep; %(limit)s are read",
    "value": "%(value)s in column %(field)s is not of type %(type)s",
    "key_again": "the key %(value)s is in line %(first_line)s and again in line %(line)s",
    "key_missing": "the key is empty in line %(line)s",
}
"""Reject code -> what is wrong, in English; takes the reject's facts, its field and its value."""


def explain(reject: Reject) -> str:
    """Return what is wrong with a rejected record, in English."""
    facts = {**reject.facts, "field": reject.field, "value": reject.value}
    return fill(EXPLAINED.get(reject.code, reject.code), facts)

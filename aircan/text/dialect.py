"""Delimiter and header line of delimited text, decided on its first records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aircan.errors import FileEmpty, HeaderMissing, NotTabular
from aircan.text.header import header_at
from aircan.text.records import Grammar, Record, lines

DELIMITERS = ("\t", "|", ";", ",")
"""Tried delimiters. When two explain the file equally well, the one that is rarer in prose wins."""

HEAD_RECORDS = 1000
"""Records that are looked at."""


@dataclass(frozen=True)
class Dialect:
    """Delimiter, header, and where the records below the header begin.

    Attributes:
        labels: the header's cells.
        header_line: physical line on which the header starts.
        offset: byte, counted from the first of the head, of the first record below the header.
        line: physical line of that record.
        above: texts of the non-blank records above the header.
        share: share of the records below that have as many cells as the header.
    """

    delimiter: str
    labels: tuple[str, ...]
    header_line: int
    offset: int
    line: int
    above: tuple[str, ...] = ()
    share: float = 1.0


def find(head: bytes, *, whole: bool, delimiter: str = "", header_line: int = 0) -> Dialect:
    """Return the dialect of a text of which `head` is the beginning.

    Args:
        head: UTF-8 without mark; ends with a line unless it is `whole`.
        whole: whether `head` is all there is.
        delimiter: the delimiter if it is known.
        header_line: the header's physical line if it is known, else 0.

    Raises:
        FileEmpty: nothing but blanks.
        HeaderMissing: the header has no name in any cell.
        NotTabular: the first line, or the one that is said to be the header, is no sound record.
    """
    if not head.strip(b" \t\r\n,;|\0"):
        raise FileEmpty
    tries = [_try(head, d, whole, header_line) for d in ((delimiter,) if delimiter else DELIMITERS)]
    found = [dialect for dialect in tries if dialect]
    best = max(found, key=_score, default=None)
    # One column may be all there is; but not when a delimiter shows an open quote in the header instead.
    if not best or (len(best.labels) == 1 and len(found) < len(tries)):
        raise NotTabular(line=header_line or 1, reason="the header is no record, often a quote is not closed")
    if not any(label.strip() for label in best.labels):
        raise HeaderMissing(line=best.header_line)
    return best


def _score(dialect: Dialect) -> tuple[bool, float, int, bool]:
    many = len(dialect.labels) > 1
    share = round(dialect.share, 1) if many else dialect.share
    return many, share, len(dialect.labels), not many and dialect.delimiter == ","


def _try(head: bytes, delimiter: str, whole: bool, header_line: int) -> Dialect | None:
    grammar = Grammar(delimiter)
    records = []
    for record in grammar.walk(head, 1, last=whole):
        records.append(record)
        if len(records) > HEAD_RECORDS:
            break
    index = _at_line(records, header_line) if header_line else _header(records, grammar)
    if index is None:
        return None
    header = records[index]
    below = [r for r in records[index + 1 :] if not grammar.is_blank(r.raw)]
    start = records[index - 1].end if index else 0
    return Dialect(
        delimiter=delimiter,
        labels=tuple(grammar.texts(header.raw)),
        header_line=header.line,
        offset=header.end,
        line=header.line + lines(head[start : header.end]),
        above=tuple(r.raw[:800].decode(errors="replace")[:200] for r in records[:index] if not grammar.is_blank(r.raw)),
        share=sum(r.cells == header.cells for r in below) / len(below) if below else 1.0,
    )


def _at_line(records: Sequence[Record], line: int) -> int | None:
    return next((i for i, r in enumerate(records) if r.line == line and not r.code), None)


def _header(records: Sequence[Record], grammar: Grammar) -> int | None:
    """Return the index of the header among records; None when a record above it is no sound one."""
    cells = [None if r.code else [] if grammar.is_blank(r.raw) else grammar.texts(r.raw) for r in records]
    return header_at(cells)

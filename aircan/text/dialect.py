"""Delimiter and header of delimited text, decided on its first records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aircan.errors import FileEmpty, HeaderMissing, NotTabular
from aircan.text.header import Frame, header_at, joined, two_rows, unnamed
from aircan.text.records import Grammar, Record, lines

DELIMITERS = ("\t", "|", ";", ",")
"""Tried delimiters. When two explain the file equally well, the one that is rarer in prose wins."""

RARE_DELIMITERS = ("^", "~", ":")
"""Tried when no usual one splits the header; they must split every record into as many cells."""

HEAD_RECORDS = 1000
"""Records that are looked at."""

_SEP_LINE = re.compile(rb'("?)sep=([^\r\n"]|\t)\1(\r\n|\n|\r)', re.IGNORECASE)
_TIME = re.compile(r"\s*[0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.,][0-9]+)?)?\s*|.*(://|: ).*")


@dataclass(frozen=True)
class Dialect:
    """Delimiter, header, and where the records below the header begin.

    Attributes:
        labels: the header's texts, one for each column.
        header_line: physical line on which the header starts, 0 without a header.
        header_rows: records that the header takes.
        offset: byte, counted from the first of the head, of the first record below the header.
        line: physical line of that record.
        above: texts of the non-blank records above the header.
        share: share of the records below that have as many cells as the header.
        loose: whether blanks stand between delimiters and quotes and are no part of the cells.
        rare: whether the delimiter is a rare one that was found.
    """

    delimiter: str
    labels: tuple[str, ...]
    header_line: int
    header_rows: int
    offset: int
    line: int
    above: tuple[str, ...] = ()
    share: float = 1.0
    loose: bool = False
    rare: bool = False


def sep_line(head: bytes) -> tuple[str, int]:
    """Return the delimiter that Excel's first line `sep=;` names, and that line's bytes; ("", 0) without one."""
    match = _SEP_LINE.match(head)
    return (match[2].decode(), match.end()) if match and match[2].isascii() else ("", 0)


_WHERE_FOUND = Frame()


def find(head: bytes, *, whole: bool, delimiter: str = "", frame: Frame = _WHERE_FOUND, line: int = 1) -> Dialect:
    """Return the dialect of a text of which `head` is the beginning.

    Args:
        head: UTF-8 without mark; ends with a line unless it is `whole`.
        whole: whether `head` is all there is.
        delimiter: the delimiter if it is known.
        frame: what is known of the header; lines that it skips are not in `head` any more.
        line: physical line with which `head` begins.

    Raises:
        FileEmpty: nothing but blanks.
        HeaderMissing: the header has no name in any cell.
        NotTabular: the first line, or the one that is said to be the header, is no sound record.
    """
    if not head.strip(b" \t\r\n,;|\0"):
        raise FileEmpty
    tried = (delimiter,) if delimiter else _to_try(head)
    tries = [_try(_Head(head, d, whole, line), frame) for d in tried]
    found = [dialect for dialect in tries if dialect]
    best = max(found, key=_score, default=None)
    if best and len(best.labels) == 1 and not delimiter and len(found) == len(tries):
        best = _rare(head, whole, line, frame) or best
    # One column may be all there is; but not when a delimiter shows an open quote in the header instead.
    if not best or (len(best.labels) == 1 and len(found) < len(tries)):
        raise NotTabular(line=frame.header_line or line, reason="the header is no record, often a quote is not closed")
    if not any(label.strip() for label in best.labels):
        raise HeaderMissing(line=best.header_line)
    return best


def _to_try(head: bytes) -> Sequence[str]:
    """Return the usual delimiters; of those that `head` has not only one, for each of them would find the same."""
    absent = [d for d in DELIMITERS if d.encode() not in head]
    one = "," if "," in absent else next(iter(absent), "")
    return [d for d in DELIMITERS if d == one or d not in absent]


def _score(dialect: Dialect) -> tuple[bool, float, int, bool]:
    many = len(dialect.labels) > 1
    share = round(dialect.share, 1) if many else dialect.share
    return many, share, len(dialect.labels), not many and dialect.delimiter == ","


class _Head:
    """The first records of a text, read with one delimiter."""

    def __init__(self, data: bytes, delimiter: str, whole: bool, line: int) -> None:
        self.data, self.delimiter, self.line = data, delimiter, line
        self.grammar = Grammar(delimiter)
        self.records = self._read(whole)
        loose = Grammar(delimiter, loose=True)
        if delimiter != " " and re.search(rb'(^|[%s\r\n]) +"' % re.escape(delimiter.encode()), data):
            self._try_loose(loose, whole)

    def _read(self, whole: bool) -> list[Record]:
        records = []
        for record in self.grammar.walk(self.data, self.line, last=whole):
            records.append(record)
            if len(records) > HEAD_RECORDS:
                break
        return records

    def _try_loose(self, loose: Grammar, whole: bool) -> None:
        """Leave blanks around quotes out of all cells, if that reads more records well, or differs and speaks well."""
        strict, records = self.grammar, self.records
        self.grammar = loose
        self.records = self._read(whole)
        before, after = _faults(records), _faults(self.records)
        differs = len(records) != len(self.records) or any(strict.cells(r.raw) != loose.cells(r.raw) for r in records)
        sound = not any(record.code == "quote" for record in self.records)
        if not (differs and (after < before or (after == before and sound))):
            self.grammar, self.records = strict, records

    def texts(self, record: Record) -> list[str]:
        return self.grammar.texts(record.raw)

    def is_blank(self, record: Record) -> bool:
        return self.grammar.is_blank(record.raw)

    def start(self, index: int) -> int:
        """Return the byte at which a record begins."""
        return self.records[index - 1].end if index else 0


def _faults(records: Sequence[Record]) -> int:
    """Return how many records have a quote out of place, or another number of cells than most."""
    counts = Counter(record.cells for record in records)
    usual = counts.most_common(1)[0][0] if counts else 0
    return sum(record.code == "quote" or record.cells != usual for record in records)


def _try(head: _Head, frame: Frame) -> Dialect | None:
    index = _at_line(head.records, frame.header_line) if frame.header_line else _header(head)
    if index is None:
        return None
    filled = [(i, r) for i, r in enumerate(head.records) if i >= index and not head.is_blank(r)]
    rows = frame.rows
    if frame.header_rows is None and two_rows([head.texts(r) for _, r in filled[:50] if not r.code]):
        rows = 2
    header = filled[:rows]
    if len(header) < rows or any(record.code for _, record in header):
        return None
    labels = _labels(head, [r for _, r in header], [r for _, r in filled])
    below = filled[rows:]
    end = header[-1][1].end if header else head.start(index)
    return Dialect(
        delimiter=head.delimiter,
        labels=tuple(labels),
        header_line=head.records[index].line if rows else 0,
        header_rows=rows,
        offset=end,
        line=head.line + lines(head.data[:end]),
        above=tuple(r.raw[:800].decode(errors="replace")[:200] for r in head.records[:index] if not head.is_blank(r)),
        share=sum(r.cells == len(labels) for _, r in below) / len(below) if below else 1.0,
        loose=head.grammar.loose,
    )


def _labels(head: _Head, header: Sequence[Record], filled: Sequence[Record]) -> list[str]:
    if header:
        return joined([head.texts(record) for record in header])
    counts = Counter(record.cells for record in filled if not record.code)
    return unnamed(max(counts, key=lambda cells: (counts[cells], cells), default=1))


def _at_line(records: Sequence[Record], line: int) -> int | None:
    return next((i for i, r in enumerate(records) if r.line == line and not r.code), None)


def _header(head: _Head) -> int | None:
    """Return the index of the header among records; None when a record above it is no sound one."""
    cells = [None if r.code else [] if head.is_blank(r) else head.texts(r) for r in head.records]
    return header_at(cells)


def _rare(head: bytes, whole: bool, line: int, frame: Frame) -> Dialect | None:
    """Return the dialect with a rare delimiter, if one splits the header and each record into as many cells.

    Three records at least must say so. Colons stand in times, addresses and prose: they must make three cells.
    """
    for delimiter in RARE_DELIMITERS:
        first = _Head(head, delimiter, whole, line)
        found = _try(first, frame)
        if (
            not found
            or found.above
            or len(found.labels) < 2
            or found.share < 1
            or not all(map(str.strip, found.labels))
        ):
            continue
        filled = [r for r in first.records if not first.is_blank(r)]
        texts = [r.raw.decode(errors="replace") for r in filled]
        no_table = delimiter == ":" and (len(found.labels) < 3 or any(map(_TIME.fullmatch, texts)))
        if len(filled) >= 3 and not no_table:
            return replace(found, rare=True)
    return None

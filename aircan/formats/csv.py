"""Delimited text: CSV, TSV and their kin.

Parameters: `delimiter` (one character), `encoding` (as Python's codecs name it), and those of
`aircan.text.header.Frame`: lines are physical ones, counted from 1. What is not given is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aircan.columns.names import MAX_COLUMNS
from aircan.errors import FileEmpty, OrderRefused, TooManyColumns
from aircan.ports import Stop
from aircan.table import Place, Rejects, Table
from aircan.text import cuts, normal
from aircan.text import dialect as dialects
from aircan.text import encoding as encodings
from aircan.text.header import Frame
from aircan.text.records import BLOCK_BYTES, Grammar, Scanned, Scanner

NAME = "csv"


@dataclass(frozen=True)
class Wanted:
    """What the order says about the text; "" means: find out."""

    delimiter: str = ""
    encoding: str = ""
    frame: Frame = field(default_factory=Frame)

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Wanted:
        """Read the parameters. Raises OrderRefused naming the wrong one."""
        delimiter = {"tab": "\t", "\\t": "\t"}.get(str(params.get("delimiter") or ""), params.get("delimiter") or "")
        if not isinstance(delimiter, str) or len(delimiter.encode()) > 1 or delimiter in ('"', "\r", "\n", "\0"):
            raise OrderRefused(field="params.delimiter")
        return cls(delimiter, str(params.get("encoding") or ""), Frame.of(params))


def recognises(path: Path, head: bytes) -> bool:
    """Return True: what is no other format is taken for text."""
    return True


def read(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
    """Read delimited text to its end; see `formats.Format.read`.

    Leaves two files in `workdir` that the table needs: text.csv (only if the file was not UTF-8) and rows.csv.
    """
    wanted = Wanted.of(params)
    if not path.stat().st_size:
        raise FileEmpty
    encoding = encodings.detect(path, wanted=wanted.encoding, stop=stop)
    text, start = encodings.to_utf8(path, encoding, workdir / "text.csv", stop=stop)
    cut = cuts.cut(text, start, wanted.frame, workdir / "cut.csv")
    head, whole = _head(cut.path, cut.offset)
    named, sep_bytes = dialects.sep_line(head) if cut.line == 1 else ("", 0)
    dialect = dialects.find(
        head[sep_bytes:],
        whole=whole,
        delimiter=wanted.delimiter or named,
        frame=wanted.frame,
        line=cut.line + bool(sep_bytes),
    )
    columns = len(dialect.labels)
    if columns > MAX_COLUMNS:
        raise TooManyColumns(columns=columns, limit=MAX_COLUMNS)
    scanner = Scanner(
        cut.path,
        Grammar(dialect.delimiter, loose=dialect.loose),
        offset=cut.offset + sep_bytes + dialect.offset,
        line=dialect.line,
        columns=columns,
        damaged=encoding.damaged,
        stop=stop,
    )
    before = rejects.count
    rows_path = workdir / "rows.csv"
    with open(rows_path, "wb") as out:
        normal.begin(out, columns, dialect.delimiter)
        scanned = scanner.copy(out, rejects)
    found = _Found(wanted, encoding, dialect, cut, named=bool(named))
    return _table(found, scanner, scanned, rows_path, rejects.count - before)


def _head(text: Path, start: int) -> tuple[bytes, bool]:
    """Return the first lines of the text, and whether they are all of it."""
    with open(text, "rb") as file:
        file.seek(start)
        head = file.read(BLOCK_BYTES)
        if len(head) < BLOCK_BYTES:
            return head, True
    return head[: max(head.rfind(b"\n"), head.rfind(b"\r", 0, -1)) + 1] or head, False


@dataclass(frozen=True)
class _Found:
    """What was found out about the text, and what the order had said; `named`: a line `sep=` named the delimiter."""

    wanted: Wanted
    encoding: encodings.Encoding
    dialect: dialects.Dialect
    cut: cuts.Cut
    named: bool

    def facts(self) -> dict[str, Any]:
        dialect, frame = self.dialect, self.wanted.frame
        above = "below_titles" if dialect.above else "first_line"
        return {
            "format": "tsv" if dialect.delimiter == "\t" else NAME,
            "encoding": self.encoding.name,
            "encoding_evidence": self.encoding.evidence,
            "delimiter": dialect.delimiter,
            "delimiter_evidence": "order" if self.wanted.delimiter else "sep_line" if self.named else "cells",
            "delimiter_share": round(dialect.share, 4),
            "header_line": dialect.header_line,
            "header_rows": dialect.header_rows,
            "header_evidence": "order" if frame.header_line or frame.header_rows == 0 else above,
            **({"blanks_around_quotes": True} if dialect.loose else {}),
            **({"footer_lines": self.cut.footer_lines} if self.cut.footer_lines else {}),
        }


def _table(found: _Found, scanner: Scanner, scanned: Scanned, rows_path: Path, rejected: int) -> Table:
    dialect = found.dialect
    columns = len(dialect.labels)
    return Table(
        format=NAME,
        labels=dialect.labels,
        relation=normal.relation(rows_path, columns, scanned.longest_bytes, dialect.delimiter),
        copy=rows_path if dialect.delimiter == "," else None,
        rows=scanned.rows,
        rejected=rejected,
        locate=_Places(scanner),
        one_line=scanned.one_line,
        decimal_comma=dialect.delimiter != ",",
        memory_mb=normal.memory_mb(columns, scanned.longest_bytes),
        facts={**found.facts(), "blank_records": scanned.blank},
        warnings=tuple(_warnings(found, scanned.rows + rejected)),
    )


class _Places:
    """`Scanner.locate` as a table wants it."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    def __call__(self, rows: Sequence[int]) -> Mapping[int, Place]:
        return self._scanner.locate(rows)


def _warnings(found: _Found, records: int) -> list[Mapping[str, Any]]:
    encoding, dialect = found.encoding, found.dialect
    out: list[Mapping[str, Any]] = []
    if encoding.evidence in ("fallback", "letters"):
        out.append({"code": "encoding_guessed", "encoding": encoding.name})
    if encoding.damaged:
        out.append({"code": "encoding_damaged", "encoding": encoding.name})
    if dialect.above:
        out.append({"code": "lines_above", "count": len(dialect.above), "first": dialect.above[0]})
    if dialect.header_rows == 2 and found.wanted.frame.header_rows is None:
        out.append({"code": "two_header_rows", "line": dialect.header_line})
    if found.cut.footer_lines:
        out.append({"code": "lines_below", "count": found.cut.footer_lines, "first": found.cut.footer})
    if not records:
        out.append({"code": "no_rows"})
    return out

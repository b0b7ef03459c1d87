"""Delimited text: CSV, TSV and their kin.

Parameters: `delimiter` (one character), `encoding` (as Python's codecs name it), `header_line`
(physical line of the header, 1-based). What is not given is found out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aircan.columns.names import MAX_COLUMNS
from aircan.errors import FileEmpty, OrderRefused, TooManyColumns
from aircan.ports import Stop
from aircan.table import Place, Rejects, Table
from aircan.text import dialect as dialects
from aircan.text import encoding as encodings
from aircan.text import normal
from aircan.text.records import BLOCK_BYTES, Grammar, Scanned, Scanner

NAME = "csv"


@dataclass(frozen=True)
class Wanted:
    """What the order says about the text; "" and 0 mean: find out."""

    delimiter: str = ""
    encoding: str = ""
    header_line: int = 0

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Wanted:
        """Read the parameters. Raises OrderRefused naming the wrong one."""
        delimiter = {"tab": "\t", "\\t": "\t"}.get(str(params.get("delimiter") or ""), params.get("delimiter") or "")
        if not isinstance(delimiter, str) or len(delimiter.encode()) > 1 or delimiter in ('"', "\r", "\n", "\0"):
            raise OrderRefused(field="params.delimiter")
        header_line = params.get("header_line") or 0
        if isinstance(header_line, bool) or not isinstance(header_line, int) or header_line < 0:
            raise OrderRefused(field="params.header_line")
        return cls(delimiter, str(params.get("encoding") or ""), header_line)


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
    head, whole = _head(text, start)
    dialect = dialects.find(head, whole=whole, delimiter=wanted.delimiter, header_line=wanted.header_line)
    columns = len(dialect.labels)
    if columns > MAX_COLUMNS:
        raise TooManyColumns(columns=columns, limit=MAX_COLUMNS)
    scanner = Scanner(
        text,
        Grammar(dialect.delimiter),
        offset=start + dialect.offset,
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
    return _table(dialect, encoding, scanner, scanned, rows_path, rejects.count - before)


def _head(text: Path, start: int) -> tuple[bytes, bool]:
    """Return the first lines of the text, and whether they are all of it."""
    with open(text, "rb") as file:
        file.seek(start)
        head = file.read(BLOCK_BYTES)
        if len(head) < BLOCK_BYTES:
            return head, True
    return head[: max(head.rfind(b"\n"), head.rfind(b"\r", 0, -1)) + 1] or head, False


def _table(
    dialect: dialects.Dialect,
    encoding: encodings.Encoding,
    scanner: Scanner,
    scanned: Scanned,
    rows_path: Path,
    rejected: int,
) -> Table:
    columns = len(dialect.labels)
    return Table(
        format=NAME,
        labels=dialect.labels,
        relation=normal.relation(rows_path, columns, scanned.longest_bytes, dialect.delimiter),
        rows=scanned.rows,
        rejected=rejected,
        locate=_Places(scanner),
        decimal_comma=dialect.delimiter != ",",
        memory_mb=normal.memory_mb(columns, scanned.longest_bytes),
        facts={
            "format": "tsv" if dialect.delimiter == "\t" else NAME,
            "encoding": encoding.name,
            "encoding_evidence": encoding.evidence,
            "delimiter": dialect.delimiter,
            "header_line": dialect.header_line,
            "blank_records": scanned.blank,
        },
        warnings=tuple(_warnings(dialect, encoding, scanned.rows + rejected)),
    )


class _Places:
    """`Scanner.locate` as a table wants it."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    def __call__(self, rows: Sequence[int]) -> Mapping[int, Place]:
        return self._scanner.locate(rows)


def _warnings(dialect: dialects.Dialect, encoding: encodings.Encoding, records: int) -> list[Mapping[str, Any]]:
    out: list[Mapping[str, Any]] = []
    if encoding.evidence == "fallback":
        out.append({"code": "encoding_guessed", "encoding": encoding.name})
    if encoding.damaged:
        out.append({"code": "encoding_damaged", "encoding": encoding.name})
    if dialect.above:
        out.append({"code": "lines_above", "count": len(dialect.above), "first": dialect.above[0]})
    if not records:
        out.append({"code": "no_rows"})
    return out

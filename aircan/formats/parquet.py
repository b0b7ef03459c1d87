"""Parquet, read by DuckDB: every value becomes the text that stands for it, and types are decided anew.

There are no parameters. Imports DuckDB through `engine`, and otherwise `apart`, `contract`, `errors`, `ports`, `table`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aircan import apart
from aircan.columns.names import MAX_COLUMNS
from aircan.contract import Reject
from aircan.engine import Engine, broken_file, literal
from aircan.errors import FileEncrypted, FormatUnknown, TooManyColumns
from aircan.ports import Stop
from aircan.table import TEXT_KEPT, Place, Rejects, Table

NAME = "parquet"
FOUND = "a Parquet file"

MOST_DIGITS = 38
"""Longest decimal that DuckDB reads as such; longer ones it turns into floating point."""

LEAST_MB, MOST_MB = 192, 2048
"""Memory of the engine. A row group's pages and dictionaries are held; its writer says how large they are."""

BESIDE_MB = 1024
"""What the process of the first reading may take beside the engine's memory."""

ONE_THREAD_MB = 256
"""Beyond it one thread: with several, DuckDB holds the text of a whole row group to keep the order (2.0.0, 2026-11)."""

SUMS_AT_ONCE = 50
REJECTS_AT_ONCE = 500

_MAGIC, _ENCRYPTED = b"PAR1", b"PARE"
_NESTED = ("STRUCT(", "MAP(", "UNION(")
_FRACTION = re.compile(r"DECIMAL\((\d+),\1\)")
"""Decimals without a place before the point: DuckDB writes .5 for 0.5."""
_BARE = r"""regexp_matches(regexp_replace({v}, '"(\\.|[^"\\])*"', '""', 'g'), 'NaN|Infinity')"""


@dataclass(frozen=True)
class _Column:
    """A column at the top: its name, DuckDB's type, and the SQL of its text over k<number>."""

    number: int
    label: str
    type: str
    text: str

    @property
    def nested(self) -> bool:
        return self.type.endswith("]") or self.type.startswith(_NESTED)

    @property
    def nul(self) -> str:
        """SQL: whether a value holds a NUL character, which PostgreSQL cannot store."""
        if self.nested:
            return rf"regexp_matches({self.text}, '(^|[^\\])(\\\\)*\\u0000')"
        return f"contains({self.text}, chr(0))"


@dataclass(frozen=True)
class _Seen:
    """What a pass over the whole file found: rows, columns with NUL characters, binary ones, those with bare words."""

    rows: int
    nul: tuple[int, ...]
    binary: tuple[int, ...]
    bare: tuple[int, ...]


@dataclass(frozen=True)
class Looked:
    """What is known of a file that was read to its end.

    Attributes:
        columns: its columns.
        where: SQL of the rows that cannot be loaded.
        rows, rejected: how many there are, these among them.
        bare: numbers of the columns with bare words in nested values.
        memory_mb: memory that DuckDB needs to read it.
    """

    columns: list[_Column]
    where: str
    rows: int
    rejected: int
    bare: tuple[int, ...]
    memory_mb: int


def recognises(path: Path, head: bytes) -> bool:
    """Return whether the file begins as Parquet does, and goes on as no text would."""
    return head.startswith((_MAGIC, _ENCRYPTED)) and b"\0" in head


def read(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
    """Read Parquet to its end; see `formats.Format.read`.

    The first reading, of every value, is in a process of its own: what a damaged file does to the compiled reader
    shows there.

    Raises:
        FileDamaged, FileEncrypted, TooManyColumns. FormatUnknown: decimals of more than 38 digits, or row
        groups too large to be held. ReaderCrashed, ReaderOutOfMemory.
    """
    with open(path, "rb") as file:
        if file.read(4) == _ENCRYPTED:
            raise FileEncrypted(found=FOUND)
    found = apart.read(
        look,
        path,
        params=params,
        format_="Parquet",
        memory_mb=MOST_MB + BESIDE_MB,
        workdir=workdir,
        rejects=rejects,
        stop=stop,
    )
    columns, where, memory_mb = found.columns, found.where, found.memory_mb
    source = f"FROM {_file(path, columns)} WHERE NOT ({where})"
    texts = ", ".join(f"{column.text} AS c{column.number}" for column in columns)
    return Table(
        format=NAME,
        labels=tuple(column.label for column in columns),
        relation=f"(SELECT {texts} {source})",
        rows=found.rows - found.rejected,
        rejected=found.rejected,
        locate=_Places(path, columns, where, workdir, stop, memory_mb),
        nested=frozenset(c.number for c in columns if c.nested and c.number not in found.bare),
        memory_mb=memory_mb,
        one_thread=memory_mb > ONE_THREAD_MB,
        facts={"format": NAME},
        warnings=() if found.rows else ({"code": "no_rows"},),
    )


def look(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Looked:
    """Read every value of a file, tell the rows that cannot be loaded, and return what was found; see `read`."""
    with Engine(workdir, stop=stop, memory_mb=LEAST_MB, threads=1) as engine, broken_file(FOUND):
        columns = _columns(path, engine)
        memory_mb = _memory_mb(path, engine)
    with Engine(workdir, stop=stop, memory_mb=memory_mb, threads=1) as engine, broken_file(FOUND):
        seen = _look(path, columns, engine)
        columns = [_binary(column) if column.number in seen.binary else column for column in columns]
        where = " OR ".join(f"coalesce({columns[number].nul}, false)" for number in seen.nul) or "false"
        rejected = _refuse(path, columns, where, engine, rejects) if seen.nul else 0
    return Looked(columns, where, seen.rows, rejected, seen.bare, memory_mb)


def _file(path: Path, columns: Sequence[_Column], *, numbered: bool = False) -> str:
    """Return SQL of the file with the columns k0, k1, ..., and `place`, which counts rows from 0."""
    names = [f"k{column.number}" for column in columns] + ["place"] * numbered
    option = ", file_row_number=true" if numbered else ""
    return f"read_parquet({literal(str(path))}{option}, binary_as_string=false) AS t({', '.join(names)})"


def _columns(path: Path, engine: Engine) -> list[_Column]:
    # The schema has the names as they are written; DuckDB makes them distinct whatever their case.
    schema = engine.rows(
        f"SELECT name, coalesce(num_children, 0), coalesce(precision, 0) FROM parquet_schema({literal(str(path))})"  # noqa: S608
    )
    if any(precision > MOST_DIGITS for _, _, precision in schema):
        raise FormatUnknown(found=f"Parquet with decimals of more than {MOST_DIGITS} digits")
    labels = list(_top(schema))
    if len(labels) > MAX_COLUMNS:
        raise TooManyColumns(columns=len(labels), limit=MAX_COLUMNS)
    described = engine.rows(f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))}, binary_as_string=false)")  # noqa: S608
    return [
        _Column(number, label, row[1], _text(f"k{number}", row[1]))
        for number, (label, row) in enumerate(zip(labels, described, strict=True))
    ]


def _memory_mb(path: Path, engine: Engine) -> int:
    """Return the memory for the largest row group: twice its unpacked size, as buffers grow by doubling."""
    sizes = (
        f"SELECT sum(total_uncompressed_size) AS size FROM parquet_metadata({literal(str(path))}) GROUP BY row_group_id"  # noqa: S608
    )
    (largest,) = engine.row(f"SELECT coalesce(max(size), 0) FROM ({sizes})")  # noqa: S608
    return min(MOST_MB, LEAST_MB + 2 * (int(largest) >> 20))


def _top(schema: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    """Yield the names of the children of the root; the schema lists each node before its children."""
    at, left = 1, schema[0][1]
    while left:
        yield schema[at][0]
        open_nodes = 1
        while open_nodes:
            open_nodes += schema[at][1] - 1
            at += 1
        left -= 1


def _text(k: str, kind: str) -> str:
    """Return SQL of a value's text, as docs/formats.md has it."""
    text = f"CAST({k} AS VARCHAR)"
    if kind in ("DOUBLE", "FLOAT"):
        words = (("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity"), ("-0.0", "0.0"))
        return f"CASE {text} " + " ".join(f"WHEN '{a}' THEN '{b}'" for a, b in words) + f" ELSE {text} END"
    if kind.endswith("]") or kind.startswith(_NESTED):
        return f"CAST(to_json({k}{_widened(kind)}) AS VARCHAR)"
    if _FRACTION.fullmatch(kind):
        return rf"regexp_replace({text}, '^(-?)\.', '\10.')"
    return f"decode({k})" if kind == "BLOB" else text


def _widened(kind: str) -> str:
    """Return SQL that gives the decimals of a nested type room for the zero before the point, "" if none lacks it."""
    wider = _FRACTION.sub(lambda found: f"DECIMAL({min(int(found[1]) + 1, MOST_DIGITS)},{found[1]})", kind)
    return f"::{wider}" if wider != kind else ""


def _binary(column: _Column) -> _Column:
    return _Column(column.number, column.label, "BINARY", rf"'\x' || lower(hex(k{column.number}))")


def _look(path: Path, columns: Sequence[_Column], engine: Engine) -> _Seen:
    """Read every value once: what is damaged shows here, before anything is loaded."""
    rows, counts = 0, dict[tuple[str, int], int]()
    for start in range(0, len(columns), SUMS_AT_ONCE):
        some = columns[start : start + SUMS_AT_ONCE]
        asked = [("read", c.number, f"max(strlen({_try(c)}))") for c in some]
        asked += [("binary", c.number, f"count(*) FILTER ({_is_binary(c)})") for c in some if c.type == "BLOB"]
        asked += [("nul", c.number, f"count(*) FILTER ({c.nul})") for c in some if c.nested or c.type == "VARCHAR"]
        asked += [("bare", c.number, f"count(*) FILTER ({_BARE.format(v=c.text)})") for c in some if c.nested]
        listed = ", ".join(sql for _, _, sql in asked)
        rows, *found = engine.row(f"SELECT count(*), {listed} FROM {_file(path, columns)}")  # noqa: S608
        counts.update({(what, number): count for (what, number, _), count in zip(asked, found, strict=True)})
    nul, binary, bare = (
        tuple(number for (what, number), count in counts.items() if what == wanted and count)
        for wanted in ("nul", "binary", "bare")
    )
    return _Seen(rows, nul, binary, bare)


def _try(column: _Column) -> str:
    return f"hex(k{column.number})" if column.type == "BLOB" else column.text


def _is_binary(column: _Column) -> str:
    k = f"k{column.number}"
    return f"{k} IS NOT NULL AND (try(decode({k})) IS NULL OR contains(try(decode({k})), chr(0)))"


def _refuse(path: Path, columns: Sequence[_Column], where: str, engine: Engine, rejects: Rejects) -> int:
    """Tell the rows with a NUL character; return how many there are."""
    texts = ", ".join(column.text for column in columns)
    count = 0
    for batch in engine.batches(
        f"SELECT place, {texts} FROM {_file(path, columns, numbered=True)} WHERE {where} ORDER BY place",  # noqa: S608
        REJECTS_AT_ONCE,
    ):
        for place, *cells in batch:
            rejects.add(Reject(place + 1, "nul", text=_shown(columns, cells)))
        count += len(batch)
    return count


def _shown(columns: Sequence[_Column], cells: Sequence[str | None]) -> str:
    return json.dumps({c.label: cell for c, cell in zip(columns, cells, strict=True)}, ensure_ascii=False)[:TEXT_KEPT]


@dataclass(frozen=True)
class _Places:
    """From rows of the table to rows of the file, which count as lines; the text is the row as JSON."""

    path: Path
    columns: Sequence[_Column]
    where: str
    workdir: Path
    stop: Stop
    memory_mb: int

    def __call__(self, rows: Sequence[int]) -> Mapping[int, Place]:
        if not rows:
            return {}
        texts = ", ".join(f"{column.text} AS c{column.number}" for column in self.columns)
        sound = f"{_file(self.path, self.columns, numbered=True)} WHERE NOT ({self.where})"
        number = "place + 1" if self.where == "false" else "row_number() OVER (ORDER BY place)"
        wanted = ", ".join(map(str, rows))
        sql = f"SELECT * FROM (SELECT {number} AS n, place + 1, {texts} FROM {sound}) WHERE n IN ({wanted})"  # noqa: S608
        with Engine(self.workdir, stop=self.stop, memory_mb=self.memory_mb, threads=1) as engine:
            return {n: Place(line, _shown(self.columns, cells)) for n, line, *cells in engine.rows(sql)}

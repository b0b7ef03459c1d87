"""JSON: a list of objects or of lists, wrapped or not; JSON lines; GeoJSON.

Parameters: `records` (path of keys to the list of records, with points between), `encoding`, `header_rows`
(for lists; 0: the first is no header). What is not given is found out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from aircan.errors import JobStopped, OrderRefused, RecordsMissing
from aircan.ports import Stop
from aircan.table import Rejects, Table
from aircan.text import encoding as encodings
from aircan.text import header, jsonscan, jsonshape, normal
from aircan.text.jsonrows import Record, Refused, Writer, kind, members, refuse, text_of
from aircan.text.jsonscan import Document, List, Scan, Value
from aircan.text.records import RECORD_BYTES

NAME = "json"

_COLLECTION, _FEATURE = b'"FeatureCollection"', b'"Feature"'
_FEATURE_MEMBERS = {"type", "id", "properties", "geometry"}
_WORLD = ("", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:OGC::CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326")


@dataclass
class Found:
    """What the text is, and where its records are.

    Attributes:
        format: "json", "ndjson" or "geojson".
        path: of the list, "" when it is at the top.
        values: the records.
        names: names of the columns of a list of lists, when they stand beside it.
        turned: rows that are made already, of a text whose columns are lists.
        crs: coordinate reference system that a GeoJSON names.
    """

    format: str
    values: Iterator[Value]
    path: str = ""
    names: list[str] | None = None
    turned: Iterator[tuple[Value, dict[str, bytes]]] | None = None
    crs: str = ""


@dataclass
class _Seen:
    """What the records turned out to be."""

    layout: str = ""
    labels: list[str] | None = None
    left_out: dict[str, int] = field(default_factory=dict)
    bare: int = 0


def recognises(path: Path, head: bytes) -> bool:
    """Return whether the file begins as JSON does."""
    return jsonshape.begins(encodings.begin(head))


def read(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
    """Read JSON to its end; see `formats.Format.read`.

    Leaves in `workdir`: text.json (only if the file was not UTF-8), rows.csv and rows.csv.places.

    Raises:
        JsonInvalid: the text ends too early, or what is between the records is no JSON. RecordsMissing: no list of
        records, or several. JsonIsError: an API's error instead of data. OrderRefused: a wrong parameter.
    """
    wanted = params.get("records") or ""
    if not isinstance(wanted, str):
        raise OrderRefused(field="params.records")
    frame = header.Frame.of(params)
    encoding = encodings.detect(path, wanted=str(params.get("encoding") or ""), stop=stop)
    text, start = encodings.to_utf8(path, encoding, workdir / "text.json", stop=stop)
    with open(text, "rb") as file:
        found = _find(text, start, file, wanted, stop)
        writer = Writer(workdir / "rows.csv", plain=("g:",))
        before, seen = rejects.count, _Seen()
        try:
            _write(found, writer, seen, rejects, frame.header_rows, damaged=encoding.damaged)
        finally:
            writer.close()
    return _table(found, encoding, writer, seen, rejects.count - before, text)


def _find(text: Path, start: int, file: BinaryIO, wanted: str, stop: Stop) -> Found:
    if jsonshape.lines_of(text, start):
        if wanted:
            raise RecordsMissing(wanted=wanted, lists="-")
        file.seek(start)
        return Found("ndjson", _lines(file, stop))
    document = jsonscan.look(text, start, stop=stop)
    if document.first == b"{" and document.more:
        return Found("ndjson", _sequence(text, start, stop))
    if document.first == b"[":
        if wanted:
            raise RecordsMissing(wanted=wanted, lists="-")
        return Found("json", _elements(text, start, 1, stop, alone=True))
    return _inside(text, start, document, wanted, stop)


def _inside(text: Path, start: int, document: Document, wanted: str, stop: Stop) -> Found:
    """Find the records inside an object."""
    type_ = document.members.get(("type",))
    if type_ == _FEATURE and not wanted:
        return Found("geojson", _sequence(text, start, stop))
    if type_ == _COLLECTION and not wanted:
        chosen: List | None = next((one for one in document.lists if one.path == ("features",)), None)
        if chosen is None or chosen.first != b"{":
            raise RecordsMissing(wanted="features", lists="-")
        crs = jsonshape.text_of_member(document.members.get(("crs", "properties", "name"), b'""')).removeprefix("-")
        return Found("geojson", _elements(text, chosen.offset, chosen.line, stop), chosen.name, crs=crs)
    chosen = jsonshape.find(document, wanted)
    if chosen is None:
        turned = _columns(text, start, stop)
        return Found("json", iter(()) if turned else _sequence(text, start, stop), turned=turned)
    names = jsonshape.header(document, chosen) if chosen.first == b"[" else None
    return Found("json", _elements(text, chosen.offset, chosen.line, stop), chosen.name, names)


def _columns(text: Path, start: int, stop: Stop) -> Iterator[tuple[Value, dict[str, bytes]]] | None:
    try:
        return jsonshape.columns(text, start, stop=stop)
    except Refused:
        return None


def _lines(file: BinaryIO, stop: Stop) -> Iterator[Value]:
    number, offset = 0, file.tell()
    while line := file.readline(RECORD_BYTES + 1):
        number, size = number + 1, len(line)
        if stop.is_set():
            raise JobStopped
        while len(line) > RECORD_BYTES and not line.endswith(b"\n") and (more := file.readline(1 << 20)):
            size += len(more)
            line = line if not more.endswith(b"\n") else line + b"\n"
        if not line.isspace():
            levels = jsonscan.closed(line.lstrip(), 0)[1]
            text = line.rstrip(b"\r\n")
            yield Value(offset, number, text, size - len(line) + len(text), levels)
        offset += size


def _sequence(text: Path, start: int, stop: Stop) -> Iterator[Value]:
    with Scan(text, start, stop=stop) as scan:
        yield from scan.sequence()


def _elements(text: Path, start: int, line: int, stop: Stop, *, alone: bool = False) -> Iterator[Value]:
    with Scan(text, start, line, stop=stop) as scan:
        yield from scan.elements()
        if alone:
            scan.end()


def _write(
    found: Found, writer: Writer, seen: _Seen, rejects: Rejects, header_rows: int | None, *, damaged: bool
) -> None:
    if found.turned is not None:
        seen.layout = "columns"
        for value, cells in found.turned:
            _add(writer, value, cells, rejects)
        return
    shape: Callable[[Record], Mapping[str, bytes] | None] | None = None
    for value in found.values:
        try:
            record = Record(value, check_utf8=damaged)
            if shape is None:
                shape = _shape(found, record, writer, seen, header_rows)
            seen.bare += record.bare
            if seen.layout == "objects" and writer.add_like_last(value, record.raw):
                continue
            row = shape(record)
            if row is not None:
                writer.add(value, row)
        except Refused as refused:
            refuse(rejects, value, refused)


def _add(writer: Writer, value: Value, cells: Mapping[str, bytes], rejects: Rejects) -> None:
    try:
        writer.add(value, cells)
    except Refused as refused:
        refuse(rejects, value, refused)


def _shape(
    found: Found, first: Record, writer: Writer, seen: _Seen, header_rows: int | None
) -> Callable[[Record], Mapping[str, bytes] | None]:
    """Return how records like the first become cells; None for a record that is the header."""
    if first.raw[:1] == b"[":
        seen.layout = "lists"
        return _Lists(found.names, header_rows, writer, seen)
    if first.raw[:1] != b"{":
        raise RecordsMissing(wanted=found.path, lists="-")
    if found.format == "geojson" or (found.format == "ndjson" and first.members().get("type") == _FEATURE):
        found.format, seen.layout = "geojson", "features"
        return lambda record: _feature(record, seen)
    seen.layout = "objects"
    return Record.members


def _feature(record: Record, seen: _Seen) -> Mapping[str, bytes]:
    """Return a GeoJSON feature as cells; "p:" stands before the name of a property."""
    feature = record.members()
    if feature.get("type") != _FEATURE:
        raise Refused("shape", found=kind(record.raw), wanted="a feature")
    properties = feature.get("properties", b"null")
    named = {} if properties == b"null" else members(properties)
    cells = {"i:id": feature["id"]} if "id" in feature and "id" not in named else {}
    cells.update({f"p:{name}": cell for name, cell in named.items()})
    cells["g:"] = feature.get("geometry", b"null")
    for name in feature.keys() - _FEATURE_MEMBERS:
        seen.left_out[name] = seen.left_out.get(name, 0) + 1
    return cells


class _Lists:
    """Lists as cells. The first is the header if it holds strings only and the names stand nowhere else."""

    def __init__(self, names: list[str] | None, header_rows: int | None, writer: Writer, seen: _Seen) -> None:
        self._writer, self._seen = writer, seen
        self._above: list[list[str]] = []
        self._rows, self._names = header_rows, names

    def __call__(self, record: Record) -> Mapping[str, bytes] | None:
        cells = record.elements()
        if self._seen.labels is None and self._is_header(cells):
            return None
        wanted = len(self._seen.labels or ())
        if len(cells) != wanted:
            raise Refused("cells", cells=len(cells), columns=wanted)
        return {str(number): cell for number, cell in enumerate(cells)}

    def _is_header(self, cells: list[bytes]) -> bool:
        """Take the names of the columns from wherever they are; return whether these cells are names too."""
        if self._rows is None:
            self._rows = int(all(cell[:1] == b'"' or cell == b"null" for cell in cells))
        labels, is_header = header.unnamed(len(cells)), len(self._above) < self._rows
        if self._names and len(self._names) == len(cells):
            labels, is_header = self._names, False
        elif is_header:
            self._above.append([text_of(cell) or "" for cell in cells])
            if len(self._above) < self._rows:
                return True
            labels = header.joined(self._above)
        self._seen.labels = labels
        self._writer.expect([str(number) for number in range(len(labels))])
        return is_header


def _table(found: Found, encoding: encodings.Encoding, writer: Writer, seen: _Seen, rejected: int, text: Path) -> Table:
    labels = tuple(seen.labels) if seen.labels is not None else _labels(writer, seen)
    if not labels and not rejected:
        raise RecordsMissing(wanted=found.path, lists="-")
    width = max(len(labels), 1)
    facts = {"format": found.format, "encoding": encoding.name, "encoding_evidence": encoding.evidence}
    return Table(
        format=found.format,
        labels=labels or ("column_1",),
        relation=writer.relation(),
        rows=writer.rows,
        rejected=rejected,
        locate=writer.locate(text),
        one_line=writer.one_line,
        nested=writer.nested,
        memory_mb=normal.memory_mb(max(width, 2), writer.longest_bytes),
        facts={**facts, "records": found.path, "layout": seen.layout, **({"crs": found.crs} if found.crs else {})},
        warnings=tuple(_warnings(found, encoding, seen, writer.rows + rejected)),
    )


def _labels(writer: Writer, seen: _Seen) -> tuple[str, ...]:
    if seen.layout != "features":
        return tuple(writer.columns)
    return tuple("geometry" if key == "g:" else key[2:] for key in writer.columns)


def _warnings(found: Found, encoding: encodings.Encoding, seen: _Seen, records: int) -> Iterable[Mapping[str, Any]]:
    if encoding.evidence == "fallback":
        yield {"code": "encoding_guessed", "encoding": encoding.name}
    if encoding.damaged:
        yield {"code": "encoding_damaged", "encoding": encoding.name}
    if seen.bare:
        yield {"code": "bare_words", "count": seen.bare}
    if seen.left_out:
        names = sorted(seen.left_out)
        yield {"code": "members_left_out", "names": ", ".join(names[:20]), "count": max(seen.left_out.values())}
    if found.crs not in _WORLD:
        yield {"code": "crs", "crs": found.crs}
    if not records:
        yield {"code": "no_rows"}

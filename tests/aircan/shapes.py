"""Second readers for JSON, Parquet and archives: slow, obvious, of Python's own modules and pyarrow.

Each returns labels, rows of text (None for NULL) and how many records are no rows.
"""

from __future__ import annotations

import bz2
import csv
import datetime as dt
import decimal
import gzip
import io
import json
import lzma
import re
import struct
import zipfile

import pytest

from tests.aircan.rig import SAMPLES

FOLDERS = [SAMPLES.parent / name for name in ("archives", "json", "parquet")]


class Number(str):
    """A number as it stands in the text."""


class Twice(Exception):
    pass


class Pairs(list):
    """An object whose keys may be there twice."""

    def unique(self):
        if len({key for key, _ in self}) != len(self):
            raise Twice
        return dict(self)


def decode(text):
    return json.JSONDecoder(
        object_pairs_hook=Pairs, parse_int=Number, parse_float=Number, parse_constant=str, strict=True
    ).raw_decode(text)


def compact(value):
    if isinstance(value, Pairs):
        return "{" + ",".join(json.dumps(k, ensure_ascii=False) + ":" + compact(v) for k, v in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(compact, value)) + "]"
    return str(value) if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def cell(value):
    if value is None or type(value) in (str, Number):
        if value is not None:
            value.encode()
            assert "\0" not in value
        return value if value is None else str(value)
    assert r"\u0000" not in compact(value).replace(r"\\", "")
    return compact(value)


def depth(value):
    inner = [v for _, v in value] if isinstance(value, Pairs) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def read(path, expected):
    data = path.read_bytes()
    if path.parent.name == "archives":
        return read_archive(data, expected)
    return read_parquet(path) if path.parent.name == "parquet" else read_json(data, expected)


def read_archive(data, expected):
    facts = expected["facts"]
    for kind, member in zip(facts["archive"].split(", "), facts["member"].split(".zip/"), strict=False):
        if kind == "zip":
            archive = zipfile.ZipFile(io.BytesIO(data))
            names = [info for info in archive.infolist() if info.filename.isascii()]
            match = [info for info in names if member.startswith(info.filename.removesuffix(".zip"))]
            data = archive.read((match or archive.infolist())[-1])
        else:
            data = {"gz": gzip, "bz2": bz2, "xz": lzma}[kind].decompress(data)
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    if facts["format"] != "csv":
        return read_json(data, expected)
    header, *rows = csv.reader(io.StringIO(data.decode()))
    return header, [[cell or None for cell in row] for row in rows], 0


def read_json(data, expected):
    facts, params = expected["facts"], expected.get("params", {})
    broken = "surrogateescape" if facts["encoding"] == "utf-8" else "strict"
    text = data.decode(facts["encoding"], broken).removeprefix("\ufeff")
    records = list(sound(text, facts, params))
    bad = sum(record is None for record in records)
    if facts["layout"] == "lists":
        labels, rows, odd = lists([r for r in records if r is not None], names_beside(text, facts), params)
    else:
        labels, rows, odd = objects([r for r in records if r is not None], facts)
    return labels, rows, bad + odd


def sound(text, facts, params):
    """Yield the records, None for each that is no valid JSON."""
    if facts["format"] in ("ndjson", "geojson") and not facts["records"]:
        yield from values(text)
        return
    path = facts["records"].split(".") if facts["records"] else []
    if path:
        document = decode(text)[0]
        for key in path:
            document = dict(document)[key]
        yield from document
    elif text.lstrip().startswith("{"):
        yield decode(text.lstrip())[0]
    else:
        at = text.index("[")
        for piece in pieces(text[at + 1 : text.rindex("]")]):
            yield one(piece)


def values(text):
    """Yield the values of lines, or of a sequence where they are longer than lines."""
    lines = [line for line in text.splitlines() if line.strip()]
    if one(lines[0]) is not None:
        yield from map(one, lines)
        return
    text = text.strip()
    while text:
        value, end = decode(text)
        yield value
        text = text[end:].strip()


def one(text):
    """Return the value that is the whole text, None when it is none."""
    try:
        text.encode()
        value, end = decode(text.strip())
        return None if text.strip()[end:] or depth(value) > 200 else value
    except (ValueError, RecursionError):
        return None


def pieces(text):
    """Split at the commas that are in no string and no bracket."""
    level, start, inside = 0, 0, False
    for at, char in enumerate(text):
        if char == '"' and len(re.search(r"\\*$", text[:at]).group()) % 2 == 0:
            inside = not inside
        if not inside:
            level += (char in "[{") - (char in "]}")
            if char == "," and not level:
                yield text[start:at]
                start = at + 1
    if text[start:].strip():
        yield text[start:]


def names_beside(text, facts):
    if not facts["records"]:
        return None
    document = dict(decode(text)[0])
    for name in ("columns", "fields"):
        if name in document:
            return [dict(n)["id"] if isinstance(n, Pairs) else n for n in document[name]]
    return None


def lists(records, names, params):
    records, bad = [r for r in records if type(r) is list], sum(type(r) is not list for r in records)
    if names is None and (params.get("header_rows") == 0 or any(type(c) not in (str, type(None)) for c in records[0])):
        names = [f"column_{n + 1}" for n in range(len(records[0]))]
    elif names is None:
        names, records = [cell(c) or "" for c in records[0]], records[1:]
    rows = [[cell(c) for c in r] for r in records if len(r) == len(names)]
    return names, rows, bad + sum(len(r) != len(names) for r in records)


def objects(records, facts):
    if facts["layout"] == "columns":
        records = turned(records[0].unique())
    seen, found, bad = {}, [], 0
    for record in records:
        try:
            if not isinstance(record, Pairs):
                raise Twice
            row = feature(record.unique()) if facts["format"] == "geojson" else record.unique()
            row = {key: cell(value) for key, value in row.items()}
        except (Twice, UnicodeEncodeError, AssertionError):
            bad += 1
            continue
        seen.update(dict.fromkeys(row))
        found.append(row)
    labels = [key if isinstance(key, str) else key[1] for key in seen]
    return labels, [[row.get(key) for key in seen] for row in found], bad


def feature(members):
    if members.get("type") != "Feature":
        raise Twice
    named = (members["properties"] or Pairs()).unique()
    first = {("", "id"): members["id"]} if "id" in members and "id" not in named else {}
    return {**first, **named, ("", "geometry"): members["geometry"]}


def turned(columns):
    """Rows of an object of columns, or of rows by number."""
    if all(type(column) is list for column in columns.values()):
        return [Pairs(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if all(key.isdigit() for key in columns):
        return list(columns.values())
    keys = [key for key, _ in next(iter(columns.values()))]
    return [Pairs((name, dict(column)[key]) for name, column in columns.items()) for key in keys]


def read_parquet(path):
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    columns = [column_of(chunk) for chunk in table.columns]
    rows = [list(row) for row in zip(*columns, strict=True)]
    sound = [row for row in rows if not any(has_nul(cell) for cell in row if cell is not None)]
    return table.column_names, sound, len(rows) - len(sound)


def has_nul(cell):
    return "\0" in cell or r"\u0000" in cell.replace(r"\\", "")


def column_of(column):
    """The texts of a column of pyarrow."""
    kind = str(column.type)
    if kind == "timestamp[ns]" or kind.startswith("duration"):
        numbers = column.cast("int64").to_pylist()
        return [n if n is None else moment(n) if kind == "timestamp[ns]" else str(n) for n in numbers]
    found = column.to_pylist()
    if "binary" in kind:
        try:
            texts = [b if b is None else b.decode() for b in found]
            assert not any("\0" in text for text in texts if text is not None)
        except (UnicodeDecodeError, AssertionError):
            return [b if b is None else "\\x" + b.hex() for b in found]
        return texts
    if kind.startswith("map"):
        found = [pairs if pairs is None else dict(pairs) for pairs in found]
    return [leaf(value, kind) for value in found]


def moment(nanoseconds):
    whole, rest = divmod(nanoseconds, 10**9)
    text = dt.datetime.fromtimestamp(whole, dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".")


def leaf(value, kind=""):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return real(value, "f" if kind == "float" else "d")
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, dt.datetime) and value.tzinfo:
        return short(value.astimezone(dt.timezone.utc).replace(tzinfo=None).isoformat(" ")) + "+00"
    if isinstance(value, dt.datetime):
        return short(value.isoformat(" "))
    if isinstance(value, dt.time):
        return short(value.isoformat())
    return nested(value) if isinstance(value, (list, dict)) else str(value)


def nested(value):
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(key) + ":" + nested(inner) for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(nested, value)) + "]"
    if value is None:
        return "null"
    is_word = isinstance(value, (str, dt.date, dt.time))
    return json.dumps(leaf(value), ensure_ascii=False) if is_word else leaf(value)


def short(text):
    return text.rstrip("0").rstrip(".") if "." in text else text


def real(value, size):
    """The shortest digits that give the same number; no minus before zero."""
    if value != value or value in (float("inf"), float("-inf")):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    for digits in range(1, 18):
        text = repr(float(f"{value:.{digits}g}"))
        if struct.pack(size, float(text)) == struct.pack(size, value):
            return text if value else "0.0"
    raise AssertionError(value)

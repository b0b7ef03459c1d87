"""A second reader of delimited text: slow, obvious, and by another hand than the library.

It goes by docs/formats.md alone, one character and one value after the other, with nothing but datetime and decimal.
What encoding, delimiter and header a file has it is told; cells, rejects, types and values it decides itself.
"""

# ruff: noqa: DTZ001, DTZ007 - as in the DataStore, times here have no zone
from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

NULL_WORDS = ["NA", "N/A", "NULL", "null", "NaN", "-", "."]
BLANKS = " \t\n\r\u00a0"
DIGITS = set("0123456789")


@dataclass
class Read:
    """Labels, type and values of each column, rows of cells (None: NULL), rejects as [line, code]."""

    labels: list
    kinds: list = field(default_factory=list)
    rows: list = field(default_factory=list)
    rejects: list = field(default_factory=list)


def read(data, *, encoding, delimiter, header_line=1, header_rows=1, loose=False, params=None, types=None):
    """Read a file; `types` are a person's, by number of the column."""
    params = params or {}
    broken = "surrogateescape" if encoding == "utf-8" else "strict"
    text = data.decode(encoding, broken).removeprefix("\ufeff")
    lines = split_lines(text)
    if params.get("skip_footer"):
        filled = [n for n, line in enumerate(lines) if line.strip(" \t\r\n,;|")]
        lines = lines[: filled[-params["skip_footer"]]]
    first = max(header_line, params.get("skip_lines", 0) + 1)
    found = list(records(lines, first, delimiter, loose))
    found = [record for record in found if record["code"] or not is_blank(record, delimiter)]
    header, below = found[:header_rows], found[header_rows:]
    labels = join([[text for text, _ in record["cells"]] for record in header]) if header else None
    if labels is None:
        widths = [len(record["cells"]) for record in below if not record["code"]]
        labels = [f"column_{n + 1}" for n in range(max(widths, key=lambda w: (widths.count(w), w)))]
    out, rows = Read(labels), []
    for record in below:
        code = record["code"] or judge(record, len(labels))
        if code:
            out.rejects.append([record["line"], code])
        else:
            rows.append((record["line"], [None if t == "" and not q else t for t, q in record["cells"]]))
    decide(out, rows, params, delimiter != ",", types or {})
    return out


def split_lines(text):
    """Split at LF, CR LF and CR, line ends kept."""
    lines, line = [], ""
    for at, character in enumerate(text):
        line += character
        if character == "\n" or (character == "\r" and text[at + 1 : at + 2] != "\n"):
            lines.append(line)
            line = ""
    return lines + ([line] if line else [])


def records(lines, first, delimiter, loose):
    """Yield {"line", "raw", "cells": [(text, was quoted)], "code"}; lines count from 1."""
    at = first - 1
    while at < len(lines):
        for count in range(1, len(lines) - at + 1):
            raw = "".join(lines[at : at + count])
            cells = cells_of(raw.rstrip("\r\n") if count == 1 else without_line_end(raw), delimiter, loose)
            if cells != "open":
                break
        if cells in ("open", "wrong"):
            yield {"line": at + 1, "raw": lines[at], "cells": [], "code": "quote"}
            at += 1
        else:
            yield {"line": at + 1, "raw": raw, "cells": cells, "code": ""}
            at += count


def without_line_end(raw):
    return raw[:-2] if raw.endswith("\r\n") else raw[:-1] if raw.endswith(("\r", "\n")) else raw


def cells_of(raw, delimiter, loose):
    """Return the cells, "open" if a quote is not closed, "wrong" if other text follows a closed one."""
    cells, rest = [], raw
    while True:
        body = rest.lstrip(" ") if loose and rest.lstrip(" ").startswith('"') else rest
        if body.startswith('"'):
            text, at = "", 1
            while True:
                if at >= len(body):
                    return "open"
                if body[at] != '"':
                    text, at = text + body[at], at + 1
                elif body[at + 1 : at + 2] == '"':
                    text, at = text + '"', at + 2
                else:
                    break
            rest = body[at + 1 :].lstrip(" ") if loose else body[at + 1 :]
            cells.append((text, True))
            if rest and not rest.startswith(delimiter):
                return "wrong"
        else:
            end = rest.find(delimiter)
            cells.append((rest if end < 0 else rest[:end], False))
            rest = "" if end < 0 else rest[end:]
        if not rest:
            return cells
        rest = rest[1:]


def is_blank(record, delimiter):
    return not record["raw"].strip("\r\n").replace(delimiter, "").strip(" \t")


def judge(record, columns):
    if "\0" in record["raw"]:
        return "nul"
    if any("\udc80" <= character <= "\udcff" for character in record["raw"]):
        return "encoding"
    return "cells" if len(record["cells"]) != columns else ""


def join(header):
    if len(header) == 1:
        return header[0]
    width = max(len(row) for row in header)
    table = [[text.strip() for text in row] + [""] * (width - len(row)) for row in header]
    labels = []
    for column in range(width):
        texts = []
        for level, row in enumerate(table):
            left = [text for text in row[: column + 1] if text]
            text = row[column] or (left[-1] if left and any(r[column] for r in table[level + 1 :]) else "")
            if text and text not in texts:
                texts.append(text)
        labels.append(" ".join(texts))
    return labels


# ---- values: each way to read a column is a function text -> value, that raises ValueError on what does not fit


def digits(text, least=1, most=10**9):
    return least <= len(text) <= most and set(text) <= DIGITS


def number(text, mark="."):
    mantissa, letter, exponent = text.removeprefix("-"), "", ""
    if "e" in text.lower():
        letter = "e" if "e" in text else "E"
        mantissa, _, exponent = mantissa.partition(letter)
    whole, point, fraction = mantissa.partition(mark)
    signed = exponent[:1] in ("+", "-") and bool(exponent)
    wrong = [
        len(text) > 1000,
        not digits(whole),
        bool(point) and not digits(fraction),
        len(whole) > 1 and whole[0] == "0",
        text.startswith("-") and not set(whole + fraction) - {"0"},
        bool(letter) and not digits(exponent[signed:], 1, 3),
        bool(letter) and not signed and not point,
    ]
    if any(wrong):
        raise ValueError(text)
    return Decimal(text.replace(mark, "."))


def comma_number(text):
    return number(text, ",")


def proves_comma(text):
    whole, comma, fraction = text.removeprefix("-").lower().partition("e")[0].partition(",")
    return bool(comma) and (len(fraction) != 3 or whole == "0" or len(whole) > 3)


def any_number(text):
    mantissa = text.lower().partition("e")[0]
    if len(text) > 1000 or not set(text) <= DIGITS | set(".eE+-") or not set(mantissa) & DIGITS:
        raise ValueError(text)
    try:
        return Decimal(text)
    except ArithmeticError as exc:
        raise ValueError(text) from exc


def iso_date(text):
    if not (len(text) == 10 and text[4] == text[7] == "-" and digits(text[:4] + text[5:7] + text[8:])):
        raise ValueError
    return date(int(text[:4]), int(text[5:7]), int(text[8:]))


def iso_timestamp(text):
    day, clock = iso_date(text[:10]), text[11:]
    parts = clock.split(":")
    if text[10:11] not in ("T", " ") or not text[10:11] or len(parts) not in (2, 3):
        raise ValueError
    seconds, point, fraction = [*parts, "00"][2].partition(".")
    if not all(digits(p, 2, 2) for p in (*parts[:2], seconds)) or (point and not digits(fraction, 1, 6)):
        raise ValueError
    return datetime(
        day.year, day.month, day.day, int(parts[0]), int(parts[1]), int(seconds), int(fraction.ljust(6, "0") or 0)
    )


def split_offset(text):
    """Return the text without its offset, and the offset as a timedelta."""
    if text.endswith("Z"):
        return text[:-1], timedelta(0)
    at = max(text.rfind("+"), text.rfind("-"))
    sign, body = text[at], text[at + 1 :].replace(":", "", 1) if len(text[at + 1 :]) == 5 else text[at + 1 :]
    if at < 16 or len(body) not in (2, 4) or not digits(body):
        raise ValueError
    minutes = int(body[:2]) * 60 + int(body[2:] or 0)
    if minutes > 15 * 60 + 59 or int(body[2:] or 0) > 59:
        raise ValueError
    return text[:at], timedelta(minutes=minutes) * (1 if sign == "+" else -1)


def utc_timestamp(text):
    local, offset = split_offset(text)
    if offset:
        raise ValueError
    return iso_timestamp(local)


def offset_timestamp(text):
    local, offset = split_offset(text)
    return (iso_timestamp(local).replace(tzinfo=timezone.utc) - offset).replace(tzinfo=None)


def iso_timestamp_or_date(text):
    return datetime.combine(iso_date(text), datetime.min.time()) if len(text) == 10 else iso_timestamp(text)


def pair(yes, no):
    def read_word(text):
        if text not in (yes, no):
            raise ValueError
        return text == yes

    return read_word


def any_boolean(text):
    word = text.lower()
    if word not in ("true", "t", "yes", "y", "1", "on", "false", "f", "no", "n", "0", "off"):
        raise ValueError
    return word in ("true", "t", "yes", "y", "1", "on")


def layouts():
    """Yield order of day and month ("" where the month is a word), layout, whether it has a time."""
    clocks = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"]
    days = [("dmy", f"%d{m}%m{m}%Y") for m in "/.-"] + [("mdy", f"%m{m}%d{m}%Y") for m in "/.-"]
    days += [("ymd", f"%Y{m}%m{m}%d") for m in "/."]
    days += [("", f"%d{m}{month}{m}%Y") for m in " -" for month in ("%b", "%B")]
    days += [("", f"{month} %d{comma} %Y") for month in ("%b", "%B") for comma in (",", "")]
    for (order, day), clock in itertools.product(days, clocks):
        yield order, day + clock, bool(clock)


def by_layout(layout, timed):
    def read_day(text):
        words = text.replace("/", " ").replace(".", " ").replace("-", " ").replace(",", " ").split(" ")
        years = [word for word in words if digits(word, 4, 4)]
        if len(years) != 1 or not text.isascii() or "  " in text or text != text.strip() or years == ["0000"]:
            raise ValueError
        if len(layout.split(" ")) != len(text.split(" ")):
            raise ValueError
        value = datetime.strptime(text, layout)
        return value if timed else value.date()

    return read_day


def proves_order(order):
    def proves(text):
        first, second, third = text.replace("/", " ").replace(".", " ").replace("-", " ").split(" ")[:3]
        return int({"dmy": first, "mdy": second, "ymd": third}[order]) > 12

    return proves


def always(_):
    return True


def ways(params, comma_possible):
    """Return (kind, function, proof) in the order in which they are tried."""
    comma = params.get("decimal_comma")
    found = [("bool", pair(*words), always) for words in (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))]
    if comma:
        found += [("numeric", comma_number, always)]
    else:
        found += [("numeric", number, always)]
        found += [("numeric", comma_number, proves_comma)] if comma_possible and comma is None else []
    found += [("date", iso_date, always), ("timestamp", iso_timestamp, always), ("timestamp", utc_timestamp, always)]
    return found + by_layouts(params.get("date_order"))


def by_layouts(wanted):
    found = []
    for order, layout, timed in layouts():
        if not (wanted and order and order != wanted):
            proof = proves_order(order) if order and not wanted else always
            found.append(("timestamp" if timed else "date", by_layout(layout, timed), proof))
    return found


def persons_ways(kind, params, comma_possible):
    if kind == "numeric":
        comma = params.get("decimal_comma")
        if comma:
            return [("numeric", comma_number, always)]
        found = [("numeric", any_number, always)]
        return found + ([("numeric", comma_number, proves_comma)] if comma_possible and comma is None else [])
    if kind == "bool":
        return [("bool", any_boolean, always)]
    if kind == "json":
        return [("json", strict_json, always)]
    found = [("date", iso_date, always)]
    if kind == "timestamp":
        found = [("timestamp", f, always) for f in (iso_timestamp_or_date, utc_timestamp, offset_timestamp)]
    return found + [way for way in by_layouts(params.get("date_order")) if way[0] == kind]


def strict_json(text):
    def refuse(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def try_all(function, texts):
    values, wrong = [], 0
    for text in texts:
        try:
            values.append(function(text))
        except ValueError:
            values.append(None)
            wrong += 1
    return values, wrong


def decide(out, rows, params, comma_possible, types):
    """Decide each column; put kinds, rows and rejects into `out`."""
    null_words = params.get("null_words", NULL_WORDS)
    columns, refused = [], {}
    for index in range(len(out.labels)):
        cells = [cells[index] for _, cells in rows]
        trimmed = [(cell or "").strip(BLANKS) for cell in cells]
        real = [n for n, text in enumerate(trimmed) if text and text not in null_words]
        kind, values = column(index, [trimmed[n] for n in real], params, comma_possible, types)
        if values is None:
            columns.append([t or None for t in trimmed] if params.get("strip") else cells)
        else:
            by_row = dict(zip(real, values, strict=True))
            columns.append([by_row.get(n) for n in range(len(cells))])
            refused.update({n: [rows[n][0], "value"] for n, value in by_row.items() if value is None})
        out.kinds.append(kind)
    out.rows = [list(row) for n, row in enumerate(zip(*columns, strict=True)) if n not in refused]
    out.rejects = sorted(out.rejects + list(refused.values()))


def column(index, texts, params, comma_possible, types):
    """Return the kind of a column and the values of its texts (None: it does not fit); no values for text."""
    if types.get(index) == "text" or (index not in types and not texts):
        return "text", None
    if index in types:
        found = persons_ways(types[index], params, comma_possible)
        proven = [f for _, f, proof in found if not texts or proof is always or any(safe(proof, t) for t in texts)]
        tried = [try_all(function, texts) for function in proven]
        return types[index], min(tried, key=lambda values_and_wrong: values_and_wrong[1])[0]
    for kind, function, proof in ways(params, comma_possible):
        values, wrong = try_all(function, texts)
        if not wrong and any(safe(proof, text) for text in texts):
            return kind, values
    return "text", None


def safe(proof, text):
    try:
        return proof(text)
    except (ValueError, KeyError):
        return False


def value_of(kind, text):
    """Return the value of a cell of COPY text, as PostgreSQL understands it."""
    if text is None or kind == "text":
        return text
    if kind == "numeric":
        return Decimal(text)
    if kind == "bool":
        return {"true": True, "false": False}[text]
    if kind == "date":
        return date.fromisoformat(text)
    if kind == "json":
        return strict_json(text)
    return iso_timestamp_or_date(text)

"""What the library makes of a value means the same to PostgreSQL, and comes back through the DataStore as it was."""

# ruff: noqa: DTZ001 - as in the DataStore, times here have no zone
from __future__ import annotations

import csv
import io
import json
import re
import threading
import uuid
from datetime import date, datetime
from decimal import Decimal

import ckantoolkit as tk
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from aircan.contract import Dataset, Order, Resource, Type
from aircan.run import run
from aircan.status import Status

from .conftest import search

pytestmark = pytest.mark.usefixtures("with_request_context")


class Bytes:
    """A source of the library that holds the file in memory."""

    def __init__(self, data):
        self.data, self.name, self.size_bytes = data, "table.csv", len(data)

    def open(self):
        return io.BytesIO(self.data)


@pytest.fixture
def put(resource, sinks):
    """Load the bytes of a file, as the worker does; return the final report."""

    def load(data, types=None, **params):
        job_id = str(uuid.uuid4())
        order = Order(
            job_id=job_id,
            job_type="LOAD",
            resource=Resource(id=resource, types=types or {}),
            dataset=Dataset(id="d"),
            params={"max_reject_share": 1.0, **params},
        )
        sink = sinks(resource, job_id=job_id)
        final = run(order, source=Bytes(data), sink=sink, tell=lambda report: None, stop=threading.Event())
        sink.close()
        assert final is not None
        return final

    return load


def written(rows, names=None, **options):
    out = io.StringIO(newline="")
    writer = csv.writer(out, **options)
    writer.writerow(names or [f"h{i}" for i in range(len(rows[0]))])
    writer.writerows(rows)
    return out.getvalue().encode()


NUMBERS = [
    "0", "-1", "1.50", "0.000", "9" * 1000, "-" + "9" * 999, "0." + "0" * 997 + "1", "1.5E-3", "1e-05", "1e+999",
    "1.0E999", "1e-999", "-2.5e-999", "9223372036854775808", "340282366920938463463374607431768211456", " 7 ",
]  # fmt: skip
DATES = ["0001-01-01", "9999-12-31", "2024-02-29", "1582-10-10", "1900-02-28", "2000-02-29", "1500-02-28"]
TIMES = [
    "0001-01-01T00:00", "9999-12-31 23:59:59.999999", "1582-10-10T00:00:00.000001", "1969-12-31T23:59:59.5",
    "2024-02-29 00:00", "2024-03-31T02:30:00", "2024-10-27 02:30",
]  # fmt: skip
ZONED = ["2024-02-29T10:00Z", "2024-02-29 23:59:59.999999+00:00", "0001-01-01T00:00-00", "9999-12-31T23:59:59+0000"]


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (NUMBERS, "numeric", lambda text: Decimal(text.strip())),
        (DATES, "date", date.fromisoformat),
        (TIMES, "timestamp", datetime.fromisoformat),
        (ZONED, "timestamp", lambda text: datetime.fromisoformat(re.sub("(Z|[+-]00(:?00)?)$", "", text))),
        (["31/12/9999", "1/2/0001", "29/02/2024"], "date", lambda text: date(*map(int, reversed(text.split("/"))))),
        (["true", "false"], "bool", lambda text: text == "true"),
        (["TRUE", "FALSE"], "bool", lambda text: text == "TRUE"),
    ],
    ids=["numbers", "dates", "times", "utc", "layout", "bool", "capital bool"],
)  # fmt: skip
def test_what_inference_accepts_means_the_same_to_postgresql(values, kind, read, put, resource, query):
    final = put(written([[value] for value in values], ["v"]))
    assert (final.status, final.result["fields"][0]["type"]) == (Status.DONE, kind)
    found = [row[0] for row in query(f'SELECT v FROM "{resource}" ORDER BY _id')]
    assert found == [read(value) for value in values]


PERSONS = [
    ("numeric", "+5", Decimal(5)), ("numeric", "007", Decimal(7)), ("numeric", ".5", Decimal("0.5")),
    ("numeric", "5.", Decimal(5)), ("numeric", "-0", Decimal(0)), ("numeric", "1E999", Decimal("1E999")),
    ("numeric", "+.5e-999", Decimal("0.5E-999")), ("numeric", "0" * 1000, Decimal(0)),
    ("bool", "YES", True), ("bool", "n", False), ("bool", "on", True), ("bool", "0", False), ("bool", "T", True),
    ("timestamp", "2024-02-29", datetime(2024, 2, 29)),
    ("timestamp", "2024-02-29T10:00+02:00", datetime(2024, 2, 29, 8)),
    ("timestamp", "2024-02-29T00:30:00.25+15:59", datetime(2024, 2, 28, 8, 31, 0, 250000)),
    ("timestamp", "2024-02-29T23:30-0530", datetime(2024, 3, 1, 5)),
    ("date", "31.12.2024", date(2024, 12, 31)),
    ("json", '{"a": [1, null, "NaN, ]"]}', {"a": [1, None, "NaN, ]"]}), ("json", "1.50", 1.5), ("json", '"x"', "x"),
    ("text", "007", "007"), ("text", " NA ", " NA "),
]  # fmt: skip
MISFITS = {
    "numeric": ["x", "1 000", "1_000", "0x1f", "NaN ", "Infinity", "1e1000", "--1", "1,5", "5%", "1" * 1001],
    "bool": ["2", "maybe", "tru", "truefalse", "10", "yes!"],
    "date": ["2023-02-29", "31/02/2024", "2024-1-1", "20240229", "0000-01-01", "10000-01-01", "today", "infinity"],
    "timestamp": ["2024-01-01T24:00", "2016-12-31T23:59:60", "10:00", "now", "2024-01-01T10:00+16:00", "epoch"],
    "json": ["{", "[1,]", "NaN", "nan", "'x'", "{'a': 1}", "undefined", "[NaN]", "01"],
}


def test_each_type_that_a_person_chose_takes_its_values(put, resource, query):
    rows = [["" if j != i else value for j in range(len(PERSONS))] for i, (_, value, _) in enumerate(PERSONS)]
    final = put(written(rows, delimiter="\t"), {f"h{i}": Type(kind) for i, (kind, _, _) in enumerate(PERSONS)})
    assert (final.status, final.result["rejected"]) == (Status.DONE, 0)
    listed = ", ".join(f'("h{i}")."json"' if kind == "json" else f'"h{i}"' for i, (kind, _, _) in enumerate(PERSONS))
    found = query(f'SELECT {listed} FROM "{resource}" ORDER BY _id')
    assert [row[i] for i, row in enumerate(found)] == [value for _, _, value in PERSONS]


@pytest.mark.parametrize("kind", MISFITS)
def test_each_type_that_a_person_chose_refuses_misfits_by_line(kind, put, resource, query):
    rows = [["1", value] for value in MISFITS[kind]]
    nothing = sum(value.strip() == "NaN" for value in MISFITS[kind])
    final = put(written([*rows, ["2", ""]], ["id", "v"]), {"v": Type(kind)})
    assert final.status is Status.DONE, final.error
    assert final.result["rejected"] == len(rows) - nothing
    assert query(f'SELECT count(*), count(v) FROM "{resource}"') == [(1 + nothing, 0)]


def test_nul_is_rejected_and_all_other_characters_come_through(put, resource, query):
    texts = ["".join(map(chr, range(start, start + 500))) for start in (1, 0x500, 0x2000, 0xD500 - 500, 0xE000, 0xFE00)]
    texts += [chr(0x1F600) * 3, "\ufeff", "\u202e", "\\N", "\\.", "\\", "\x7f\x80\x9f", "a" * 1_000_000]
    rows = [[str(n), text.replace("\0", "")] for n, text in enumerate(texts)]
    data = written(rows, ["n", "t"], quoting=csv.QUOTE_ALL) + b'"99","a\0b"\r\n'
    final = put(data, {"t": Type.TEXT}, encoding="utf-8", delimiter=",", header_line=1)
    assert (final.status, final.result["rejected"]) == (Status.DONE, 1)
    assert [row[0] for row in query(f'SELECT t FROM "{resource}" ORDER BY _id')] == [text for _, text in rows]


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=10) | st.sampled_from(
    ["", " ", '"', "\\N", "\\.", "NA", "007", "1e5", "+1", "é\r\n", "\u2028", "a\tb", "'; --", "NULL", "{}", "=1+1"]
)
NUMBER = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=4).map(
    lambda number: f"{number:f}" if number else "0"
)
DAY = st.dates(date(1, 1, 1)).map(str)
MOMENT = st.datetimes(datetime(1, 1, 1)).map(lambda moment: moment.isoformat(sep=" ", timespec="milliseconds"))
"""CKAN writes times of CSV answers with milliseconds; that microseconds are stored is tested above."""

WORD = st.sampled_from(["true", "false"])
ROWS = 12
KINDS = [("text", TEXT), ("numeric", NUMBER), ("date", DAY), ("timestamp", MOMENT), ("bool", WORD)]
TABLE = st.tuples(*(st.lists(cells, min_size=ROWS, max_size=ROWS) for _, cells in KINDS * 4))


SHOWN_S = (lambda text: text) if tk.check_ckan_version(min_version="2.12") else (lambda text: text.partition(".")[0])
"""What CKAN shows of a time: before 2.12 whole seconds, whatever is stored."""

FEW = settings(
    deadline=None,
    database=None,
    derandomize=True,
    max_examples=4,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("encoding", "options"),
    [
        ("utf-8", {"delimiter": ","}),
        ("utf-8-sig", {"delimiter": ";", "lineterminator": "\n", "quoting": csv.QUOTE_ALL}),
        ("utf-16", {"delimiter": "\t", "lineterminator": "\r", "quoting": csv.QUOTE_ALL}),
        ("gb18030", {"delimiter": "|", "lineterminator": "\r\n", "quoting": csv.QUOTE_NONNUMERIC}),
    ],
)
def test_round_trip_through_search_and_dump(encoding, options, put, resource, app, query):
    """A table of strings comes back as the same text in text and number columns, as the same value in others."""

    @FEW
    @given(TABLE)
    def there_and_back(columns):
        kinds = [kind for kind, _ in KINDS * 4]
        rows = [list(row) for row in zip(*columns, strict=True)]
        data = written(rows, **options).decode().encode(encoding)
        types = {f"h{i}": Type.TEXT for i, kind in enumerate(kinds) if kind == "text"}
        named = {"encoding": encoding, "delimiter": options["delimiter"], "header_line": 1, "header_rows": 1}
        final = put(data, types, **named)
        assert (final.status, final.result.get("rejected")) == (Status.DONE, 0), final.error
        assert [f["type"] for f in final.result["fields"]] == kinds
        page = search(resource, records_format="csv", sort="_id")["records"]
        dumped = app.get(f"/datastore/dump/{resource}?bom=false&format=csv").data.decode()
        for text in (page, dumped.partition("\n")[2]):
            found = [row[1:] for row in csv.reader(io.StringIO(text, newline=""))]
            assert [same(kinds, row) for row in found] == [same(kinds, row, SHOWN_S) for row in rows]
        moments = [i for i, kind in enumerate(kinds) if kind == "timestamp"]
        stored = query(f'SELECT {", ".join(f"h{i}" for i in moments)} FROM "{resource}" ORDER BY _id')
        assert [list(row) for row in stored] == [[datetime.fromisoformat(row[i]) for i in moments] for row in rows]
        objects = search(resource, sort="_id")["records"]
        texts = [[row[f"h{i}"] or "" for i, kind in enumerate(kinds) if kind == "text"] for row in objects]
        assert texts == [[cell for cell, kind in zip(row, kinds, strict=True) if kind == "text"] for row in rows]

    there_and_back()


def same(kinds, row, moment=lambda text: text):
    """Return the cells as they must agree: text and numbers as text, the others as values."""
    read = {
        "text": str,
        "numeric": str,
        "date": lambda text: date.fromisoformat(text[:10]),
        "timestamp": lambda text: datetime.fromisoformat(moment(text.replace("T", " "))),
        "bool": lambda text: json.loads({"t": "true", "f": "false"}.get(text, text.lower())),
    }
    return [read[kind](cell) for kind, cell in zip(kinds, row, strict=True)]

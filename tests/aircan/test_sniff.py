from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from aircan.errors import (
    FileEmpty,
    FileIsHtml,
    FormatUnknown,
    HeaderMissing,
    NotTabular,
    OrderRefused,
    PageIsNotFound,
    PageIsSignIn,
    TooManyColumns,
)
from aircan.ports import never
from aircan.steps.sniff import sniff
from aircan.table import Rejects
from aircan.text import declared, encoding, records
from aircan.text.records import Grammar


def zipped(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return out.getvalue()


def sniffed(data, tmp_path, rejects=None, **params):
    path = tmp_path / "fetched"
    path.write_bytes(data)
    return sniff(path, params=params, workdir=tmp_path, rejects=rejects or Rejects(100, lambda _: None), stop=never())


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html>\n<html><body>Not found</body></html>",
        b"\xef\xbb\xbf\n <HTML lang=en>",
        b"<!-- a comment --><html>",
        b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "x">',
        "<!doctype html><html>".encode("utf-16"),
    ],
)
def test_a_web_page_is_named_as_such(page, tmp_path):
    with pytest.raises(FileIsHtml):
        sniffed(page, tmp_path)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"%PDF-1.7\n1 0 obj", "PDF"),
        (zipped("word/document.xml", "[Content_Types].xml"), "DOCX"),
        (zipped("roads.shp", "roads.dbf"), "a zipped shapefile"),
        (gzip.compress(bytes(257) + b"ustar" + bytes(300)), "a TAR archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "an old Excel or Word file (XLS, DOC)"),
        (b"PAR1....", "Parquet"),
        (b"<?xml version='1.0'?><data/>", "XML"),
        (bytes(range(256)) * 40, "binary data"),
    ],
)
def test_another_format_is_named(data, found, tmp_path):
    with pytest.raises(FormatUnknown) as caught:
        sniffed(data, tmp_path)
    assert caught.value.facts == {"found": found}


@pytest.mark.parametrize(
    ("page", "error", "title"),
    [
        (b"<html><title>\n Sign in &middot; Portal</title>", PageIsSignIn, "Sign in · Portal"),
        (b"<html><title>Portal</title><form action='/saml2/idp'>", PageIsSignIn, "Portal"),
        (b'<!doctype html><h1>Welcome</h1><input name=p type="password">', PageIsSignIn, "Welcome"),
        (b"<html><head><title>404 - Seite nicht gefunden</title>", PageIsNotFound, "404 - Seite nicht gefunden"),
        (b"<html><h1>Access <b>denied</b></h1>", PageIsNotFound, "Access denied"),
        (b"<html><title>Open data in 1404 towns</title>", FileIsHtml, "Open data in 1404 towns"),
        (b"<html><body>x", FileIsHtml, "-"),
    ],
)
def test_kinds_of_web_pages_are_told_apart(page, error, title, tmp_path):
    with pytest.raises(FileIsHtml) as caught:
        sniffed(page, tmp_path)
    assert type(caught.value) is error
    assert caught.value.facts["title"] == title


@pytest.mark.parametrize(
    ("said", "found", "differ"),
    [
        ("CSV", ["csv"], False),
        ("text/csv; charset=utf-8", ["csv"], False),
        (".csv.gz", ["csv", "gz"], False),
        ("csv (zip)", ["csv", "zip"], False),
        ("TSV", ["csv"], False),
        ("application/geo+json", ["geojson"], False),
        ("JSON", ["geojson"], False),
        ("application/vnd.api+json", ["json"], False),
        ("GeoJSON", ["json"], True),
        ("XLSX", ["csv"], True),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ["csv"], True),
        ("csv", ["json"], True),
        ("parquet", ["csv"], True),
        ("HTML", ["csv"], True),
        ("zip", ["csv"], True),
        ("Open Data Portal API", ["csv"], False),
        ("", ["csv"], False),
    ],
)
def test_declared_formats_in_any_spelling(said, found, differ):
    assert declared.differs(said, found) is differ


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("a.csv", ".csv"),
        ("report.2024.csv", ".csv"),
        ("a.csv.gz", ".csv.gz"),
        ("v1.zip", ".zip"),
        ("download", ""),
        ("https://data.example/x.CSV", ".CSV"),
    ],
)
def test_the_ending_of_a_name(name, end):
    assert declared.ending(name) == end


def test_a_wrong_name_or_declared_format_is_a_warning(tmp_path):
    path = tmp_path / "fetched"
    path.write_bytes(b'[{"a": 1}]')
    ways = {"params": {}, "workdir": tmp_path, "rejects": Rejects(1, lambda _: None), "stop": never()}
    assert sniff(path, name="a.json", format_="JSON", **ways).warnings == ()
    mismatch = {"code": "format_mismatch", "declared": "CSV", "found": "json"}
    assert sniff(path, name="a.json", format_="CSV", **ways).warnings == (mismatch,)
    assert sniff(path, name="a.xlsx", format_="", **ways).warnings == ({**mismatch, "declared": ".xlsx"},)


def test_content_decides_not_the_looks_of_a_first_cell(tmp_path):
    assert sniffed(b"[id],{x}\n1,2\n", tmp_path).labels == ("[id]", "{x}")


@pytest.mark.parametrize("data", [b"", b"\n\n  \r\n", b"\xef\xbb\xbf", b",,,\n,,,\n", b"\xff\xfe"])
def test_nothing_but_blanks_is_empty(data, tmp_path):
    with pytest.raises(FileEmpty):
        sniffed(data, tmp_path)


def test_header_without_a_name(tmp_path):
    with pytest.raises(HeaderMissing):
        sniffed(b'"",""\n1,2\n', tmp_path, header_line=1)


@pytest.mark.parametrize(("count", "fits"), [(1597, True), (1598, True), (1599, False)])
def test_columns_at_the_limit(count, fits, tmp_path):
    data = ",".join(f"c{i}" for i in range(count)).encode() + b"\n"
    if fits:
        assert len(sniffed(data, tmp_path).labels) == count
    else:
        with pytest.raises(TooManyColumns) as caught:
            sniffed(data, tmp_path)
        assert caught.value.facts == {"columns": 1599, "limit": 1598}


def test_header_whose_quote_is_not_closed(tmp_path):
    with pytest.raises(NotTabular) as caught:
        sniffed(b'a,"b\n1,2\n', tmp_path)
    assert caught.value.facts["line"] == 1


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"delimiter": "ab"}, "params.delimiter"),
        ({"delimiter": '"'}, "params.delimiter"),
        ({"delimiter": "é"}, "params.delimiter"),
        ({"encoding": "klingon"}, "params.encoding"),
        ({"header_line": -1}, "params.header_line"),
        ({"header_line": "x"}, "params.header_line"),
    ],
)
def test_a_wrong_parameter_is_named(params, field, tmp_path):
    with pytest.raises(OrderRefused) as caught:
        sniffed(b"a,b\n1,2\n", tmp_path, **params)
    assert caught.value.facts == {"field": field}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("noise", [", and; so | on", 'with "quotes", and; more', "1,5", "a|b"])
def test_delimiter_is_found_among_quoted_noise(delimiter, noise, tmp_path):
    cell = '"' + noise.replace('"', '""') + '"'
    rows = "".join(delimiter.join([str(i), cell, "x"]) + "\n" for i in range(20))
    table = sniffed(f"id{delimiter}text{delimiter}z\n{rows}".encode(), tmp_path)
    assert table.facts["delimiter"] == delimiter
    assert (table.rows, table.rejected) == (20, 0)


def test_one_unquoted_column_of_prose_stays_one_column(tmp_path):
    table = sniffed(b"remark\nyes, of course\nno\nwell, maybe, who knows\n", tmp_path)
    assert (table.labels, table.rows, table.rejected) == (("remark",), 3, 0)


@pytest.mark.parametrize("size", [7, 64, 1000])
def test_block_borders_change_nothing(size, tmp_path, monkeypatch):
    """Borders fall into quotes, between CR and LF, and into characters."""
    record = '{},"é ""x"" \r\n, \n end",{}\r\n'
    data = "id,t,n\r\n" + "".join(record.format(i, "" if i % 3 else '5" p') for i in range(300)) + "1,2\r\n3,4,5"
    whole = sniffed(data.encode(), tmp_path).rows, (tmp_path / "rows.csv").read_bytes()
    told = []
    monkeypatch.setattr(records, "BLOCK_BYTES", size)
    monkeypatch.setattr(encoding, "BLOCK_BYTES", size)
    rejects = Rejects(9, told.extend)
    table = sniffed(data.encode(), tmp_path, rejects)
    rejects.flush()
    assert (table.rows, (tmp_path / "rows.csv").read_bytes()) == whole
    assert [(reject.line, reject.code) for reject in told] == [(902, "cells")]
    lines = {row: place.line for row, place in table.locate([1, 2, 300, 301]).items()}
    assert lines == {1: 2, 2: 5, 300: 899, 301: 903}


def test_record_over_the_limit_is_rejected_and_the_next_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORD_BYTES", 1000)
    told = []
    rejects = Rejects(9, told.extend)
    fits, over = "x" * (1000 - 4), "x" * (1001 - 4)
    table = sniffed(f'a,b\n1,"{fits}"\n2,"{over}"\n3,z\n'.encode(), tmp_path, rejects)
    rejects.flush()
    assert table.rows == 3 - 1
    assert [(reject.line, reject.code) for reject in told] == [(3, "size")]


def test_line_over_the_limit_is_skipped_whatever_its_length(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RECORD_BYTES", 1000)
    monkeypatch.setattr(records, "BLOCK_BYTES", 300)
    told = []
    rejects = Rejects(9, told.extend)
    table = sniffed(f"a,b\r\n1,x\r\n2,{'y' * 5000}\r\n3,z\r\n4\r\n".encode(), tmp_path, rejects)
    rejects.flush()
    assert table.rows == 2
    assert [(reject.line, reject.code) for reject in told] == [(3, "size"), (5, "cells")]
    assert table.locate([2])[2].line == 4


def test_plain_check_and_careful_reading_agree():
    """The quick look at a whole block says None or the very number that reading record by record gives."""
    grammar = Grammar(",")
    texts = ["1,2\n3,4\n", '1,"2\n3"\n', '"a""b",\n', '1,""\n', ",\n", '1,2"\n3,"4\n', '"a" ,b\n', 'a,"b"c\n', "\n"]
    for text in [*texts, "1,2"]:
        quick = grammar.plain_rows(text.encode(), 2)
        found = list(grammar.walk(text.encode(), 1, last=True))
        sound = all(r.cells == 2 and not r.code and not grammar.is_blank(r.raw) for r in found)
        assert quick in (None, len(found) if sound else None), text


@pytest.mark.parametrize("eol", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_ended", [True, False])
def test_places_in_plain_text_are_those_that_a_walk_finds(eol, is_ended, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BLOCK_BYTES", 64)
    path = tmp_path / "fetched"
    text = eol.join(["a,b", *(f"{n},x\f{n}" for n in range(40))])
    path.write_bytes((text + eol * is_ended).encode())
    table = sniff(path, params={}, workdir=tmp_path, rejects=Rejects(10, lambda _: None), stop=never())
    wanted = list(range(1, table.rows + 1))
    found = table.locate(wanted)
    assert (found[1].line, found[40].line, found[40].text) == (2, 41, "39,x\f39")
    monkeypatch.setattr(records.Scanner, "_plain", lambda *_: None)
    assert table.locate(wanted) == found

"""Where the table stands in a text, and with which delimiter: what is found, and what an order says."""

from __future__ import annotations

import pytest

from aircan.errors import FileEmpty, NotTabular, OrderRefused
from aircan.ports import never
from aircan.steps.sniff import sniff
from aircan.table import Rejects
from aircan.text import dialect
from aircan.text.header import joined, two_rows
from tests.aircan.rig import load, loaded


def sniffed(data, tmp_path, **params):
    path = tmp_path / "fetched"
    path.write_bytes(data)
    return sniff(path, params=params, workdir=tmp_path, rejects=Rejects(100, lambda _: None), stop=never())


@pytest.mark.parametrize(
    ("rows", "labels"),
    [
        ([["id", "2019", "", "2020", ""], ["", "m", "f", "m", "f"]], ["id", "2019 m", "2019 f", "2020 m", "2020 f"]),
        ([["a", "b"], ["x", "y"]], ["a x", "b y"]),
        ([["a", "a"], ["a", "y"]], ["a", "a y"]),
        ([["g", ""], ["", "y"]], ["g", "g y"]),
        ([["g", "", "t"], ["x", "", ""]], ["g x", "", "t"]),
        ([["A", "", ""], ["B", "", "C"], ["1", "2", "3"]], ["A B 1", "A B 2", "A C 3"]),
        ([["a"], ["x", "y"]], ["a x", "a y"]),
        ([[" a ", "b"]], [" a ", "b"]),
    ],
)
def test_header_rows_are_joined_and_groups_span_to_the_right(rows, labels):
    assert joined(rows) == labels


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([["id", "2019", ""], ["", "m", "f"], ["a", "1", "2"], ["b", "3", "4"]], True),
        ([["id", "2019", ""], ["", "m", "f"], ["a", "1", "2"]], False),
        ([["id", "n", ""], ["a", "1", "2"], ["b", "3", "4"], ["c", "5", "6"]], False),
        ([["id", "n", ""], ["a", "x", "NA"], ["b", "y", "4"], ["c", "z", "6"]], False),
        ([["id", "n", ""], ["a", "x", "u"], ["b", "y", "v"], ["c", "z", "w"]], False),
        ([["", "n", "m"], ["a", "x", "u"], ["1", "2", "3"], ["4", "5", "6"]], False),
        ([["id", "n", "m"], ["", "kg", "m"], ["1", "2", "3"], ["4", "5", "6"]], False),
    ],
)
def test_two_header_rows_need_strong_evidence(rows, found):
    assert two_rows(rows) is found


def test_two_header_rows_are_found_and_told(tmp_path):
    table = sniffed(b"id,2019,\n,m,f\na,1,2\nb,3,4\n", tmp_path)
    assert (table.labels, table.rows, table.facts["header_rows"]) == (("id", "2019 m", "2019 f"), 2, 2)
    assert [warning["code"] for warning in table.warnings] == ["two_header_rows"]
    table = sniffed(b"id,2019,\n,m,f\na,1,2\nb,3,4\n", tmp_path, header_rows=1)
    assert (table.labels, table.rows, table.warnings) == (("id", "2019", ""), 3, ())


@pytest.mark.parametrize(
    ("data", "params", "labels", "rows", "line"),
    [
        (b"1,2\n3,4\n", {"header_rows": 0}, ("column_1", "column_2"), 2, 0),
        (b"1,2\n3,4,5\n6,7\n", {"header_rows": 0}, ("column_1", "column_2"), 2, 0),
        (b"1,2\n", {"header_rows": "0"}, ("column_1", "column_2"), 1, 0),
        (b"a,b\nx,y\n1,2\n", {"header_rows": 2}, ("a x", "b y"), 1, 1),
        (b"a,b\nx,y\n\nu,v\n1,2\n", {"header_rows": 3}, ("a x u", "b y v"), 1, 1),
        (b"junk\n1,2,3,4\n\na,b\n1,2\n", {"skip_lines": 2}, ("a", "b"), 1, 4),
        (b'"junk\n\r\nmore\ra,b\n1,2\n', {"skip_lines": 3}, ("a", "b"), 1, 4),
        (b"x,y\nz,w\na,b\n1,2\n", {"header_line": 3, "skip_lines": 1}, ("a", "b"), 1, 3),
        (b"1,2\n3,4\n", {"header_rows": 0, "skip_lines": 1}, ("column_1", "column_2"), 1, 0),
    ],
)
def test_header_of_the_order(data, params, labels, rows, line, tmp_path):
    table = sniffed(data, tmp_path, **params)
    assert (table.labels, table.rows, table.facts["header_line"]) == (labels, rows, line)


def test_no_header_gives_names_without_a_warning():
    rows, _, result = loaded(b"1,x\n2,y\n", {"header_rows": 0})
    assert rows == [["1", "x"], ["2", "y"]]
    assert [(f["id"], f["label"]) for f in result["fields"]] == [("column_1", "column_1"), ("column_2", "column_2")]
    assert "warnings" not in result


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("footer", ["Total;3", "Source: us, 2024\n\n (c) all", "a,b,c,d\n1"])
def test_footer_is_left_out_and_told(footer, end, tmp_path):
    body = f"a,b\n1,2\n2,3\n\n{footer}\n \n".replace("\n", end)
    count = sum(bool(line.strip()) for line in footer.splitlines())
    table = sniffed(body.encode(), tmp_path, skip_footer=count)
    assert (table.rows, table.rejected, table.facts["footer_lines"]) == (2, 0, count)
    assert table.warnings[-1] == {"code": "lines_below", "count": count, "first": footer.splitlines()[0]}
    assert (tmp_path / "fetched").read_bytes() == body.encode()


def test_footer_of_every_line_leaves_nothing(tmp_path):
    with pytest.raises(FileEmpty):
        sniffed(b"a,b\n1,2\n", tmp_path, skip_footer=2)
    with pytest.raises(FileEmpty):
        sniffed(b"a,b\n1,2\n", tmp_path, skip_footer=9)


def test_skipping_every_line_leaves_nothing(tmp_path):
    with pytest.raises(FileEmpty):
        sniffed(b"a,b\n1,2\n", tmp_path, skip_lines=3)
    with pytest.raises(FileEmpty):
        sniffed(b"a,b\n1,2\n", tmp_path, skip_lines=2)


def test_lines_of_rejects_count_what_was_skipped():
    _, rejects, _ = loaded(b"x\ny\na,b\n1,2\n3\n4,5\n", {"skip_lines": 2})
    assert [reject["line"] for reject in rejects] == [5]


@pytest.mark.parametrize("line", ["sep=;", "SEP=;", '"sep=;"', "sep=^"])
def test_the_line_that_excel_writes_names_the_delimiter(line, tmp_path):
    delimiter = line.strip('"')[-1]
    text = f"{line}\r\na{delimiter}b, c, d\r\n1{delimiter}x, y, z\r\n"
    table = sniffed(text.encode(), tmp_path)
    assert table.labels == ("a", "b, c, d")
    assert (table.facts["delimiter"], table.facts["delimiter_evidence"]) == (delimiter, "sep_line")
    assert (table.facts["header_line"], table.warnings) == (2, ())
    assert table.locate([1])[1].line == 3


def test_the_delimiter_of_the_order_wins_over_the_line_of_excel(tmp_path):
    table = sniffed(b"sep=;\na,b;c\n1,2;3\n", tmp_path, delimiter=",")
    assert (table.labels, table.facts["delimiter_evidence"]) == (("a", "b;c"), "order")


@pytest.mark.parametrize(
    ("data", "delimiter"),
    [
        (b"a^b\n1^2\n3^4\n", "^"),
        (b"a~b\n1~2\n3~4\n", "~"),
        (b"a:b:c\n1:2:3\n3:4:5\n", ":"),
        (b"a:b\n1:2\n3:4\n", ","),
        (b"a^b\n1^2\n", ","),
        (b"a^b\n1^2\n3^4^5\n", ","),
        (b"time\n10:30:00\n11:30:00\n", ","),
        (b"h:m:s\n10:30:00\n11:30:00\n", ","),
        (b"url\nhttp://a:80/b\nhttp://c:80/d\n", ","),
        (b"a: b: c\nx: y: z\nu: v: w\n", ","),
        (b"t\n2024-01-31T10:00:00Z\n2024-01-31T11:00:00Z\n", ","),
        (b"a^b,c\n1^2,3\n4^5,6\n", ","),
    ],
)
def test_rare_delimiters_need_strong_evidence(data, delimiter, tmp_path):
    assert sniffed(data, tmp_path).facts["delimiter"] == delimiter


@pytest.mark.parametrize("delimiter", ["^", "~", ":", "#", " ", "\x1f", "a"])
def test_any_character_can_be_the_delimiter_of_an_order(delimiter):
    data = f'x{delimiter}y\n1{delimiter}"2{delimiter}3"\n4{delimiter}\n'.encode()
    rows, rejects, result = loaded(data, {"delimiter": delimiter}, {})
    assert (rows, rejects) == ([["1", f"2{delimiter}3"], ["4", None]], [])
    assert result["delimiter"] == delimiter


def test_blanks_between_delimiter_and_quote_are_no_part_of_the_cell():
    data = b'a, "b, b" ,c\n1, "x, ""y""" , "z"\n2, "u\n v", w\n'
    rows, rejects, result = loaded(data)
    assert (rows, rejects) == ([["1", 'x, "y"', "z"], ["2", "u\n v", " w"]], [])
    assert [f["label"] for f in result["fields"]] == ["a", "b, b", "c"]
    assert result["blanks_around_quotes"] is True


@pytest.mark.parametrize(
    "data",
    [
        b'size,note\n1, 5" pipe\n2, "so called" pipe\n',
        b'a,b\n1,"x, ""y"", z"\n2,"u"\n',
        b'a,b\n1,"x\n "\n',
    ],
)
def test_quotes_behind_blanks_stay_text_where_they_do_not_quote(data):
    _, rejects, result = loaded(data)
    assert rejects == []
    assert "blanks_around_quotes" not in result


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"header_rows": 4}, "header_rows"),
        ({"header_rows": -1}, "header_rows"),
        ({"header_rows": "two"}, "header_rows"),
        ({"header_rows": True}, "header_rows"),
        ({"skip_lines": -1}, "skip_lines"),
        ({"skip_lines": 1.5}, "skip_lines"),
        ({"skip_footer": "x"}, "skip_footer"),
        ({"header_line": 2, "skip_lines": 2}, "header_line"),
        ({"delimiter": "\r"}, "delimiter"),
    ],
)
def test_a_wrong_parameter_is_named(params, name, tmp_path):
    with pytest.raises(OrderRefused) as caught:
        sniffed(b"a,b\n1,2\n", tmp_path, **params)
    assert caught.value.facts == {"field": f"params.{name}"}


def test_more_header_rows_than_there_are(tmp_path):
    with pytest.raises(NotTabular):
        sniffed(b"a,b\n1,2\n", tmp_path, header_rows=3)


def test_a_header_line_that_is_none(tmp_path):
    with pytest.raises(NotTabular):
        sniffed(b"a,b\n1,2\n", tmp_path, header_line=3)


def test_blanks_around_quotes_far_below_the_head_are_rejected_by_line():
    """What decides is in the first records; what differs later is told, not mended."""
    data = b"a,b\n" + b"1,x\n" * 2000 + b'2, "y, z"\n'
    _, sink, told = load(data)
    assert [(reject["line"], reject["code"]) for reject in told.merged("rejects")] == [(2002, "cells")]
    assert len(sink.rows) == 2000


@pytest.mark.parametrize(
    "head",
    [
        b"a\n1\n2\n",
        b"a,b\n1,2\n",
        b"a;b\n1;2,5\n",
        b"a\tb|c\n1\t2|3\n",
        b"some prose; it has, here and there\nmarks, of all; kinds\nand more\n",
        b"no marks at all\nin these lines\n",
        b'a,"b;c"\n1,"2|3"\n',
        b'"open\n1\n',
        b"\n\na;b;c\n1;2;3\n",
    ],
)
def test_delimiters_that_do_not_occur_are_tried_once_and_change_nothing(head, monkeypatch):
    def found():
        try:
            return dialect.find(head, whole=True)
        except NotTabular as exc:
            return exc.facts

    few = found()
    monkeypatch.setattr(dialect, "_to_try", lambda _head: dialect.DELIMITERS)
    assert few == found()

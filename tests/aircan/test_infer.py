from __future__ import annotations

import pytest

from aircan.contract import Type
from tests.aircan.rig import load, loaded


def field(values, types=None, **params):
    """Return the only column of a file with these values."""
    data = "x\n" + "".join('"{}"\n'.format(value.replace('"', '""')) for value in values)
    _, _, result = loaded(data.encode(), params, types)
    return result["fields"][0]


@pytest.mark.parametrize("value", ["0", "1", "-1", "0.5", "-0.5", "10.00", "1.5E-3", "1e-05", "9" * 1000, " 7 "])
def test_is_a_number(value):
    assert field([value])["type"] == "numeric"


@pytest.mark.parametrize(
    "value",
    [
        "00", "01", "-01", "00.5", "+1", "-0", "-0.0", "-0.00e-1", "5.", ".5", "1_000", "1 000", "1,000", "1e5",
        "12E3", "1e-1000", "0x1f", "Infinity", "nan", "1.2.3", "--1", "1-", "١٢", "½", "9" * 1001, "1\n2", "12:30",
    ],
)  # fmt: skip
def test_is_text(value):
    assert field([value])["type"] == "text"


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("2024-02-29", "date"),
        ("2023-02-29", "text"),
        ("0000-01-01", "text"),
        ("0001-01-01", "date"),
        ("9999-12-31", "date"),
        ("2024-1-1", "text"),
        ("2024-01-01T23:59:59.999999", "timestamp"),
        ("2024-01-01T23:59:59.9999999", "text"),
        ("2024-01-01 24:00", "text"),
        ("2024-01-01T10:00:60", "text"),
        ("2024-01-01T10", "text"),
        ("2024-01-01T10:00Z", "timestamp"),
        ("2024-01-01T10:00+00", "timestamp"),
        ("2024-01-01T10:00+02:00", "text"),
        ("20240101", "numeric"),
        ("2024", "numeric"),
        ("2024-01", "text"),
        ("13/01/2024", "date"),
        ("01/13/2024", "date"),
        ("13/13/2024", "text"),
        ("12/12/2024", "text"),
        ("2024/01/13", "date"),
        ("2024/01/02", "text"),
        ("31.12.24", "text"),
        ("31-12-2024", "date"),
        ("1 May 2024", "date"),
        ("May 1, 2024", "date"),
        ("31 Feb 2024", "text"),
        ("t", "text"),
        ("Monday", "text"),
        ("11.5", "numeric"),
    ],
)
def test_dates_by_their_layout_and_the_calendar(value, kind):
    assert field([value])["type"] == kind


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (["1", "2", "007"], "leading_zero"),
        (["1", "2", "x"], "words"),
        (["1", "2", "5%"], "unit"),
        (["a", "b"], "words"),
        (["", ""], "blank"),
        (["NA", "-"], "null_words_only"),
        (["2024-01-01", "2024-02-30"], "calendar"),
        (["01/02/2024", "31/12/24"], "two_digit_year"),
        (["01/02/2024", "01/03/2024"], "order_unproven"),
        (["2024-01-01", "2024-01-01T10:00"], "mixed_dates"),
        (["2024-01-01", "31/12/2024"], "mixed_dates"),
        (["2024-01-01T10:00Z", "2024-01-01T10:00"], "mixed_dates"),
        (["2024-01-01T10:00+01:00", "2024-01-01T10:00+02:00"], "offset"),
        (["2024-01-01T10:00+02:00"], "offset"),
        (["2016-12-31T23:59:59", "2016-12-31T23:59:60"], "clock"),
        (["2024-01-01 24:00"], "clock"),
        (["2024-01-01T00:00:00.1234567"], "fraction"),
        (["0000-01-01"], "year"),
        (["-0044-03-15"], "year"),
        (["10000-01-01", "9999-12-31"], "year"),
        (["2024-W05-1", "2024W06"], "week_date"),
        (["2024-05", "2024-06"], "year_month"),
        (["10:30", "11:00:01", "9:15 am"], "time_only"),
        (["2024-01-01", "2024-01-02", "soon"], "words"),
        (["+1", "2"], "plus_sign"),
        (["-0", "2"], "minus_zero"),
        (["1e5", "2"], "bare_exponent"),
        (["5.", "2"], "trailing_point"),
        ([".5", "2"], "leading_point"),
        (["1_000", "2"], "underscore"),
        (["1 000", "2"], "inner_blank"),
        (["1\u202f000", "2"], "inner_blank"),
        (["1.000.000", "2"], "thousands"),
        (["12,5", "2"], "decimal_comma"),
        (["€ 5", "2"], "unit"),
    ],
)
def test_reason_of_a_text_column(values, code):
    found = field(values)
    assert (found["type"], found["reason"]["code"]) == ("text", code)


@pytest.mark.parametrize(
    ("early", "late", "code", "value"),
    [
        ("2024-01-01T10:00", "2024-01-01T24:00", "clock", "2024-01-01T24:00"),
        ("2024-01-01T10:00", "2024-01-01T10:00+02:00", "offset", "2024-01-01T10:00+02:00"),
        ("2024-01-01T10:00", "2024-01-01", "mixed_dates", "2024-01-01"),
        ("2024-01-01T10:00", "soon", "not_timestamp", "soon"),
        ("2024-01-01", "2023-02-29", "calendar", "2023-02-29"),
        ("2024-01-01", "0000-01-01", "year", "0000-01-01"),
        ("2024-01-01", "10000-01-01", "year", "10000-01-01"),
        ("2024-01-01", "01.02.24", "two_digit_year", "01.02.24"),
        ("1", "00", "leading_zero", "00"),
        ("true", "maybe", "not_bool", "maybe"),
    ],
)
def test_reason_far_below_the_sample_names_count_line_and_value(early, late, code, value):
    found = field([early] * 5000 + [late, early, late])
    assert found["reason"] == {"code": code, "count": 2, "line": 5002, "value": value}


def test_reason_with_a_decimal_comma_of_the_order():
    assert field(["1,5", "1.5"], decimal_comma=True)["reason"]["code"] == "decimal_point"
    found = field(["1,5"] * 5000 + ["1.5"], decimal_comma=True)
    assert found["reason"] == {"code": "decimal_point", "count": 1, "line": 5002, "value": "1.5"}


@pytest.mark.parametrize(
    ("last", "value"),
    [
        ("Total,6", "Total"),
        ("TOTAL:,6", "TOTAL:"),
        ('"Summe",6', "Summe"),
        (",Итого", "Итого"),
        ("合計,6", "合計"),
        ("Total war,6", None),
        ("Totally,6", None),
        ("c,6", None),
    ],
)
def test_totals_line_is_told_and_stays_a_row(last, value):
    _, sink, told = load(f"a,b\nx,1\ny,2\n{last}\n".encode())
    assert len(sink.rows) == 3
    found = [warning for warning in told.merged("warnings") if warning["code"] == "totals_line"]
    assert found == ([{"code": "totals_line", "line": 4, "value": value}] if value else [])


def test_the_type_is_decided_over_all_rows_not_the_first():
    found = field(["1"] * 5000 + ["x"])
    assert (found["type"], found["reason"]) == (
        "text",
        {"code": "not_numeric", "count": 1, "line": 5002, "value": "x"},
    )


def test_a_column_blank_at_first_is_typed_by_what_comes_later():
    assert field([""] * 5000 + ["1.5"])["type"] == "numeric"
    assert field([""] * 5000 + ["1.5", "word"])["type"] == "text"


def test_null_words_are_counted_with_the_line_of_the_first():
    rows, _, result = loaded(b"x\n1\nNA\n2\n-\n")
    assert rows == [["1"], [None], ["2"], [None]]
    assert result["fields"][0]["nulls"] == 2


@pytest.mark.parametrize("values", [["true", "True"], ["yes", "no"], ["t", "f"], ["0", "true"]])
def test_words_of_two_pairs_are_no_booleans(values):
    assert field(values)["type"] == "text"


def test_a_persons_text_keeps_everything():
    found = field(["1", "NA", "2024-01-01"], {"x": Type.TEXT})
    assert (found["type"], found["reason"], found["nulls"]) == ("text", {"code": "person"}, 0)


def test_a_persons_type_is_matched_by_the_cleaned_id():
    _, _, result = loaded(b'"_x"\n1\n', types={"x": Type.TEXT})
    assert result["fields"][0]["type"] == "text"


@pytest.mark.parametrize(("early", "late", "kept"), [(2100, 5000, 5000), (5000, 2100, 5000), (2100, 0, 2100)])
def test_a_persons_type_is_read_in_the_way_that_fits_most_values_of_the_whole_file(early, late, kept):
    """Whatever the first 2,000 rows, which are looked at first, are like."""
    data = "d\n" + "2024-05-13\n" * early + "31/12/2024\n" * late
    rows, _, result = loaded(data.encode(), types={"d": Type.DATE})
    assert (len(rows), result["rejected"]) == (kept, early + late - kept)


def test_a_persons_type_of_a_column_that_is_blank_at_first():
    data = "a,d\n" + "1,\n" * 5000 + "1,31/12/2024 10:00\n"
    rows, _, result = loaded(data.encode(), types={"d": Type.TIMESTAMP})
    assert (rows[-1], result["rejected"]) == (["1", "2024-12-31 10:00:00"], 0)


def test_a_table_of_many_columns():
    count = 300
    data = ",".join(f"c{i}" for i in range(count)) + "\n" + (",".join(["1"] * count) + "\n") * 3
    rows, _, result = loaded(data.encode())
    assert rows == [["1"] * count] * 3
    assert {f["type"] for f in result["fields"]} == {"numeric"}


@pytest.mark.parametrize(
    ("values", "words", "kind", "nulls"),
    [
        (["1", "unknown", "2"], ["unknown"], "numeric", 1),
        (["1", "NA"], ["unknown"], "text", 0),
        (["1", "NA"], [], "text", 0),
        (["1", "999"], ["999"], "numeric", 1),
        (["1", " n/k "], ["n/k"], "numeric", 1),
        (["x", "unknown"], ["unknown"], "text", 0),
        (["it's", "1"], ["it's"], "numeric", 1),
    ],
)
def test_null_words_of_the_order_take_the_place_of_the_usual_ones(values, words, kind, nulls):
    found = field(values, null_words=words)
    assert (found["type"], found["nulls"]) == (kind, nulls)


def test_null_words_of_the_order_count_for_a_persons_type():
    rows, rejects, _ = loaded(b"x,y\n1,a\nNA,b\n?,c\n", {"null_words": ["?"]}, {"x": Type.NUMERIC})
    assert (rows, [reject["line"] for reject in rejects]) == ([["1", "a"], [None, "c"]], [3])


def test_strip_takes_blanks_off_text_and_leaves_nothing_of_blanks_alone():
    rows, _, _ = loaded(b'a,b\n  x  y ,1\n"  ",2\n\t\xc2\xa0z,3\n', {"strip": True})
    assert [row[0] for row in rows] == ["x  y", None, "z"]
    rows, _, _ = loaded(b"a\n x \n", {"strip": True}, {"a": Type.TEXT})
    assert rows == [["x"]]
    rows, _, _ = loaded(b"a,b\n x ,1\n")
    assert rows == [[" x ", "1"]]


@pytest.mark.parametrize(
    ("data", "comma", "types", "cells"),
    [
        (b"a;b\n1,234;x\n", None, ["text", "text"], ["1,234", "x"]),
        (b"a;b\n1,234;x\n", True, ["numeric", "text"], ["1.234", "x"]),
        (b"a;b\n1,5;x\n", None, ["numeric", "text"], ["1.5", "x"]),
        (b"a;b\n1,5;x\n", False, ["text", "text"], ["1,5", "x"]),
        (b"a;b\n1.5;x\n", True, ["text", "text"], ["1.5", "x"]),
        (b'a,b\n"1,5",x\n', None, ["text", "text"], ["1,5", "x"]),
        (b'a,b\n"1,5",x\n', True, ["numeric", "text"], ["1.5", "x"]),
        (b"a;b\n12;x\n", True, ["numeric", "text"], ["12", "x"]),
    ],
)
def test_decimal_comma_of_the_order_needs_no_proof_and_takes_no_point(data, comma, types, cells):
    rows, _, result = loaded(data, {"decimal_comma": comma})
    assert ([f["type"] for f in result["fields"]], rows) == (types, [cells])


def test_decimal_comma_of_the_order_counts_for_a_persons_type():
    rows, rejects, _ = loaded(b"a;b\n007,5;x\n1.5;y\n+2;z\n", {"decimal_comma": True}, {"a": Type.NUMERIC})
    assert (rows, [reject["value"] for reject in rejects]) == ([["007.5", "x"], ["+2", "z"]], ["1.5"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("null_words", "NA"),
        ("null_words", [1]),
        ("null_words", [""]),
        ("null_words", [" "]),
        ("null_words", ["x"] * 101),
        ("null_words", ["a\0"]),
        ("strip", "perhaps"),
        ("strip", 1),
        ("decimal_comma", "maybe"),
        ("decimal_comma", 0),
        ("date_order", "ydm"),
        ("date_order", ["dmy"]),
    ],
)
def test_a_wrong_rule_is_named(name, value):
    final, _, _ = load(b"x\n1\n", {name: value})
    assert (final.error["code"], final.error["field"]) == ("order_refused", f"params.{name}")

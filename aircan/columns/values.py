"""How text becomes a value: for each way to read a column, what fits, what proves it, and what PostgreSQL gets.

A `Reading` is SQL for DuckDB over the column's text without blanks around it, written `{v}`. Regular
expressions are of the subset that RE2 and Python's `re` read alike. Imports only `contract`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from aircan.columns.rules import NULL_WORDS, Rules
from aircan.contract import Type

BLANKS = " \t\n\r\u00a0"
"""What is taken off both ends of a value before it is read as anything but text."""

NUMERIC_CHARS = 1000
"""Longest number; PostgreSQL takes 131072 digits before the point and 16383 after it."""

_INTEGER = "(0|[1-9][0-9]*)"
PLAIN = rf"-?{_INTEGER}(\.[0-9]+)?"
_EXPONENT = rf"-?{_INTEGER}(\.[0-9]+[eE][+-]?|[eE][+-])[0-9]{{1,3}}"
_NUMBER = f"{PLAIN}|{_EXPONENT}"
_MINUS_ZERO = r"-0(\.0+)?([eE].*)?"
COMMA = f"-?{_INTEGER}(,[0-9]+)?"
_COMMA_NUMBER = rf"{COMMA}|-?{_INTEGER}(,[0-9]+[eE][+-]?|[eE][+-])[0-9]{{1,3}}"
_COMMA_MINUS_ZERO = "-0(,0+)?([eE].*)?"
_COMMA_PROOF = "-?(0,[0-9]+|[0-9]{4,},[0-9]+|[0-9]+,([0-9]{1,2}|[0-9]{4,}))([eE].*)?"
_ANY_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"

_ANY_COMMA_NUMBER = "[+-]?([0-9]+,?[0-9]*|,[0-9]+)"

_ISO_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO_TIME = r"[T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?"
_UTC = r"(Z|[+-]00(:?00)?)"
_OFFSET = "[+-](0[0-9]|1[0-5])(:?[0-5][0-9])?"

OVER_12 = "(1[3-9]|2[0-9]|3[01])"


@dataclass(frozen=True)
class Reading:
    """One way to read a column.

    Attributes:
        name: word for it in reasons.
        shape: regular expression that the whole value matches; sound for ruling a way out early.
        fits: SQL condition beyond the shape, "" for none.
        proof: regular expression that one value at least must match, "" for none.
        value: SQL of the text for PostgreSQL.
        layout: strptime layout if it is not ISO 8601.
        null_words: words that are no values.
    """

    name: str
    type: Type
    shape: str
    fits: str = ""
    proof: str = ""
    value: str = "{v}"
    layout: str = ""
    null_words: tuple[str, ...] = NULL_WORDS

    def condition(self, v: str) -> str:
        """Return an SQL condition: this value fits; it is NULL for NULL and for nothing else."""
        shape = matches(v, self.shape)
        if not self.fits:
            return shape
        return f"CASE WHEN {shape} THEN coalesce({self.fits.format(v=v)}, false) WHEN {v} IS NOT NULL THEN false END"

    def has_shape(self, value: str) -> bool:
        """Return whether a value has the shape, without asking a calendar."""
        return re.fullmatch(self.shape, value, re.ASCII) is not None

    @property
    def takes_only_values(self) -> bool:
        """Return whether no null word has the shape, and no text that is empty or has blanks around it."""
        return not any(map(self.has_shape, ("", " ", *self.null_words)))


def matches(v: str, pattern: str) -> str:
    """Return an SQL condition: the whole value matches."""
    return f"regexp_full_match({v}, {quote(pattern)})"


def quote(text: str) -> str:
    """Return text as an SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def trimmed(column: str) -> str:
    """Return SQL of a column's text without blanks around it.

    DuckDB's trim with characters of our own costs four times what this costs (measured 2026-11): few values need it.
    """
    last = f"{column}[-1]"
    padded = f"{column} < '!' OR {last} <= ' ' OR {last} = '\u00a0' OR starts_with({column}, '\u00a0')"
    return f"CASE WHEN {padded} THEN trim({column}, {quote(BLANKS)}) ELSE {column} END"


def is_null_word(v: str, words: Sequence[str]) -> str:
    """Return an SQL condition: this is one of the null words."""
    return f"{v} IN (" + ", ".join(map(quote, words)) + ")" if words else "false"


def is_real(v: str, words: Sequence[str]) -> str:
    """Return an SQL condition: this is a value, neither blank nor a null word."""
    return f"{v} <> ''" + (f" AND NOT {is_null_word(v, words)}" if words else "")


def _beside(minus_zero: str) -> str:
    """Return an SQL condition: this number is short enough, and no minus zero."""
    other = f"CASE WHEN starts_with({{v}}, '-0') THEN NOT regexp_full_match({{v}}, '{minus_zero}') ELSE true END"
    return f"strlen({{v}}) <= {NUMERIC_CHARS} AND {other}"


NUMERIC = Reading("number", Type.NUMERIC, _NUMBER, _beside(_MINUS_ZERO))
DECIMAL_COMMA = Reading(
    "decimal_comma",
    Type.NUMERIC,
    _COMMA_NUMBER,
    _beside(_COMMA_MINUS_ZERO),
    proof=_COMMA_PROOF,
    value="replace({v}, ',', '.')",
)
ANY_COMMA_NUMBER = replace(DECIMAL_COMMA, shape=_ANY_COMMA_NUMBER, fits=f"strlen({{v}}) <= {NUMERIC_CHARS}")
BOOLEANS = tuple(
    Reading("words", Type.BOOLEAN, f"{yes}|{no}", value="{v}" if yes == "true" else "lower({v})")
    for yes, no in (("true", "false"), ("True", "False"), ("TRUE", "FALSE"))
)
_DAY_IS_THERE = "{v} NOT LIKE '0000%' AND try_cast({day} AS DATE) IS NOT NULL"
_CALENDAR = _DAY_IS_THERE.replace("{day}", "left({v}, 10)")
DATE = Reading("iso", Type.DATE, _ISO_DATE, _DAY_IS_THERE.replace("{day}", "{v}"))
TIMESTAMP = Reading("iso", Type.TIMESTAMP, _ISO_DATE + _ISO_TIME, _CALENDAR)
TIMESTAMP_UTC = Reading(
    "iso_utc",
    Type.TIMESTAMP,
    _ISO_DATE + _ISO_TIME + _UTC,
    _CALENDAR,
    value=f"regexp_replace({{v}}, '{_UTC}$', '')",
)

_DAY, _MONTH, _YEAR = "[0-9]{1,2}", "[0-9]{1,2}", "[0-9]{4}"
_SHORT = "(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_LONG = "(?i:january|february|march|april|may|june|july|august|september|october|november|december)"
_TIMES = (
    ("", ""),
    (" %H:%M", " ([01]?[0-9]|2[0-3]):[0-5][0-9]"),
    (" %H:%M:%S", " ([01]?[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"),
    (" %I:%M %p", " (0?[1-9]|1[0-2]):[0-5][0-9] (?i:am|pm)"),
    (" %I:%M:%S %p", " (0?[1-9]|1[0-2]):[0-5][0-9]:[0-5][0-9] (?i:am|pm)"),
)


def _days() -> Iterator[tuple[str, str, str, str]]:
    """Yield layout, shape, proof of the order, and the order itself ("" where a month's name shows it)."""
    for mark in ("/", ".", "-"):
        m = re.escape(mark) if mark == "." else mark
        yield f"%d{mark}%m{mark}%Y", f"{_DAY}{m}{_MONTH}{m}{_YEAR}", f"{OVER_12}{m}.*", "dmy"
        yield f"%m{mark}%d{mark}%Y", f"{_MONTH}{m}{_DAY}{m}{_YEAR}", f"{_MONTH}{m}{OVER_12}{m}.*", "mdy"
        if mark != "-":
            yield f"%Y{mark}%m{mark}%d", f"{_YEAR}{m}{_MONTH}{m}{_DAY}", f"{_YEAR}{m}{_MONTH}{m}{OVER_12}( .*)?", "ymd"
    for word, name in ((_SHORT, "%b"), (_LONG, "%B")):
        for mark in (" ", "-"):
            yield f"%d{mark}{name}{mark}%Y", f"{_DAY}{mark}{word}{mark}{_YEAR}", "", ""
        for comma in (",", ""):
            yield f"{name} %d{comma} %Y", f"{word} {_DAY}{comma} {_YEAR}", "", ""


def layouts(order: str = "") -> list[Reading]:
    """Return the readings of dates and timestamps that are not ISO 8601.

    Args:
        order: "dmy", "mdy" or "ymd" when the order is known; it needs no proof then, and others are left out.
    """
    out = []
    for day_layout, day_shape, proof, day_order in _days():
        if order and day_order and day_order != order:
            continue
        for time_layout, time_shape in _TIMES:
            layout, kind = day_layout + time_layout, Type.TIMESTAMP if time_layout else Type.DATE
            parsed = f"try_strptime({{v}}, {quote(layout)})"
            out.append(
                Reading(
                    "layout",
                    kind,
                    day_shape + time_shape,
                    f"year({parsed}) > 0",
                    proof="" if order else proof,
                    value=f"CAST({parsed} AS {'TIMESTAMP' if time_layout else 'DATE'})::VARCHAR",
                    layout=layout,
                )
            )
    return out


def copied(reading: Reading, v: str, *, has_null_words: bool) -> str:
    """Return SQL of the text that PostgreSQL gets for a value that fits, NULL for blanks and null words."""
    value = reading.value.format(v=v)
    empty = f"{v} = '' OR {is_null_word(v, reading.null_words)}" if has_null_words else f"{v} = ''"
    return f"CASE WHEN {empty} THEN NULL ELSE {value} END"


def misfit(reading: Reading, v: str) -> str:
    """Return an SQL condition: this is a value, and it does not fit."""
    return f"({is_real(v, reading.null_words)} AND NOT {reading.condition(v)})"


def _numbers(rules: Rules, *, possible: bool, point: Reading, comma: Reading) -> list[Reading]:
    """Return the readings of numbers: `comma` needs no proof, and is the only one, where the order asks for it."""
    if rules.decimal_comma:
        return [replace(comma, proof="")]
    return [point, comma] if possible and rules.decimal_comma is None else [point]


def inferred(rules: Rules, *, comma_possible: bool) -> list[Reading]:
    """Return the readings that inference tries, the first that fits wins.

    Args:
        rules: what the order says.
        comma_possible: whether a comma can be a decimal mark in this file if the order says nothing.
    """
    numbers = _numbers(rules, possible=comma_possible, point=NUMERIC, comma=DECIMAL_COMMA)
    found = [*BOOLEANS, *numbers, DATE, TIMESTAMP, TIMESTAMP_UTC, *layouts(rules.date_order)]
    return [replace(reading, null_words=rules.null_words) for reading in found]


STRIPPED = Reading("text", Type.TEXT, "(?s:.*)", null_words=())
"""Text without blanks around it."""


_FULL_OFFSET = rf"({_UTC}|{_OFFSET})"
_MINUTES = (
    "(CASE WHEN regexp_matches({v}, '[T ].*-') THEN -1 ELSE 1 END * ("
    "60 * coalesce(try_cast(regexp_extract({v}, '[T ].*[+-]([0-9]{{2}})', 1) AS INTEGER), 0)"
    " + coalesce(try_cast(regexp_extract({v}, '[T ].*[+-][0-9]{{2}}:?([0-9]{{2}})$', 1) AS INTEGER), 0)))"
)
_LOCAL = (
    "(CAST(left({v}, 10) AS TIMESTAMP) + to_microseconds(CAST(1000000 * ("
    "3600 * CAST(substr({v}, 12, 2) AS INTEGER) + 60 * CAST(substr({v}, 15, 2) AS INTEGER)"
    " + coalesce(try_cast(regexp_extract({v}, '^.{{16}}:([0-9.]+)', 1) AS DECIMAL(9,6)), 0)) AS BIGINT)))"
)
_TRUE, _FALSE = ("true", "t", "yes", "y", "1", "on"), ("false", "f", "no", "n", "0", "off")
_IS_TRUE = "lower({v}) IN ('" + "', '".join(_TRUE) + "')"
_IS_BOOLEAN = "lower({v}) IN ('" + "', '".join(_TRUE + _FALSE) + "')"
# DuckDB's parser is laxer than PostgreSQL's: it lets trailing commas and NaN pass.
_STRICT_JSON = (
    "json_valid({v}) AND NOT regexp_matches("
    r"""regexp_replace({v}, '"(\\.|[^"\\])*"', '""', 'g'), ',\s*[\]}}]|(?i:nan|inf)')"""
)

PERSONS: dict[Type, tuple[Reading, ...]] = {
    Type.NUMERIC: (Reading("number", Type.NUMERIC, _ANY_NUMBER, f"strlen({{v}}) <= {NUMERIC_CHARS}"),),
    Type.BOOLEAN: (
        Reading(
            "words",
            Type.BOOLEAN,
            "[A-Za-z01]{1,5}",
            _IS_BOOLEAN,
            value=f"CASE WHEN {{v}} IS NULL THEN NULL WHEN {_IS_TRUE} THEN 'true' ELSE 'false' END",
        ),
    ),
    Type.DATE: (DATE,),
    Type.TIMESTAMP: (
        Reading("iso", Type.TIMESTAMP, f"{_ISO_DATE}({_ISO_TIME})?", _CALENDAR),
        TIMESTAMP_UTC,
        Reading(
            "iso_offset",
            Type.TIMESTAMP,
            _ISO_DATE + _ISO_TIME + _FULL_OFFSET,
            _CALENDAR,
            value=f"({_LOCAL} - to_minutes({_MINUTES}))::VARCHAR",
        ),
    ),
    Type.JSON: (Reading("json", Type.JSON, "(?s:.*)", _STRICT_JSON),),
}
"""What fits a type that a person chose: more than inference dares, never a guess."""


def chosen(kind: Type, rules: Rules, *, comma_possible: bool) -> list[Reading]:
    """Return the readings of a person's type; the one with the fewest misfits wins."""
    found = list(PERSONS[kind])
    if kind is Type.NUMERIC:
        comma = ANY_COMMA_NUMBER if rules.decimal_comma else DECIMAL_COMMA
        found = _numbers(rules, possible=comma_possible, point=found[0], comma=comma)
    found += [reading for reading in layouts(rules.date_order) if reading.type is kind]
    return [replace(reading, null_words=rules.null_words) for reading in found]

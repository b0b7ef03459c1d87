"""Why a column is text although it nearly was something else. The codes are listed in docs/formats.md."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from aircan.columns import values
from aircan.columns.rules import Rules
from aircan.columns.values import Reading

NEARLY = 0.5
"""Share of a column's values that must look like numbers (or dates) for the others to need an explanation."""

NUMBERLIKE: dict[str, str] = {
    "leading_zero": r"-?0[0-9]+([.,][0-9]+)?",
    "minus_zero": r"-0([.,]0+)?",
    "plus_sign": r"\+[0-9][0-9 ().,-]*",
    "bare_exponent": r"-?[0-9]+[eE][0-9]+",
    "trailing_point": r"-?[0-9]+[.,]",
    "leading_point": r"-?[.,][0-9]+",
    "thousands": r"-?[0-9]{1,3}([,.'][0-9]{3})+([.,][0-9]+)?",
    "decimal_comma": r"-?[0-9]+,[0-9]+",
    "underscore": r"-?[0-9]+(_[0-9]+)+",
    "inner_blank": r"-?[0-9]+([ \x{00a0}\x{202f}][0-9]+)+([.,][0-9]+)?",
    "unit": r"[^0-9A-Za-z\s.,+-]?\s?-?[0-9][0-9.,]*\s?[^0-9A-Za-z\s.,+-]?",
}
"""Kinds of text that look like numbers; the first that matches names the reason."""

NUMBERLIKE_WITH_COMMA = {"decimal_point": r"-?[0-9]+[.][0-9]+", **NUMBERLIKE}
"""The same where the order says that the comma is the decimal mark."""

_DAY = "[0-9]{4}-[0-9]{2}-[0-9]{2}"
_ISO = f"{_DAY}([T ]([01][0-9]|2[0-3]):[0-9]{{2}}(:[0-5][0-9]([.][0-9]{{1,6}})?)?(Z|[+-]00(:?00)?)?)?"
DATELIKE: dict[str, str] = {
    "clock": _DAY + "[T ](24:[0-9]{2}(:[0-9.]+)?|[0-9]{2}:[0-9]{2}:6[0-9.]+)(Z|[+-][0-9:]+)?",
    "year": "(0000|-[0-9]{4,6}|[+]?[0-9]{5,6})-[0-9]{2}-[0-9]{2}([T ].*)?",
    "fraction": _DAY + "[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{7,}(Z|[+-][0-9:]+)?",
    "offset": _DAY + r"[T ][0-9:.]+(Z|[+-][0-9]{2}:?[0-9]{0,2})",
    "two_digit_year": r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2}( .*)?",
    "mixed_dates": r"([0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{4}|[0-9]{4}[/.-][0-9]{1,2}[/.-][0-9]{1,2})([T ].*)?",
    "week_date": "[0-9]{4}-?W[0-9]{2}(-?[1-7])?",
    "year_month": "[0-9]{4}[-/.](0[1-9]|1[0-2])",
    "time_only": "([01]?[0-9]|2[0-4]):[0-5][0-9](:[0-6][0-9]([.,][0-9]+)?)?( ?(?i:am|pm))?",
}
"""Kinds of text that look like dates."""


@dataclass(frozen=True)
class Question:
    """What to ask of the whole column: how many values meet the condition, and which is the first.

    Attributes:
        index: number of the column, from 0; its trimmed text is v<index>.
        code: code of the reason that the answer completes.
        condition: SQL, "" when the answer is known.
        shape: regular expression of values that only a calendar, or the length, keeps from fitting.
        row: number of the row that answers, when it is known.
        value: its value.
    """

    index: int
    code: str
    condition: str = ""
    shape: str = ""
    row: int | None = None
    value: str | None = None


def doubt(
    index: int,
    readings: Sequence[Reading],
    misfits: Sequence[int],
    sample: Sequence[str | None],
    *,
    rules: Rules,
    only_null_words: bool,
) -> Question:
    """Return the question whose answer says why a column is text.

    Args:
        index: number of the column, from 0.
        readings: those that the sample did not rule out.
        misfits: theirs over the whole file.
        sample: the first values, blanks around them removed.
        rules: what the order says about values.
        only_null_words: whether the column has no other value.
    """
    v = f"v{index}"
    real = values.is_real(v, rules.null_words)
    seen = [value for value in sample if value and value not in rules.null_words]
    if only_null_words:
        return Question(index, "null_words_only", values.is_null_word(v, rules.null_words))
    if readings:
        return _nearly(index, v, real, readings, misfits)
    numbers = (values.COMMA, NUMBERLIKE_WITH_COMMA) if rules.decimal_comma else (values.PLAIN, NUMBERLIKE)
    for known, kinds in (numbers, (_ISO, DATELIKE)):
        pattern = "|".join(f"({p})" for p in (known, *kinds.values()))
        like = [value for value in seen if _full(pattern, value)]
        if len(like) >= NEARLY * len(seen):
            return _kind(index, v, real, known, kinds, seen)
    row, value = next((row, value) for row, value in enumerate(sample, 1) if value in seen)
    return Question(index, "words", row=row, value=value)


def _nearly(index: int, v: str, real: str, readings: Sequence[Reading], misfits: Sequence[int]) -> Question:
    """Every value of the sample fitted: the first misfit of the whole file, or the missing proof, is the reason."""
    fewest = min(range(len(readings)), key=lambda i: misfits[i])
    reading = readings[fewest]
    if not misfits[fewest]:
        code = "comma_unproven" if reading.name == values.DECIMAL_COMMA.name else "order_unproven"
        return Question(index, code, f"{real}")
    return Question(index, f"not_{reading.type.value}", f"{real} AND NOT {reading.condition(v)}", shape=reading.shape)


def _kind(index: int, v: str, real: str, known: str, kinds: dict[str, str], seen: Sequence[str]) -> Question:
    """Return the question for a sample of nearly numbers (or dates): the first kind of the others is the reason."""
    odd = [value for value in seen if not _full(known, value)]
    for code, pattern in kinds.items():
        if any(_full(pattern, value) for value in odd):
            return Question(index, code, f"{real} AND {values.matches(v, pattern)}")
    if odd:
        return Question(index, "words", f"{real} AND NOT {values.matches(v, known)}")
    if known != _ISO:
        return Question(index, "not_numeric", f"{real} AND NOT {values.NUMERIC.condition(v)}")
    shapes = (reading.shape for reading in (values.DATE, values.TIMESTAMP, values.TIMESTAMP_UTC))
    first = next((shape for shape in shapes if _full(shape, seen[0])), known)
    return Question(index, "mixed_dates", f"{real} AND NOT {values.matches(v, first)}")


def refine(question: Question, value: str | None) -> str:
    """Return a better code for a first misfit whose kind is known, else the question's own."""
    code = question.code
    if not code.startswith("not_") or value is None:
        return code
    if code == "not_numeric":
        plain = len(value) <= values.NUMERIC_CHARS and not value.startswith("-0") and _full(values.PLAIN, value)
        if plain and _full(NUMBERLIKE_WITH_COMMA["decimal_point"], value):
            return "decimal_point"
        return next((kind for kind, pattern in NUMBERLIKE.items() if _full(pattern, value)), code)
    if question.shape and _full(question.shape, value) and not value.startswith("0000"):
        return "calendar"
    return next((kind for kind, pattern in DATELIKE.items() if _full(pattern, value)), code)


def _full(pattern: str, value: str) -> bool:
    return _python(pattern).fullmatch(value) is not None


@functools.lru_cache(maxsize=256)
def _python(pattern: str) -> re.Pattern[str]:
    """Return DuckDB's regular expression as Python's."""
    return re.compile(re.sub(r"\\x\{([0-9a-f]+)\}", lambda m: chr(int(m.group(1), 16)), pattern), re.ASCII)

"""What an order says about values: null words, blanks, the decimal mark, the order of dates. Imports only `errors`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aircan.errors import OrderRefused

NULL_WORDS = ("NA", "N/A", "NULL", "null", "NaN", "-", ".")
"""Words that mean "no value" in a column whose other values are of one type that isn't text."""

DATE_ORDERS = ("dmy", "mdy", "ymd")

MOST_NULL_WORDS = 100


@dataclass(frozen=True)
class Rules:
    """How values are read.

    Attributes:
        null_words: words that become NULL in columns that aren't text; () for none.
        strip: whether blanks around text values are removed; a value of blanks alone becomes NULL then.
        decimal_comma: True: the comma is the decimal mark and the point is none; False: never; None: where
            the delimiter is not the comma and a value proves it.
        date_order: "dmy", "mdy" or "ymd" if dates like 1/2/2024 need not prove it, else "".
    """

    null_words: tuple[str, ...] = NULL_WORDS
    strip: bool = False
    decimal_comma: bool | None = None
    date_order: str = ""

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Rules:
        """Read the parameters of an order. Raises OrderRefused naming the wrong one; others are ignored."""
        order = params.get("date_order") or ""
        if order and order not in DATE_ORDERS:
            raise OrderRefused(field="params.date_order")
        return cls(_words(params), _switch(params, "strip") or False, _switch(params, "decimal_comma"), order)


def _switch(params: Mapping[str, Any], name: str) -> bool | None:
    given = params.get(name)
    if given is None or given == "":
        return None
    known = {"true": True, "false": False}.get(given.lower()) if isinstance(given, str) else given
    if not isinstance(known, bool):
        raise OrderRefused(field=f"params.{name}")
    return known


def _words(params: Mapping[str, Any]) -> tuple[str, ...]:
    given = params.get("null_words")
    if given is None:
        return NULL_WORDS
    if not isinstance(given, (list, tuple)) or len(given) > MOST_NULL_WORDS:
        raise OrderRefused(field="params.null_words")
    if not all(isinstance(word, str) and word.strip() and "\0" not in word for word in given):
        raise OrderRefused(field="params.null_words")
    return tuple(dict.fromkeys(word.strip() for word in given))

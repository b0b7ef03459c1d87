"""The parameters of a LOAD: their names, and what each may be. Imports only `contract` and `errors`.

Who takes an order looks here before the work begins, so that a wrong value is refused where it was
given. Formats and steps still read the parameters that are theirs, and say what each does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aircan.contract import Publish
from aircan.errors import N_

WRITES = ("replace", "append", "upsert", "delete")
"""What `write` may be."""

KEYED = ("upsert", "delete")
"""What needs a `key`."""

TYPE_CHANGES = ("adopt", "fail")
"""What `on_type_change` may be."""

DATE_ORDERS = ("dmy", "mdy", "ymd")
"""What `date_order` may be."""

MAX_HEADER_ROWS = 3
"""Most rows that a header may have."""


@dataclass(frozen=True)
class Param:
    """What a parameter may be.

    Attributes:
        must_be: the end of "The parameter x must be ...", marked for translation.
        good: whether a value may be used.
        lasting: whether it may be kept with a file, for its next runs; else it is the operator's, or for one run.
    """

    must_be: str
    good: Callable[[Any], bool]
    lasting: bool = True


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "\0" not in value


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _whole(least: int, most: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _one_of(words: tuple[str, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and value in words


def _delimiter(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    return value in ("tab", "\\t") or (len(value.encode()) == 1 and value not in ('"', "\r", "\n", "\0"))


def _encoding(value: Any) -> bool:
    try:
        return isinstance(value, str) and isinstance("".encode(value), bytes)
    except (LookupError, UnicodeError, ValueError):
        return False


def _sheet(value: Any) -> bool:
    return _text(value) or _whole(1, 10_000)(value)


def _words(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= 1000 and all(isinstance(word, str) and word for word in value)


def _names(value: Any) -> bool:
    return _words(value) and bool(value) and len(set(value)) == len(value)


_LINES = 1 << 30

MENU: dict[str, Param] = {
    "sheet": Param(N_("the name of a sheet, or its number from 1"), _sheet),
    "member": Param(N_("the name of a file inside the archive"), _text),
    "records": Param(N_("a path to the list of records, such as data.items"), _text),
    "delimiter": Param(N_("one character, or the word tab"), _delimiter),
    "encoding": Param(N_("the name of an encoding, such as utf-8 or windows-1252"), _encoding),
    "header_line": Param(N_("the number of a line, from 1"), _whole(1, _LINES)),
    "header_rows": Param(N_("a whole number from 0 to 3"), _whole(0, MAX_HEADER_ROWS)),
    "skip_lines": Param(N_("a whole number, 0 or more"), _whole(0, _LINES)),
    "skip_footer": Param(N_("a whole number, 0 or more"), _whole(0, _LINES)),
    "date_order": Param(N_("one of: dmy, mdy, ymd"), _one_of(DATE_ORDERS)),
    "decimal_comma": Param(N_("true or false"), _flag),
    "null_words": Param(N_("a list of words"), _words),
    "strip": Param(N_("true or false"), _flag),
    "write": Param(N_("one of: replace, append, upsert, delete"), _one_of(WRITES)),
    "key": Param(N_("a list of names of columns, each once"), _names),
    "on_type_change": Param(N_("one of: adopt, fail"), _one_of(TYPE_CHANGES)),
    "max_reject_share": Param(N_("a number from 0 to 1"), _share),
    "publish": Param("one of: " + ", ".join(p.value for p in Publish), _one_of(tuple(p.value for p in Publish))),
    "load_connections": Param(N_("a whole number from 1 to 16"), _whole(1, 16), lasting=False),
}
"""Parameter -> what it may be; in the order in which people are asked."""


def wrong(params: Mapping[str, Any]) -> dict[str, str]:
    """Return name -> `must_be` of the parameters whose value cannot be used; unknown names are not looked at."""
    return {name: MENU[name].must_be for name, value in params.items() if name in MENU and not MENU[name].good(value)}


def lacks_key(params: Mapping[str, Any]) -> bool:
    """Return whether rows are to be found by a key, and none is given."""
    return params.get("write") in KEYED and not params.get("key")


def unknown(params: Mapping[str, Any]) -> list[str]:
    """Return the names that may not be kept with a file: not known, or not lasting."""
    return [name for name in params if name not in MENU or not MENU[name].lasting]

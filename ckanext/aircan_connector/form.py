"""The form of a file's settings: what it asks, what was found last time, and its text turned into parameters.

What a parameter may be stands in `aircan.params`; here is how people are asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ckantoolkit as tk

from aircan import params
from aircan.contract import Publish
from aircan.errors import N_

from . import words

NO_WORD = "null_words_none"
"""Name of the box that says that no word stands for an empty cell."""


@dataclass(frozen=True)
class Ask:
    """One question of the form.

    Attributes:
        name: the parameter.
        label: the question.
        kind: text, whole, percent, flag, choice or lines (one value a line).
        help: a sentence below it.
        options: of a choice: value -> what it says.
    """

    name: str
    label: str
    kind: str = "text"
    help: str = ""
    options: Mapping[str, str] = field(default_factory=dict)


_FLAG = {"true": N_("yes"), "false": N_("no")}

_ORDERS = {"dmy": N_("day, month, year"), "mdy": N_("month, day, year"), "ymd": N_("year, month, day")}

_WRITES = {
    "replace": N_("the file is the whole table: replace all rows"),
    "append": N_("add the rows of the file to the table"),
    "upsert": N_("change the rows with the same key, add the others"),
    "delete": N_("delete the rows with the keys in the file"),
}

_TYPE_CHANGES = {"adopt": N_("the column takes the new type"), "fail": N_("the run fails and the table stays")}

_PUBLISHES = {
    "complete": N_("when all is ready, the index for searching included"),
    "searchable": N_("when rows and text search are ready; the index follows"),
    "rows": N_("as soon as the rows are there; text search follows"),
}

SECTIONS: tuple[tuple[str, tuple[Ask, ...]], ...] = (
    (
        N_("Where the table stands"),
        (
            Ask("sheet", N_("Sheet"), help=N_("Of a spreadsheet: the name of the sheet, or its number from 1.")),
            Ask("member", N_("File in the archive"), help=N_("Of a ZIP archive with several files: the name of one.")),
            Ask(
                "records",
                N_("Path to the records"),
                help=N_("Of JSON: where the list of records is, names with dots between them, such as data.items."),
            ),
            Ask(
                "skip_lines",
                N_("Lines to skip at the top"),
                "whole",
                N_("Lines, or rows of a sheet, that are not looked at."),
            ),
            Ask("header_line", N_("Line of the header"), "whole", N_("Counted from 1, skipped lines included.")),
            Ask(
                "header_rows",
                N_("Rows of the header"),
                "choice",
                N_("Names in several rows are joined. None: the columns are called column_1, column_2 and so on."),
                {"0": N_("none"), "1": "1", "2": "2", "3": "3"},
            ),
            Ask(
                "skip_footer",
                N_("Rows to leave out at the end"),
                "whole",
                N_("Totals, notes and the like below the table."),
            ),
        ),
    ),
    (
        N_("How it is written"),
        (
            Ask("delimiter", N_("Delimiter"), help=N_("The character between two cells, or the word tab.")),
            Ask("encoding", N_("Encoding"), help=N_("Such as utf-8, windows-1252 or shift_jis.")),
            Ask(
                "date_order",
                N_("Order in dates"),
                "choice",
                N_("Of dates such as 1/2/2024, which alone do not show which part is the day."),
                _ORDERS,
            ),
            Ask("decimal_comma", N_("Comma as decimal mark"), "flag", N_("Whether 1,5 is one and a half."), _FLAG),
            Ask(
                "null_words",
                N_("Words for an empty cell"),
                "lines",
                N_("One a line; they take the place of the usual ones (NA, N/A, NULL, -, ...)."),
            ),
            Ask("strip", N_("Remove blanks around texts"), "flag", options=_FLAG),
        ),
    ),
    (
        N_("What happens to the table"),
        (
            Ask("write", N_("The rows of the file"), "choice", options=_WRITES),
            Ask(
                "key",
                N_("Key"),
                "lines",
                N_("Names of the columns that together tell a row from all others, one a line."),
            ),
            Ask("on_type_change", N_("When a column has another type than before"), "choice", options=_TYPE_CHANGES),
            Ask(
                "max_reject_share",
                N_("Refused rows that fail a run, in per cent"),
                "percent",
                N_("A run with a larger share of refused rows fails, and the table stays as it was."),
            ),
            Ask("publish", N_("Show the new table"), "choice", options=_PUBLISHES),
        ),
    ),
)
"""Title of a section -> its questions."""

ASKS = {ask.name: ask for _, asks in SECTIONS for ask in asks}


_CHOICES = {"sheet": "sheets", "member": "members", "records": "lists", "key": "columns"}
"""Parameter -> the fact that lists what there is to choose from."""


def _whole(text: str) -> Any:
    return int(text) if text.isdecimal() else text


def _percent(text: str) -> Any:
    try:
        return round(float(text.replace(",", ".")) / 100, 6)
    except ValueError:
        return text


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_READ: dict[str, Callable[[str], Any]] = {
    "text": str,
    "whole": _whole,
    "percent": _percent,
    "flag": lambda text: {"true": True, "false": False}.get(text, text),
    "choice": str,
    "lines": _lines,
}


def read(form: Mapping[str, str], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that a form says; a question left open is no parameter. Values are not judged here.

    `found`: facts of the last run; a sheet whose name is a number is told from the number of a sheet by them.
    """
    given: dict[str, Any] = {}
    for ask in ASKS.values():
        text = form.get(ask.name) or ""
        text = text if ask.name == "delimiter" else text.strip()
        if text.strip() or (ask.name == "delimiter" and text):
            given[ask.name] = _READ[ask.kind](text)
    if "header_rows" in given:
        given["header_rows"] = _whole(given["header_rows"])
    if "sheet" in given and given["sheet"] not in (found.get("sheets") or ()):
        given["sheet"] = _whole(given["sheet"])
    if form.get(NO_WORD):
        given["null_words"] = []
    return given


def _written(ask: Ask, value: Any) -> str:
    """Return a parameter as it stands in the form."""
    if value is None:
        return ""
    if ask.kind == "flag":
        return str(value).lower()
    if ask.kind == "lines":
        return "\n".join(map(str, value))
    if ask.kind == "percent":
        return f"{value * 100:g}"
    return "tab" if ask.name == "delimiter" and value == "\t" else str(value)


def wrong(given: Mapping[str, Any]) -> dict[str, str]:
    """Return parameter -> sentence of those that cannot be used."""
    return {
        name: tk._("This must be {words}.").format(words=_must_be(name, words))
        for name, words in params.wrong(given).items()
    }


def _must_be(name: str, words: str) -> str:
    return tk._("a number from 0 to 100") if ASKS[name].kind == "percent" else tk._(words)


def sections(given: Mapping[str, Any], found: Mapping[str, Any], errors: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the form for the template, as [{"title", "asks": [...]}].

    An ask has name, label, kind, help, options, value, none, found (last time), choices (there are) and error.
    """
    return [
        {"title": tk._(title), "asks": [_shown(ask, given, found, errors) for ask in asks]} for title, asks in SECTIONS
    ]


def _shown(ask: Ask, given: Mapping[str, Any], found: Mapping[str, Any], errors: Mapping[str, str]) -> dict[str, Any]:
    known = {p.value for p in Publish}
    options = [(value, tk._(text)) for value, text in ask.options.items() if ask.name != "publish" or value in known]
    value = given.get(ask.name)
    wrong_text = isinstance(value, str) and ask.kind == "percent"
    return {
        "name": ask.name,
        "label": tk._(ask.label),
        "kind": ask.kind,
        "help": tk._(ask.help) if ask.help else "",
        "options": options,
        "value": value if wrong_text else _written(ask, value),
        "none": ask.name == "null_words" and value == [],
        "found": _found(ask, found),
        "choices": [str(name) for name in found.get(_CHOICES.get(ask.name, ""), ())],
        "error": errors.get(ask.name, ""),
    }


def _found(ask: Ask, found: Mapping[str, Any]) -> str:
    value = found.get(ask.name)
    if value is None or value == "":
        return ""
    if ask.name == "delimiter":
        return words.delimiter(str(value))
    if ask.kind in ("flag", "choice"):
        return tk._(ask.options.get(str(value).lower(), str(value)))
    return str(words.fact(value)) if ask.kind != "whole" else str(value)

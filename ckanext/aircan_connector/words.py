"""The sentences of the pages, by code: templates marked for translation, filled with facts.

Error sentences stand in `aircan.errors`; here are those of reasons, warnings, refused rows, tasks
and log lines. A library that is newer than this page may send a code that is not here: it is
shown as it is. Nothing here returns HTML; templates escape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import ckantoolkit as tk

from aircan import errors
from aircan.errors import N_

STATUSES: dict[str, str] = {
    "WAITING": N_("WAITING"),
    "RUNNING": N_("RUNNING"),
    "DONE": N_("DONE"),
    "FAILED": N_("FAILED"),
    "CANCELLED": N_("CANCELLED"),
}

TASKS: dict[str, str] = {
    "fetch": N_("Fetch the file"),
    "sniff": N_("Look at the file"),
    "infer": N_("Decide the types"),
    "convert": N_("Convert the rows"),
    "load": N_("Load the rows"),
    "publish": N_("Publish the table"),
    "index": N_("Build the index for searching"),
    "report": N_("Report the end"),
}

LEVELS: dict[str, str] = {"info": N_("note"), "warning": N_("warning"), "error": N_("error"), "debug": N_("detail")}

TYPES: dict[str, str] = {
    "text": N_("text"),
    "numeric": N_("number"),
    "timestamp": N_("date and time"),
    "date": N_("date"),
    "bool": N_("true or false"),
    "json": N_("nested values (JSON)"),
}

REASONS: dict[str, str] = {
    "number": N_("Every value is a number."),
    "decimal_comma": N_("Every value is a number; the comma is a decimal mark, as %(value)s in line %(line)s shows."),
    "true_or_false": N_("Every value is one of two words for true and false."),
    "iso": N_("Every value is written as in ISO 8601."),
    "iso_utc": N_("Every value is written as in ISO 8601, in UTC."),
    "iso_offset": N_("Every value is written as in ISO 8601; times with an offset were turned into UTC."),
    "layout": N_("One way of writing fits every value."),
    "layout_proven": N_("One way of writing fits every value; %(value)s in line %(line)s shows which part is the day."),
    "json": N_("Every value is JSON."),
    "person": N_("Chosen in the data dictionary."),
    "table": N_("The type that the column has in the table."),
    "blank": N_("Every cell is empty."),
    "null_words_only": N_("The only values are words for nothing, first %(value)s in line %(line)s."),
    "nested": N_("All values are lists or objects."),
    "words": N_("There are words, such as %(value)s in line %(line)s."),
    "leading_zero": N_("A number would lose the zeros at the start: %(value)s in line %(line)s (%(count)s in all)."),
    "minus_zero": N_("A number would lose the sign: %(value)s in line %(line)s (%(count)s in all)."),
    "plus_sign": N_("A number would lose the plus sign: %(value)s in line %(line)s (%(count)s in all)."),
    "bare_exponent": N_("It may be a code and no number: %(value)s in line %(line)s (%(count)s in all)."),
    "trailing_point": N_("A number would lose the mark at the end: %(value)s in line %(line)s (%(count)s in all)."),
    "leading_point": N_("A number would not begin with its mark: %(value)s in line %(line)s (%(count)s in all)."),
    "thousands": N_("There are thousands marks: %(value)s in line %(line)s (%(count)s in all)."),
    "decimal_mark": N_("There are decimal commas: %(value)s in line %(line)s (%(count)s in all)."),
    "comma_unproven": N_("Nothing shows whether the comma is a decimal mark: %(value)s in line %(line)s."),
    "underscore": N_("There are underscores: %(value)s in line %(line)s (%(count)s in all)."),
    "inner_blank": N_("There are blanks between the digits: %(value)s in line %(line)s (%(count)s in all)."),
    "unit": N_("There are units or signs beside the digits: %(value)s in line %(line)s (%(count)s in all)."),
    "not_numeric": N_("Not every value is a number: %(value)s in line %(line)s (%(count)s in all)."),
    "not_bool": N_("Not every value is true or false: %(value)s in line %(line)s (%(count)s in all)."),
    "not_date": N_("Not every value is a date: %(value)s in line %(line)s (%(count)s in all)."),
    "not_timestamp": N_("Not every value is a date and time: %(value)s in line %(line)s (%(count)s in all)."),
    "not_json": N_("Not every value is JSON: %(value)s in line %(line)s (%(count)s in all)."),
    "calendar": N_("There are days that are in no calendar: %(value)s in line %(line)s (%(count)s in all)."),
    "offset": N_("There are times with an offset: %(value)s in line %(line)s (%(count)s in all)."),
    "mixed_dates": N_("Dates are written in more than one way: %(value)s in line %(line)s (%(count)s in all)."),
    "two_digit_year": N_("Years have two digits: %(value)s in line %(line)s (%(count)s in all)."),
    "clock": N_("There are times that no clock shows: %(value)s in line %(line)s (%(count)s in all)."),
    "year": N_("There are years outside 0001 to 9999: %(value)s in line %(line)s (%(count)s in all)."),
    "fraction": N_("Seconds have more digits than are kept: %(value)s in line %(line)s (%(count)s in all)."),
    "week_date": N_("There are weeks instead of days: %(value)s in line %(line)s (%(count)s in all)."),
    "year_month": N_("There are months without a day: %(value)s in line %(line)s (%(count)s in all)."),
    "time_only": N_("There are times without a day: %(value)s in line %(line)s (%(count)s in all)."),
    "decimal_point": N_(
        "The comma is the decimal mark here, but there are points: %(value)s in line %(line)s (%(count)s in all)."
    ),
    "order_unproven": N_("Nothing shows which part is the day and which the month: %(value)s in line %(line)s."),
}
"""Why a column has its type, by the code in `Field.reason`; three codes depend on the column, see `reason`."""

WARNINGS: dict[str, str] = {
    "encoding_guessed": N_(
        "The file does not say its encoding; it was read as %(encoding)s. If letters look wrong, save it as UTF-8."
    ),
    "encoding_damaged": N_("Some characters are not valid %(encoding)s; their rows were refused."),
    "lines_above": N_("Lines above the header were left out (%(count)s in all), the first: %(first)s"),
    "lines_below": N_("Lines at the end were left out as asked (%(count)s in all), the first: %(first)s"),
    "totals_line": N_(
        "The last row may be a sum of the others: %(value)s in line %(line)s. It was loaded like any other row."
    ),
    "two_header_rows": N_("The header was found to have two rows, from line %(line)s; they were joined."),
    "other_sheets": N_(
        "Other sheets of the workbook hold data too and are not loaded (%(count)s in all), the first: %(first)s"
    ),
    "cell_errors": N_("Cells with an error such as #N/A are empty (%(count)s in all), the first in row %(line)s."),
    "formulas_unvalued": N_(
        "Formulas without a stored value are empty (%(count)s in all), the first in row %(line)s; "
        "save the workbook in a spreadsheet program once."
    ),
    "rows_hidden": N_("Hidden rows of the sheet are loaded (%(count)s in all), the first is row %(line)s."),
    "cells_merged": N_("Of merged cells only the first has the value (%(count)s in all), the first in row %(line)s."),
    "no_rows": N_("The file has a header and no rows."),
    "bare_words": N_("NaN and Infinity, which JSON does not know, were read as these words (records: %(count)s)."),
    "members_left_out": N_("Members of features that are no properties were left out: %(names)s."),
    "crs": N_("The geometries are not in longitude and latitude but in %(crs)s; they were kept as they are."),
    "format_mismatch": N_("The file was said to be %(declared)s, but it is %(found)s; it was read as what it is."),
    "type_changed": N_("The type of the column %(field)s was: %(old)s. Now it is: %(new)s."),
    "type_changed_line": N_(
        "The type of the column %(field)s was: %(old)s. Now it is: %(new)s. The reason: %(value)s in line %(line)s."
    ),
    "columns_added": N_("Columns that are new in the table: %(fields)s."),
    "columns_removed": N_("Columns that are no longer in the table, nor in its data dictionary: %(fields)s."),
    "column_renamed": N_(
        "Was the column %(old)s renamed to %(new)s? If so, copy what its data dictionary said: it did not come along."
    ),
    "columns_reordered": N_("The columns stand in another order than before."),
    "columns_left_empty": N_("Columns of the table that the file does not have are empty in the new rows: %(fields)s."),
    "columns_kept": N_(
        "Columns of the table that the file does not have kept their values, and are empty in new rows: %(fields)s."
    ),
    "columns_ignored": N_("Only the key counts when rows are deleted; these columns were ignored: %(fields)s."),
    "metadata_unsaved": N_(
        "The new rows are in the table, but the pages of the dataset could not be told of it. Do not run again: "
        "the rows would be added twice."
    ),
    "search_capped": N_(
        "Some rows are too long to be found by every word in them (%(rows)s in all): "
        "PostgreSQL limits what can be searched."
    ),
    "index_skipped": N_(
        "No index for searching was made for the column %(field)s, because a cell is too long; search works without it."
    ),
    "index_lost": N_("The index %(index)s that somebody had made could not be made again: %(reason)s."),
    "constraints_lost": N_("Constraints that somebody had made on the table are gone: %(names)s."),
    "renamed": N_("The column %(label)s is called %(field)s in the table."),
    "null_words": N_(
        "In the column %(field)s words for nothing became empty cells: %(value)s in line %(line)s (%(count)s in all)."
    ),
}
"""What was found and decided, by the code of a warning."""

REJECTS: dict[str, str] = {
    "cells": N_("%(cells)s cells, but the header has %(columns)s."),
    "value": N_("The value does not fit the type of the column: %(type)s."),
    "quote": N_("A quote is opened and not closed, or other text follows where it is closed."),
    "nul": N_("There is a NUL character."),
    "encoding": N_("Some characters are not valid in the encoding of the file."),
    "size": N_("The row is longer than %(limit_bytes)s bytes."),
    "key_again": N_("The key %(value)s is in line %(first_line)s already."),
    "key_missing": N_("The key is empty."),
    "json": N_("The record is not valid JSON: %(reason)s."),
    "shape": N_("The record is %(found)s, unlike the first: %(wanted)s."),
    "key_twice": N_("The key %(key)s is in the record twice."),
    "depth": N_("The record is %(levels)s levels deep; at most %(limit)s are read."),
}
"""Why a row was refused, by the code of a `Reject`."""

MESSAGES: tuple[str, ...] = (
    N_("Submitted."),
    N_("Cancelled."),
    N_("The resource was deleted."),
    N_("Superseded by run %(id)s, which was submitted later."),
    N_("Handed over to the factory %(factory)s."),
    N_("The queue does not answer; the run is taken up later."),
    N_("A report was too late: %(report)s"),
    N_("A report was refused, another run of this file is RUNNING: %(report)s"),
    N_("Fetched %(name)s, %(bytes)s bytes."),
    N_("%(rows)s rows, %(rejected)s rejected, %(columns)s columns; %(facts)s."),
    N_("%(rows)s rows in %(parts)s parts."),
    N_("The table holds %(rows)s rows."),
    N_("%(added)s rows added, %(changed)s changed, %(deleted)s deleted; the table holds %(rows)s rows."),
    N_("Done: %(rows)s rows."),
    N_("Try %(tries)s of the task %(task)s: %(state)s."),
)
"""Log lines that are kept in English with a job, as templates that find their facts again."""

FACTS: tuple[str, ...] = (
    N_("%(cells)s cells instead of %(columns)s"),
    N_("a quote is not closed, or is followed by other text"),
    N_("a NUL character"),
    N_("bytes that are not valid UTF-8"),
    N_("longer than %(limit_bytes)s bytes"),
    N_("%(value)s in column %(field)s is not of type %(type)s"),
    N_("the line is longer than %(limit_bytes)s bytes"),
    N_("the key %(value)s is in line %(first_line)s and again in line %(line)s"),
    N_("the key is empty in line %(line)s"),
    N_("the table holds %(value)s %(times)s times"),
    N_("%(field)s from %(old)s to %(new)s because of %(value)s in line %(line)s"),
    N_("%(field)s from %(old)s to %(new)s"),
    N_("the file has no such column"),
    N_("the table has no such column"),
    N_("its values are nested"),
    N_("the header is no record, often a quote is not closed"),
    N_("not valid JSON: %(reason)s"),
    N_("%(found)s instead of %(wanted)s"),
    N_("the key %(key)s is there twice"),
    N_("%(levels)s levels deep; %(limit)s are read"),
    N_("the file ends inside the value that starts here"),
)
"""Pieces of English that the library puts into an error's facts `first` and `reason`."""


def fact(value: Any) -> Any:
    """Return a fact as people read it: whole numbers in the manner of the reader's language."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return tk.h.localised_number(value)
    if isinstance(value, (list, tuple)):
        return ", ".join(str(fact(item)) for item in value)
    return value


def fill(template: str, facts: Mapping[str, Any]) -> str:
    """Translate a template and put facts into it; a fact that is missing shows as "?"."""
    if not template:
        return ""
    shown = {name: fact(value) for name, value in facts.items()}
    for name in ("first", "reason"):
        if isinstance(shown.get(name), str):
            shown[name] = _found_again(_FACTS, shown[name])
    return errors.fill(tk._(template), shown)


DELIMITERS: dict[str, str] = {
    ",": N_("comma (,)"),
    ";": N_("semicolon (;)"),
    "\t": N_("tab"),
    "|": N_("vertical bar (|)"),
    " ": N_("blank"),
}


def delimiter(character: str) -> str:
    """Return a delimiter as people call it."""
    return tk._(DELIMITERS[character]) if character in DELIMITERS else character


_TYPES_BY_CODE = {"type_changed": ("old", "new")}
"""Code -> its facts, besides "type", that are types."""


def by_code(menu: Mapping[str, str], said: Mapping[str, Any]) -> str:
    """Return the sentence for {"code", facts}; the facts may be beside the code or under "facts"."""
    code = str(said.get("code") or "")
    facts = {**said, **(said.get("facts") or {})}
    for name in ("type", *_TYPES_BY_CODE.get(code, ())):
        if name in facts:
            facts[name] = tk._(TYPES.get(str(facts[name]), str(facts[name])))
    if facts.get("line") and f"{code}_line" in menu:
        code += "_line"
    return fill(menu[code], facts) if code in menu else _bare(code, said)


def _bare(code: str, said: Mapping[str, Any]) -> str:
    """Return what can be read of a code that is not known here: its words, and its facts by their names."""
    facts = {**said, **(said.get("facts") or {})}
    shown = [f"{name} {fact(value)}" for name, value in facts.items() if name not in ("code", "facts", "text")]
    return ": ".join(part for part in (code.replace("_", " "), ", ".join(shown)) if part)


def reason(field: Mapping[str, Any]) -> str:
    """Return why a column has its type."""
    why = dict(field.get("reason") or {})
    code = why.get("code")
    if code == "words" and field.get("type") == "bool":
        why["code"] = "true_or_false"
    elif code == "layout" and "value" in why:
        why["code"] = "layout_proven"
    elif code == "decimal_comma" and field.get("type") == "text":
        why["code"] = "decimal_mark"
    return by_code(REASONS, why)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", template)
    texts = [re.escape(part) if n % 2 == 0 else f"(?P<{part}>.*)" for n, part in enumerate(parts)]
    return re.compile("".join(texts), re.DOTALL)


_MESSAGES = [(template, _pattern(template)) for template in MESSAGES]
_FACTS = [(template, _pattern(template)) for template in FACTS]


def _found_again(patterns: list[tuple[str, re.Pattern[str]]], text: str) -> str:
    for template, pattern in patterns:
        if found := pattern.fullmatch(text):
            facts = {name: fact(int(v)) if v.isdecimal() else v for name, v in found.groupdict().items()}
            return errors.fill(tk._(template), facts)
    return text


def message(text: str) -> str:
    """Return a log line in the reader's language, or as it is when it is not one of ours."""
    return _found_again(_MESSAGES, text)


SETTABLE = {
    "archive_ambiguous", "columns_differ", "encoding_unknown", "header_missing", "key_not_unique", "key_unusable",
    "not_tabular", "order_refused", "records_missing", "rows_refused", "sheet_missing", "table_missing",
    "too_many_columns", "types_changed", "value_refused", "workbook_empty",
}  # fmt: skip
"""Codes of errors that another setting of the file may help against."""


def error(told: Mapping[str, Any]) -> dict[str, str]:
    """Return {"sentence", "advice"} for `AircanError.to_dict()`; an unknown code keeps its own message."""
    leaf = errors.leaves().get(str(told.get("code") or ""))
    if leaf is None or leaf is errors.AircanError:
        return {"sentence": str(told.get("message") or tk._(errors.AircanError.sentence)), "advice": ""}
    facts = {"line": told.get("line"), "field": told.get("field"), **(told.get("facts") or {})}
    facts = {name: value for name, value in facts.items() if value is not None}
    return {"sentence": fill(leaf.sentence, facts), "advice": fill(leaf.advice, facts)}

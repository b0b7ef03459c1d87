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

REASONS: dict[str, str] = {}
"""Why a column has its type, by the code in `Field.reason`."""

WARNINGS: dict[str, str] = {}
"""What was found and decided, by the code of a warning."""

REJECTS: dict[str, str] = {
    "cells": N_("%(cells)s cells, but the header has %(columns)s."),
    "value": N_("The value does not fit the type of the column."),
    "quote": N_("A quote is opened and not closed."),
    "encoding": N_("Characters that are not valid in the encoding of the file."),
    "size": N_("The row is too long."),
}
"""Why a row was refused, by the code of a `Reject`."""

MESSAGES: tuple[str, ...] = (
    N_("Submitted."),
    N_("Cancelled."),
    N_("Superseded by run %(id)s, which was submitted later."),
    N_("Handed over to the factory %(factory)s."),
    N_("The queue does not answer; the run is taken up later."),
    N_("A report was too late: %(report)s"),
    N_("A report was refused, another run of this file is RUNNING: %(report)s"),
)
"""Log lines that are kept in English with a job, as templates that find their facts again."""


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
    return errors.fill(tk._(template), {name: fact(value) for name, value in facts.items()})


def by_code(menu: Mapping[str, str], said: Mapping[str, Any]) -> str:
    """Return the sentence for {"code", facts}; the facts may be beside the code or under "facts"."""
    code = str(said.get("code") or "")
    facts = {**said, **(said.get("facts") or {})}
    return fill(menu[code], facts) if code in menu else code


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", template)
    texts = [re.escape(part) if n % 2 == 0 else f"(?P<{part}>.*)" for n, part in enumerate(parts)]
    return re.compile("".join(texts), re.DOTALL)


_PATTERNS = [(template, _pattern(template)) for template in MESSAGES]


def message(text: str) -> str:
    """Return a log line in the reader's language, or as it is when it is not one of ours."""
    for template, pattern in _PATTERNS:
        if found := pattern.fullmatch(text):
            return errors.fill(tk._(template), found.groupdict())
    return text


def error(told: Mapping[str, Any]) -> dict[str, str]:
    """Return {"sentence", "advice"} for `AircanError.to_dict()`; an unknown code keeps its own message."""
    leaf = errors.leaves().get(str(told.get("code") or ""))
    if leaf is None or leaf is errors.AircanError:
        return {"sentence": str(told.get("message") or tk._(errors.AircanError.sentence)), "advice": ""}
    facts = {"line": told.get("line"), "field": told.get("field"), **(told.get("facts") or {})}
    facts = {name: value for name, value in facts.items() if value is not None}
    return {"sentence": fill(leaf.sentence, facts), "advice": fill(leaf.advice, facts)}

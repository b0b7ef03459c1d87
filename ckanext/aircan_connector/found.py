"""What was found in a file and why, as lines for the page of a run.

Facts come from the library under names of its own; one that is not known here is shown under its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ckantoolkit as tk

from aircan.errors import N_

from . import form, words

LABELS: dict[str, str] = {
    "format": N_("Format"),
    "member": N_("File in the archive"),
    "sheet": N_("Sheet"),
    "records": N_("Path to the records"),
    "layout": N_("Records"),
    "encoding": N_("Encoding"),
    "delimiter": N_("Delimiter"),
    "skip_lines": N_("Lines skipped at the top"),
    "header_line": N_("Line of the header"),
    "header_rows": N_("Rows of the header"),
    "blank_records": N_("Blank lines left out"),
    "skip_footer": N_("Rows left out at the end"),
    "blanks_around_quotes": N_("Blanks around quotes"),
    "footer_lines": N_("Lines left out at the end"),
    "crs": N_("Coordinate system"),
}
"""Fact -> what stands before it; in this order, others follow."""

FORMATS: dict[str, str] = {
    "csv": N_("delimited text (CSV)"),
    "tsv": N_("tab-separated text (TSV)"),
    "xlsx": N_("Excel workbook (XLSX)"),
    "xlsm": N_("Excel workbook with macros (XLSM)"),
    "xlsb": N_("binary Excel workbook (XLSB)"),
    "xls": N_("old Excel workbook (XLS)"),
    "ods": N_("OpenDocument spreadsheet (ODS)"),
    "json": "JSON",
    "ndjson": N_("lines of JSON (NDJSON)"),
    "geojson": "GeoJSON",
    "parquet": "Parquet",
}

LAYOUTS: dict[str, str] = {
    "objects": N_("objects, a record each"),
    "arrays": N_("lists, a record each; the first holds the names"),
    "features": N_("features of GeoJSON"),
    "columns": N_("a list of values for each column"),
}

EVIDENCE: dict[tuple[str, str], str] = {
    ("encoding", "mark"): N_("The mark at the beginning of the file says so."),
    ("encoding", "valid"): N_("The whole file is valid UTF-8."),
    ("encoding", "zeros"): N_("Every second byte is zero."),
    ("encoding", "letters"): N_("It is not valid UTF-8, and its letters make sense in this encoding."),
    ("encoding", "fallback"): N_("It is not valid UTF-8; this is what such files mostly are."),
    ("delimiter", "cells"): N_("With it most lines have as many cells as the header."),
    ("delimiter", "sep_line"): N_("The first line of the file says so."),
    ("header_line", "first_line"): N_("It is the first line."),
    ("header_line", "below_titles"): N_("The lines above have far fewer cells than the table."),
    ("sheet", "only"): N_("There is no other."),
    ("sheet", "first"): N_("It is the first visible sheet with data."),
}
"""Why, by a fact and what the library says about it."""

_EVIDENCE_IN = {"header_line": "header_evidence"}
"""Where the library says why, if not in `<fact>_evidence`."""

_NOT_FOUND = {
    "rows", "rejected", "fields", "bytes", "seconds", "sha256", "file", "warnings", "rejects", "written", "outputs",
    "delimiter_share",
}  # fmt: skip
"""Parts of a result that are no facts about the file, or are told with another one."""

_SHOWN: dict[str, Callable[[Any], str]] = {
    "format": lambda value: tk._(FORMATS.get(str(value), str(value))),
    "layout": lambda value: tk._(LAYOUTS.get(str(value), str(value))),
    "delimiter": lambda value: words.delimiter(str(value)),
    "records": lambda value: str(value) or tk._("the whole file"),
}

_ABSENT: tuple[Any, ...] = ("", None, [], {})


def lines(info: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return [{"label", "value", "why"}] of a run's `info`: what was found, and what was set for it."""
    result, params = info.get("result") or {}, info.get("params") or {}
    given = info.get("given") or {}
    facts = {name: value for name, value in result.items() if _is_fact(name, value)}
    asked = {name: value for name, value in params.items() if name not in facts}
    order = [*LABELS, *(name for name in (*facts, *asked) if name not in LABELS)]
    return [
        {
            "label": _label(name),
            "value": _value(name, facts[name] if name in facts else asked[name]),
            "why": _why(name, result, params, given),
        }
        for name in order
        if name in facts or name in asked
    ]


def _is_fact(name: str, value: Any) -> bool:
    if name in _NOT_FOUND or name.endswith("_evidence") or isinstance(value, (dict, list)):
        return False
    if name == "blank_records":
        return bool(value)
    return value not in _ABSENT or name == "records"


def _label(name: str) -> str:
    if name in LABELS:
        return tk._(LABELS[name])
    return tk._(form.ASKS[name].label) if name in form.ASKS else name.replace("_", " ")


def _value(name: str, value: Any) -> str:
    if name in _SHOWN:
        return _SHOWN[name](value)
    if isinstance(value, bool):
        return tk._("yes") if value else tk._("no")
    if name == "max_reject_share":
        return f"{value * 100:g} %"
    if name in form.ASKS and (options := form.ASKS[name].options):
        return tk._(options.get(str(value), str(value)))
    return str(words.fact(value)) if value not in _ABSENT else tk._("none")


def _why(name: str, result: Mapping[str, Any], params: Mapping[str, Any], given: Mapping[str, Any]) -> str:
    said = []
    if name in given:
        said.append(tk._("It was said when the run was started."))
    elif name in params:
        said.append(tk._("It is set for this file."))
    else:
        evidence = EVIDENCE.get((name, str(result.get(_EVIDENCE_IN.get(name, f"{name}_evidence")) or "")))
        said.append(tk._(evidence) if evidence else "")
    if name in ("sheet", "member"):
        others = [str(other) for other in result.get(f"{name}s") or () if other != result.get(name)]
        if others:
            said.append(tk._("There are also: {names}.").format(names=", ".join(others[:20])))
    return " ".join(part for part in said if part)

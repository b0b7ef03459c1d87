"""What others say that a file is: the declared format, the ending of its name. Imports nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Collection

FAMILIES = (
    "csv tsv tab psv txt text plain dsv tab-separated-values comma-separated-values x-csv",
    "xlsx xlsm xlsb xls excel vnd.ms-excel vnd.openxmlformats-officedocument.spreadsheetml.sheet "
    "vnd.ms-excel.sheet.binary.macroenabled.12 vnd.ms-excel.sheet.macroenabled.12",
    "ods vnd.oasis.opendocument.spreadsheet",
    "json ndjson jsonl jsonlines x-ndjson json-seq",
    "geojson geojsonl geojsonseq vnd.geo+json geo+json geo+json-seq",
    "parquet vnd.apache.parquet",
    "zip x-zip-compressed x-zip",
    "gz gzip x-gzip",
    "bz2 x-bzip2 bzip2",
    "xz x-xz",
    "html htm xhtml+xml",
    "pdf",
    "xml",
    "docx doc",
    "kml kmz gml shp wms wfs",
)
"""Words that mean the same; the first names the family."""

ARCHIVES = frozenset({"zip", "gz", "gzip", "bz2", "bzip2", "xz"})
"""Declared formats that say how a file is packed and not what is in it."""

_FAMILY = {word: words.split()[0] for words in FAMILIES for word in words.split()}
_WIDER = {"geojson": "json"}
"""A file of the first is one of the second too."""


def families(declared: str) -> set[str]:
    """Return the families that a declared format or the ending of a name speaks of; none when it says nothing known.

    Example: "application/geo+json; charset=utf-8" -> {"geojson"}, ".csv.gz" -> {"csv", "gz"}.
    """
    text = declared.strip().lower().partition(";")[0].lstrip(".")
    whole = text.rpartition("/")[2]
    if whole in _FAMILY:
        return {_FAMILY[whole]}
    if whole.endswith("+json"):
        return {"json"}
    return {_FAMILY[word] for word in re.split(r"[^a-z0-9]+", text) if word in _FAMILY}


def ending(name: str) -> str:
    """Return the ending of a file's name, with the one before that of a compression: ".csv.gz"."""
    match = re.search(r"(\.[A-Za-z0-9]{1,9})?\.[A-Za-z0-9]{1,9}$", name)
    if not match:
        return ""
    last = "." + match[0].rpartition(".")[2]
    return match[0] if last.lower() in (".gz", ".bz2", ".xz", ".zip") and families(match[1] or "") else last


def differs(declared: str, found: Collection[str]) -> bool:
    """Return whether what is declared is surely something else.

    Args:
        declared: a format or an ending, in any spelling.
        found: what the file is: its format, and the archives that it came out of.
    """
    said = families(declared)
    real = {_FAMILY.get(word, word) for word in found}
    return bool(said) and not said & (real | {_WIDER[word] for word in real if word in _WIDER})

"""Column ids by the rules of CKAN's DataStore and PostgreSQL. Imports only `contract`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aircan.contract import Field

MAX_BYTES = 63
"""Longest identifier that PostgreSQL keeps: NAMEDATALEN - 1."""

MAX_COLUMNS = 1598
"""PostgreSQL takes 1600 columns; `_id` and `_full_text` need two."""

_CONTROL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff]+")


def clean(label: str) -> str:
    """Return the text of a header cell as an id, "" if nothing is left.

    Runs of blanks and control characters become one blank, double quotes and leading "_" go, and at
    most 63 UTF-8 bytes stay, cut between characters.
    """
    text = _CONTROL.sub(" ", label.replace('"', "")).strip().lstrip("_ ")
    return _cut(text, MAX_BYTES)


def _cut(text: str, size_bytes: int) -> str:
    return text.encode()[:size_bytes].decode(errors="ignore").strip()


def fields(labels: Sequence[str]) -> list[Field]:
    """Return a field for each header cell, with distinct ids; types are not decided yet.

    The first column that wants an id gets it; later ones get _2, _3, ... A name that
    leaves nothing becomes column_N, N counting from 1.
    """
    wanted = [clean(label) or f"column_{number}" for number, label in enumerate(labels, 1)]
    reserved, taken, out = set(wanted), set[str](), []
    for label, name in zip(labels, wanted, strict=True):
        column = name if name not in taken else _next(name, reserved | taken)
        taken.add(column)
        out.append(Field(id=column, label=label))
    return out


def _next(name: str, taken: set[str]) -> str:
    number = 2
    while True:
        suffix = f"_{number}"
        candidate = _cut(name, MAX_BYTES - len(suffix)) + suffix
        if candidate not in taken:
            return candidate
        number += 1


def warnings(columns: Sequence[Field]) -> list[Mapping[str, str]]:
    """Return a warning for each column whose id is not its header's text."""
    return [{"code": "renamed", "field": f.id, "label": f.label} for f in columns if f.renamed]

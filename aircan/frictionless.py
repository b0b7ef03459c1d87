"""The words of Frictionless Data that an order is written in: names of types, slugs. Imports only `errors`.

Table Schema 1 and Data Resource 1 (specs.frictionlessdata.io), whose JSON Schemas want a `name` of lower-case letters,
digits, ".", "_" and "-".
"""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit, urlunsplit

TYPES = {
    "text": "string",
    "numeric": "number",
    "timestamp": "datetime",
    "date": "date",
    "bool": "boolean",
    "json": "object",
}
"""Type of a column here -> its name in Table Schema."""

READ = {
    **{ours: ours for ours in TYPES},
    **{theirs: ours for ours, theirs in TYPES.items()},
    "integer": "numeric",
    "year": "numeric",
    "array": "json",
    "geojson": "json",
    "time": "text",
    "duration": "text",
    "yearmonth": "text",
    "geopoint": "text",
}
"""Name of a type in an order, ours (version 1) or Table Schema's -> type of a column here. "any" decides nothing."""


def slug(text: str, otherwise: str = "resource") -> str:
    """Return the name of a descriptor for a title: "Größe (m).csv" becomes "grosse-m.csv".

    Args:
        text: a title or a file name.
        otherwise: what to make it of when nothing is left of the text, as of one in Chinese.
    """
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    found = re.sub(r"[^a-z0-9._]+", "-", plain)
    found = re.sub(r"-*\.-*", ".", found).strip("-._")[:100]
    return found or (slug(otherwise) if text != otherwise else "resource")


def without_login(url: str) -> str:
    """Return an address without the user name and password that may stand in it; other text as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.rpartition("@")[2]
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

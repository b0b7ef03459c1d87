"""Frictionless descriptors of what the tasks leave in the store. Imports `contract`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aircan.contract import Dataset, Field, Order, Type

RESOURCE, DATASET = "resource.json", "dataset.json"
"""Names of the files: a Data Resource, and a Data Package."""

OURS = "aircan"
"""Property of a descriptor that holds what the standard has no word for."""

TYPES: dict[Type, str] = {
    Type.TEXT: "string",
    Type.NUMERIC: "number",
    Type.TIMESTAMP: "datetime",
    Type.DATE: "date",
    Type.BOOLEAN: "boolean",
    Type.JSON: "any",
}
"""Our types -> those of Table Schema."""


def file(
    order: Order, path: str, *, name: str, size_bytes: int, sha256: str, ours: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the Data Resource of the fetched file: its bytes as they came, whatever they are."""
    return {
        "name": "data",
        "title": order.resource.name or name,
        "path": path,
        **({"format": order.resource.format.lower()} if order.resource.format else {}),
        **({"mediatype": order.resource.mediatype} if order.resource.mediatype else {}),
        "bytes": size_bytes,
        "hash": f"sha256:{sha256}",
        OURS: dict(ours),
    }


def table(
    order: Order, paths: Sequence[str], fields: Sequence[Field], *, size_bytes: int, ours: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the Data Package of the rows of a table, in several files of COPY text that belong together."""
    columns = [{"name": "_id", "type": "integer"}]
    columns += [
        {"name": field.id, "type": TYPES[field.type], **({"title": field.label} if field.renamed else {})}
        for field in fields
    ]
    rows = {
        "name": "rows",
        "path": list(paths),
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "compression": "gz",
        "bytes": size_bytes,
        "dialect": {"header": False, "delimiter": ",", "lineTerminator": "\n", "doubleQuote": True},
        "schema": {"fields": columns, "missingValues": [""]},
    }
    return {**package(order.dataset), "resources": [rows] if paths else [], OURS: dict(ours)}


def package(dataset: Dataset) -> dict[str, Any]:
    """Return the beginning of a Data Package: which dataset it is of."""
    return {"name": dataset.name or dataset.id or "dataset", "id": dataset.id, "title": dataset.title}

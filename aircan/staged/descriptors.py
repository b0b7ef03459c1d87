"""Frictionless descriptors of what the tasks leave in the store. Imports `contract` and `frictionless`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aircan import frictionless
from aircan.contract import Dataset, Field, Order, Type

RESOURCE, DATASET = "resource.json", "dataset.json"
"""Names of the files: a Data Resource, and a Data Package."""

OURS = "aircan"
"""Property of a descriptor that holds what the standard has no word for."""

TYPES: dict[Type, str] = {**{Type(ours): theirs for ours, theirs in frictionless.TYPES.items()}, Type.JSON: "any"}
"""Our types -> those of Table Schema; a column of JSON may hold lists as well as objects."""


def file(order: Order, path: str, *, name: str, size_bytes: int, sha256: str) -> dict[str, Any]:
    """Return the Data Resource of the fetched file: its bytes as they came, whatever they are."""
    return {
        "name": "data",
        "title": order.resource.title or name,
        "path": path,
        **({"format": order.resource.format.lower()} if order.resource.format else {}),
        **({"mediatype": order.resource.mediatype} if order.resource.mediatype else {}),
        "bytes": size_bytes,
        "hash": f"sha256:{sha256}",
    }


def rows(paths: Sequence[str], fields: Sequence[Field], *, size_bytes: int) -> dict[str, Any]:
    """Return the Data Resource of the rows of a table, in several files of COPY text that belong together.

    `size_bytes` is the size of the text, not of its packed files. Of no rows there is the header only.
    """
    columns = [{"name": "_id", "type": "integer"}]
    columns += [
        {"name": field.id, "type": TYPES[field.type], **({"title": field.label} if field.label else {})}
        for field in fields
    ]
    files = {
        "path": list(paths),
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "compression": "gz",
        "bytes": size_bytes,
        "dialect": {"header": False, "delimiter": ",", "lineTerminator": "\n", "doubleQuote": True},
    }
    schema = {"fields": columns, "missingValues": [""]}
    nothing = {"data": [[column["name"] for column in columns]]}
    return {"name": "rows", **(files if paths else nothing), "schema": schema}


def table(order: Order, rows: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Data Resource of the published table, as CKAN gives it out; `rows`: what it was made of."""
    address = f"{order.site_url.rstrip('/')}/datastore/dump/{order.resource.id}"
    return {"name": "table", "path": address, "format": "csv", "encoding": "utf-8", "schema": rows["schema"]}


def package(dataset: Dataset, resource: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Data Package of a task: which dataset it is about, what it leaves, and what is only ours."""
    named = {"id": dataset.id} if dataset.id else {}
    return {
        "name": dataset.name or dataset.id or "dataset",
        **named,
        "title": dataset.title,
        "resources": [dict(resource)],
        OURS: dict(ours),
    }

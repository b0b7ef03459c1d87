"""The columns of a live table, and what people said about them. CKAN keeps its data dictionary in their comments."""

from __future__ import annotations

import json
from typing import Any

from aircan.contract import Field, Type

from .. import config
from .connect import transaction

_TYPES = {
    **{kind.value: kind for kind in Type},
    "boolean": Type.BOOLEAN,
    "nested": Type.JSON,
}

_READ = """
SELECT a.attname, d.description
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = a.attnum
WHERE n.nspname = 'public' AND c.relname = %s AND c.relkind = 'r'
ORDER BY a.attnum
"""


_COLUMNS = """
SELECT a.attname, t.typname, format_type(a.atttypid, a.atttypmod)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = 'public' AND c.relname = %s AND c.relkind = 'r' AND a.attgenerated = ''
ORDER BY a.attnum
"""

_NEAREST = {
    **{kind.value: kind for kind in (Type.TEXT, Type.NUMERIC, Type.TIMESTAMP, Type.DATE, Type.BOOLEAN)},
    "nested": Type.JSON,
    **dict.fromkeys(("int2", "int4", "int8", "float4", "float8"), Type.NUMERIC),
    "timestamptz": Type.TIMESTAMP,
}
"""PostgreSQL's name of a type -> the type of ours that its values have; the rest is text."""

_OURS = {"text", "numeric", "timestamp", "date", "bool", "nested"}


def exact_types(cursor: Any, resource_id: str) -> dict[str, str] | None:
    """Return name -> exact type of the columns of a table but `_id` and the like, in order; None without a table."""
    found = _read_columns(cursor, resource_id)
    return {name: exact for name, _kind, exact in found if not name.startswith("_")} if found else None


def columns(cursor: Any, resource_id: str) -> list[Field] | None:
    """Return the columns of a table as fields, see `aircan.ports.Sink.columns`; None without a table."""
    found = _read_columns(cursor, resource_id)
    if not found:
        return None
    fields = []
    for name, kind, exact in found:
        other = {} if kind in _OURS else {"type": exact}
        if not name.startswith("_"):
            fields.append(Field(name, name, _NEAREST.get(kind, Type.TEXT), {"code": "table", **other}))
    return fields


def _read_columns(cursor: Any, resource_id: str) -> list[tuple[str, str, str]]:
    cursor.execute(_COLUMNS, (resource_id,))
    return list(cursor.fetchall())


def info(comment: str) -> dict[str, Any]:
    """Return a column's info out of its comment, in either form; {} when it holds none.

    2.11 and later: a blank, then {"_info": {...}, other plugins' keys}. 2.10: the info itself.
    """
    try:
        data = json.loads(comment)
    except ValueError:
        return {}
    if isinstance(data, dict) and not comment.startswith("{"):
        data = data.get("_info")
    return data if isinstance(data, dict) else {}


def type_overrides(resource_id: str) -> dict[str, Type]:
    """Return column -> the type that a person chose in the data dictionary; unknown words are left out.

    {} when there is no table or no DataStore. Raises DatastoreUnavailable.
    """
    if not config.datastore_write_url():
        return {}
    with transaction() as cursor:
        cursor.execute(_READ, (resource_id,))
        rows = cursor.fetchall()
    chosen = {column: str(info(comment).get("type_override") or "").lower() for column, comment in rows}
    return {column: _TYPES[word] for column, word in chosen.items() if word in _TYPES}

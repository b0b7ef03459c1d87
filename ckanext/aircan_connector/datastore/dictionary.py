"""The data dictionary: what people said about columns. CKAN keeps it in the comments of the columns."""

from __future__ import annotations

import json
from typing import Any

from aircan.contract import Type

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

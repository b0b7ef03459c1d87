"""A table as PostgreSQL's catalogue has it, with the resource's id taken out, so that two can be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ckanext.datastore.backend.postgres import _generate_index_name

Query = Callable[..., list[tuple[Any, ...]]]

_QUERIES = {
    "columns": """
        SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
               a.attstorage, a.attstattarget, a.attacl::text, col_description(a.attrelid, a.attnum)
        FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum""",
    "table": """
        SELECT relkind, relpersistence, relowner::regrole::text, reloptions, relrowsecurity, relreplident,
               (SELECT array_agg(x::text ORDER BY x::text) FROM unnest(relacl) x), relnamespace::regnamespace::text,
               obj_description(oid, 'pg_class'), reltablespace, relhasrules
        FROM pg_class WHERE oid = %s""",
    "sequence": """
        SELECT s.relname, s.relowner::regrole::text, s.relacl::text, q.seqtypid::regtype::text, q.seqstart,
               q.seqincrement,
               q.seqmax, q.seqmin, q.seqcache, q.seqcycle, d.deptype, d.refobjsubid, v.last_value
        FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_sequence q ON q.seqrelid = s.oid
        JOIN pg_sequences v ON v.sequencename = s.relname AND v.schemaname = 'public'
        WHERE d.classid = 'pg_class'::regclass AND d.refobjid = %s""",
    "indexes": """
        SELECT i.relname, pg_get_indexdef(i.oid), x.indisunique, x.indisprimary, x.indisvalid, x.indisready,
               i.relowner::regrole::text
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = %s ORDER BY i.relname""",
    "constraints": "SELECT conname, contype, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s",
    "triggers": """
        SELECT tgname, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid = %s AND NOT tgisinternal
        ORDER BY tgname""",
    "views": """
        SELECT DISTINCT v.relname, v.relowner::regrole::text, v.relacl::text, pg_get_viewdef(v.oid)
        FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
        WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = %s AND v.oid <> d.refobjid ORDER BY v.relname""",
}


def oid_of(query: Query, resource_id: str) -> int:
    """Return the oid of the resource's table."""
    return int(query("SELECT %s::regclass::oid::bigint", f'public."{resource_id}"')[0][0])


def snapshot(query: Query, resource_id: str) -> dict[str, Any]:
    """Return everything that the catalogue says about a table; index names become the text that they are made of."""
    oid = oid_of(query, resource_id)
    found: dict[str, Any] = {name: _plain(query(text, oid), resource_id) for name, text in _QUERIES.items()}
    if query("SELECT to_regclass('public._table_stats')")[0][0]:
        found["counts"] = query("SELECT stats FROM _table_stats WHERE resource_id = %s", resource_id)
    names = {_generate_index_name(resource_id, text): text for text in _index_texts(found)}
    found["indexes"] = sorted(
        (names.get(row[0], row[0]), _without(row[1], row[0]), *row[2:]) for row in found["indexes"]
    )
    return found


def leftovers(query: Query) -> list[str]:
    """Return the names of everything of ours that is in the database."""
    return [
        name
        for (name,) in query(
            "SELECT relname FROM pg_class WHERE starts_with(relname, '_aircan_') "
            "UNION ALL SELECT proname FROM pg_proc WHERE starts_with(proname, '_aircan_') "
            "UNION ALL SELECT conname FROM pg_constraint WHERE starts_with(conname, '_aircan_') "
            "UNION ALL SELECT typname FROM pg_type WHERE starts_with(typname, '_aircan_')"
        )
    ]


def _plain(rows: list[tuple[Any, ...]], resource_id: str) -> list[tuple[Any, ...]]:
    return [tuple(v.replace(resource_id, "<id>") if isinstance(v, str) else v for v in row) for row in rows]


def _without(definition: str, name: str) -> str:
    return definition.replace(f'"{name}"', name).replace(name, "<name>")


def _index_texts(found: dict[str, Any]) -> list[str]:
    """Return what CKAN may hash for an index's name: the quoted columns, and the expressions of full text."""
    columns = [f'"{row[0]}"' for row in found["columns"]]
    texts = [*columns, *(f"{a}, {b}" for a in columns for b in columns)]
    texts += [f"to_tsvector('english', {c})" for c in columns]
    texts += [f"to_tsvector('english', cast({c} AS text))" for c in columns]
    return texts + [f"(({c}).json::text)" for c in columns]

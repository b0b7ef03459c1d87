"""What the table that is to be replaced has, read from PostgreSQL's catalogue in one query.

It is read before the swap, to make the new table alike, and once more under a lock that keeps most changes out: when
the two differ, somebody changed the table meanwhile (its dictionary, an alias) and the plan is made anew. `mark` tells
the changes that can happen between that lock and the swap's own.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import psycopg2
from psycopg2 import sql

from aircan.errors import TableInUse

_READ = """
WITH t AS (
    SELECT c.oid, c.relkind, c.reltype, c.relowner, c.relacl, c.relname
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = {table}
), views AS (
    SELECT DISTINCT v.oid, n.nspname, v.relname, v.relkind, v.relacl, v.relowner
    FROM t
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
        AND d.classid = 'pg_rewrite'::regclass AND d.deptype = 'n'
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class AND v.oid <> t.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
)
SELECT json_build_object(
    'oid', t.oid::bigint,
    'kind', t.relkind,
    'grants', (SELECT json_agg(json_build_array(
            CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END, g.privilege_type, g.is_grantable)
            ORDER BY g.grantee, g.privilege_type)
        FROM aclexplode(t.relacl) g WHERE g.grantee <> t.relowner),
    'comments', (SELECT json_agg(json_build_array(a.attname, d.description) ORDER BY d.objsubid)
        FROM pg_catalog.pg_description d LEFT JOIN pg_catalog.pg_attribute a
            ON a.attrelid = d.objoid AND a.attnum = d.objsubid AND a.attnum > 0
        WHERE d.classoid = 'pg_class'::regclass AND d.objoid = t.oid),
    'indexes', (SELECT json_agg(json_build_array(i.relname, x.indisprimary, x.indisunique,
            substr(pg_get_indexdef(i.oid), 1 + length(format('CREATE %sINDEX %I ON public.%I ',
                CASE WHEN x.indisunique THEN 'UNIQUE ' ELSE '' END, i.relname, t.relname))))
            ORDER BY i.oid)
        FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = t.oid AND x.indisvalid),
    'constraints', (SELECT json_agg(k.conname ORDER BY k.conname) FROM pg_catalog.pg_constraint k
        WHERE k.conrelid = t.oid AND k.contype IN ('c', 'f', 'x')),
    'triggers', (SELECT json_agg(json_build_array(g.tgname, g.tgenabled, pg_get_triggerdef(g.oid)) ORDER BY g.tgname)
        FROM pg_catalog.pg_trigger g WHERE g.tgrelid = t.oid AND NOT g.tgisinternal AND g.tgname <> 'zfulltext'),
    'sequences', (SELECT json_agg(s.relname ORDER BY s.relname)
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid),
    'views', (SELECT json_agg(json_build_array(v.oid::bigint, v.nspname, v.relname, v.relkind, pg_get_viewdef(v.oid),
            (SELECT json_agg(json_build_array(
                CASE WHEN g.grantee <> 0 THEN pg_get_userbyid(g.grantee) END, g.privilege_type, g.is_grantable)
                ORDER BY g.grantee, g.privilege_type)
            FROM aclexplode(v.relacl) g WHERE g.grantee <> v.relowner))
            ORDER BY v.relname) FROM views v),
    'others', (SELECT json_agg(DISTINCT pg_describe_object(d.classid, d.objid, 0))
        FROM pg_catalog.pg_depend d
        WHERE d.deptype = 'n' AND d.classid <> 'pg_rewrite'::regclass
        AND NOT (d.classid = 'pg_trigger'::regclass AND EXISTS (
            SELECT 1 FROM pg_catalog.pg_trigger g WHERE g.oid = d.objid AND g.tgrelid = t.oid))
        AND (d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
            OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
                SELECT unnest(ARRAY[y.oid, y.typarray]) FROM pg_catalog.pg_type y WHERE y.oid = t.reltype))),
    'above_views', (SELECT json_agg(DISTINCT pg_describe_object(d.classid, d.objid, 0))
        FROM views v
        JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = v.oid AND d.deptype = 'n'
        LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
        WHERE r.ev_class IS DISTINCT FROM v.oid)
) FROM t
"""

_MARK = """
WITH t AS (
    SELECT c.oid, c.xmin, c.reltype
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relname = {table}
), v AS (
    SELECT v.oid, v.xmin, r.xmin AS rule
    FROM t
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
        AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = r.ev_class
)
SELECT string_agg(x, ' ' ORDER BY x) FROM (
    SELECT concat_ws(',', oid, xmin) FROM t
    UNION ALL SELECT concat_ws(',', oid, xmin, rule) FROM v
    UNION ALL SELECT concat_ws(',', d.classid, d.objid, d.xmin) FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM t UNION ALL SELECT oid FROM v)
    UNION ALL SELECT concat_ws(',', d.classid, d.objid, d.xmin) FROM pg_catalog.pg_depend d
        WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT reltype FROM t)
) AS marks (x)
"""

Grant = tuple[str | None, str, bool]
"""Role (None is PUBLIC), privilege, with grant option."""


@dataclass(frozen=True)
class Index:
    """An index of the old table; `rest` is its definition from USING on."""

    name: str
    primary: bool
    unique: bool
    rest: str


@dataclass(frozen=True)
class Alias:
    """A view that CKAN calls an alias."""

    name: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class Old:
    """The table that is to be replaced. `comments`: column name (None: the table) -> text as it stands."""

    oid: int
    grants: tuple[Grant, ...]
    comments: dict[str | None, str]
    indexes: tuple[Index, ...]
    aliases: tuple[Alias, ...]
    sequences: tuple[str, ...]
    constraints: tuple[str, ...]
    facts: dict[str, Any] = field(repr=False)

    @property
    def primary_key(self) -> str | None:
        """Name of the primary key, if there is one."""
        return next((index.name for index in self.indexes if index.primary), None)


def read(cursor: Any, resource_id: str) -> dict[str, Any] | None:
    """Return what there is under the resource's name as plain data, for comparing; None when nothing is."""
    name = sql.Identifier("public", resource_id).as_string(cursor)
    cursor.execute("SELECT to_regclass(%s) IS NULL", (name,))
    if cursor.fetchone()[0]:  # most tables are new; to plan the whole question takes longer than all else here
        return None
    cursor.execute(sql.SQL(_READ).format(table=sql.Literal(resource_id)))
    row = cursor.fetchone()
    return dict(row[0]) if row else None


def mark(cursor: Any, resource_id: str) -> str | None:
    """Return a text that changes with every change that a SHARE UPDATE EXCLUSIVE lock lets through.

    These are grants, new views and other objects that depend on the table, and changes of its views. Takes a
    fraction of the time of `read`, since it is asked while readers wait.
    """
    cursor.execute(sql.SQL(_MARK).format(table=sql.Literal(resource_id)))
    found: str | None = cursor.fetchone()[0]
    return found


def old(cursor: Any, resource_id: str) -> Old | None:
    """Return the table that is to be replaced, None on a first load.

    Raises TableInUse when something depends on it that is not a plain alias: it would be lost.
    """
    facts = read(cursor, resource_id)
    if facts is None:
        return None
    views = facts["views"] or []
    foreign = [*(facts["others"] or []), *(facts["above_views"] or [])]
    if facts["kind"] != "r":
        foreign.append(f"a relation named {resource_id} that is no table")
    for oid, schema, name, kind, definition, _granted in views:
        if schema != "public" or kind != "v" or not _is_plain(cursor, resource_id, oid, definition):
            foreign.append(f"view {schema}.{name}")
    if foreign:
        raise TableInUse(objects=", ".join(sorted(set(foreign))))
    return Old(
        oid=facts["oid"],
        grants=_grants(facts["grants"]),
        comments={name: text for name, text in facts["comments"] or []},
        indexes=tuple(Index(*values) for values in facts["indexes"] or []),
        aliases=tuple(Alias(name, _grants(grants)) for _o, _s, name, _k, _d, grants in views),
        sequences=tuple(facts["sequences"] or []),
        constraints=tuple(facts["constraints"] or []),
        facts=facts,
    )


def _grants(listed: list[list[Any]] | None) -> tuple[Grant, ...]:
    return tuple((role, privilege, option) for role, privilege, option in listed or [])


def _is_plain(cursor: Any, resource_id: str, oid: int, definition: str) -> bool:
    """Return whether a view selects columns of the table and does nothing else.

    Decided by PostgreSQL: a view made of just these columns must have the same definition.
    """
    cursor.execute(
        "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum > 0 ORDER BY attnum", (oid,)
    )
    columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in cursor.fetchall())
    view = sql.Identifier("public", f"_aircan_view_{uuid.uuid4().hex}")
    cursor.execute("SAVEPOINT aircan_view")
    try:
        cursor.execute(
            sql.SQL("CREATE VIEW {} AS SELECT {} FROM {}").format(view, columns, sql.Identifier("public", resource_id))
        )
        cursor.execute(sql.SQL("SELECT pg_get_viewdef({}::regclass)").format(sql.Literal(view.as_string(cursor))))
        plain: str = cursor.fetchone()[0]
    except psycopg2.ProgrammingError:  # a column that the table has not
        return False
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT aircan_view")
    return plain == definition

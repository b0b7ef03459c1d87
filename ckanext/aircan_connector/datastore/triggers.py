"""Triggers that people put on a table (`datastore_create(triggers=...)`), carried over to the new one."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql

# The definition names the table as " ON public.name "; what is before and after it stays as it is.
_READ = """
SELECT t.tgname, t.tgenabled = 'D',
       replace(pg_get_triggerdef(t.oid), format(' ON %I.%I ', n.nspname, c.relname), ' ON ' || {target} || ' ')
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relname = {table} AND NOT t.tgisinternal AND t.tgname <> 'zfulltext'
ORDER BY t.tgname
"""

_READ_OWN = sql.SQL(
    "SELECT t.tgname FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = 'public' AND c.relname = {table} AND NOT t.tgisinternal AND t.tgname <> 'zfulltext'"
)


def copy(cursor: Any, source: str, target: str) -> None:
    """Give `target` the triggers of `source` but the one for full text, and no others.

    Does nothing when `source` does not exist.
    """
    name = sql.Identifier("public", target)
    cursor.execute(_READ_OWN.format(table=sql.Literal(target)))
    for (trigger,) in cursor.fetchall():
        cursor.execute(sql.SQL("DROP TRIGGER {} ON {}").format(sql.Identifier(trigger), name))
    cursor.execute(sql.SQL(_READ).format(table=sql.Literal(source), target=sql.Literal(name.as_string(cursor))))
    for trigger, disabled, definition in cursor.fetchall():
        cursor.execute(sql.SQL(definition))
        if disabled:
            cursor.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(name, sql.Identifier(trigger)))

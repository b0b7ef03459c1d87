"""Indexes: those that CKAN would make, by CKAN's own rules, and those that people made on the old table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ckanext.datastore.backend import postgres
from psycopg2 import sql

from aircan.errors import DatastoreUnavailable, LoadFailed

from . import catalogue
from .connect import savepoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FullText:
    """An index for searching, as CKAN would make it: `field` is "" for the one over all columns."""

    name: str
    method: str
    expression: str
    field: str


def full_text(resource_id: str, columns: Mapping[str, str]) -> list[FullText]:
    """Return the indexes for searching that this version of CKAN, as it is configured, makes for a table.

    `columns`: name -> type of every column but `_id` and `_full_text`, in order.
    """
    wanted = [FullText(*_ask(resource_id, {})[0][0], "")]
    for name, kind in columns.items():
        # Each answer begins with the index over all columns, which is always made.
        wanted += [FullText(*made, name) for made in _ask(resource_id, {name: kind})[0][1:]]
    return wanted


def _ask(resource_id: str, columns: Mapping[str, str]) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Ask CKAN's `_build_fts_indexes` which indexes it makes and the names of those that it drops.

    Its template of SQL takes any text, so it can answer with name, method and expression instead.
    """
    fields = [{"id": name, "type": kind} for name, kind in columns.items()]
    built = postgres._build_fts_indexes({"resource_id": resource_id}, "{name}\0{method}\0{fields}", fields)
    made, dropped = built if isinstance(built, tuple) else (built, [])  # 2.10 returns a list
    split = [text.split("\0") for text in made]
    return [(name, method, expression) for name, method, expression in split], dropped


def columns_of(cursor: Any, table: str) -> dict[str, str]:
    """Return name -> type of the columns of a table that do not begin with "_", in order; {} when there is none."""
    cursor.execute(
        "SELECT a.attname, t.typname FROM pg_catalog.pg_attribute a "
        "JOIN pg_catalog.pg_type t ON t.oid = a.atttypid JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
        "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relname = %s AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY a.attnum",
        (table,),
    )
    return {name: kind for name, kind in cursor.fetchall() if not name.startswith("_")}


def names_on(cursor: Any, table: str) -> set[str]:
    """Return the names of the valid indexes of a table."""
    cursor.execute(
        "SELECT i.relname FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid "
        "JOIN pg_catalog.pg_class c ON c.oid = x.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'public' AND c.relname = %s AND x.indisvalid",
        (table,),
    )
    return {name for (name,) in cursor.fetchall()}


def build(cursor: Any, table: str, index: FullText, name: str) -> dict[str, Any] | None:
    """Build an index for searching under `name`; return a warning when its data does not allow it.

    The one over all columns always can be built; one over a single column fails when a cell is too long.
    """
    command = sql.SQL("CREATE INDEX {} ON {} USING {} ({})").format(
        sql.Identifier(name), sql.Identifier("public", table), sql.Identifier(index.method), sql.SQL(index.expression)
    )
    if not index.field:
        cursor.execute(command)
        return None
    return _try(cursor, command, {"code": "index_skipped", "field": index.field})


def of_people(old: catalogue.Old, resource_id: str, columns: Mapping[str, str]) -> list[catalogue.Index]:
    """Return the indexes of the old table that people made: not the primary key, and not any for searching."""
    made, dropped = _ask(resource_id, columns)
    ours = {*dropped, *(name for name, _method, _expression in made)}
    return [index for index in old.indexes if not index.primary and index.name not in ours]


def rebuild(cursor: Any, table: str, index: catalogue.Index, name: str) -> dict[str, Any] | None:
    """Build a person's index on the new table under `name`; return a warning when it cannot be.

    It cannot when a column is gone, or when a unique one meets values that are not.
    """
    command = sql.SQL("CREATE {unique} INDEX {name} ON {table} {rest}").format(
        unique=sql.SQL("UNIQUE" if index.unique else ""),
        name=sql.Identifier(name),
        table=sql.Identifier("public", table),
        rest=sql.SQL(index.rest),
    )
    return _try(cursor, command, {"code": "index_lost", "index": index.name, "definition": index.rest})


def _try(cursor: Any, command: sql.Composable, warning: dict[str, Any]) -> dict[str, Any] | None:
    try:
        with savepoint(cursor):
            cursor.execute(command)
    except DatastoreUnavailable:
        raise
    except LoadFailed as exc:
        return {**warning, "reason": exc.detail}
    return None


def missing(cursor: Any, resource_id: str) -> Sequence[FullText]:
    """Return the indexes for searching that a published table should have and has not."""
    columns = columns_of(cursor, resource_id)
    if not columns:
        return []
    there = names_on(cursor, resource_id)
    return [index for index in full_text(resource_id, columns) if index.name not in there]

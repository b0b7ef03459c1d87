"""Makes a stage look like a table of the API, all but its name: key, sequence, triggers, comments, grants."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ckantoolkit as tk
from ckanext.datastore.backend import postgres
from psycopg2 import sql

from aircan.contract import Field

from . import catalogue, crew, indexes, names, triggers, vector
from .connect import Connections


@dataclass(frozen=True)
class Dressed:
    """A stage that is ready to be swapped in.

    Attributes:
        renames: temporary name -> final name of its indexes.
        warnings: what could not be carried over, as {"code", facts}.
    """

    renames: dict[str, str]
    warnings: tuple[dict[str, Any], ...]


def finish(cursor: Any, job_id: str) -> None:
    """Give the stage its primary key and the sequence of `_id`, and CKAN's trigger; done once, before anything else."""
    table = names.stage(job_id)
    target = sql.Identifier("public", table)
    sequence = sql.Identifier("public", names.temporary(job_id, "seq"))
    cursor.execute(
        sql.SQL(
            "ALTER TABLE {table} ADD CONSTRAINT {key} PRIMARY KEY (_id); "
            "CREATE SEQUENCE {sequence} AS integer OWNED BY {table}._id; "
            "ALTER TABLE {table} ALTER COLUMN _id SET DEFAULT nextval({text}::regclass); "
            "SELECT setval({text}::regclass, coalesce(max(_id), 1), max(_id) IS NOT NULL) FROM {table}"
        ).format(
            table=target,
            key=sql.Identifier(names.temporary(job_id, "pkey")),
            sequence=sequence,
            text=sql.Literal(sequence.as_string(cursor)),
        )
    )
    vector.attach_ckans(cursor, table)


def is_finished(cursor: Any, job_id: str) -> bool:
    """Return whether `finish` was done for this stage."""
    return names.temporary(job_id, "pkey") in indexes.names_on(cursor, names.stage(job_id))


def index(
    connections: Connections, job_id: str, resource_id: str, at_once: int
) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Build the indexes for searching on the stage, several at a time; return temporary -> final name, and warnings.

    The one over all columns takes by far the longest and is begun first. What an earlier try built stays.
    """
    table = names.stage(job_id)
    with connections.transaction() as cursor:
        there = indexes.names_on(cursor, table)
        wanted = indexes.full_text(resource_id, indexes.columns_of(cursor, table))
    named = {names.temporary(job_id, "f", number): one for number, one in enumerate(wanted)}
    todo = [name for name in named if name not in there]

    def build(name: str) -> dict[str, Any] | None:
        with connections.transaction(lasting=False) as cursor:
            return indexes.build(cursor, table, named[name], name)

    failed = {name: warning for name, warning in zip(todo, crew.each(todo, build, at_once), strict=True) if warning}
    renames = {name: one.name for name, one in named.items() if name not in failed}
    return renames, list(failed.values())


def analyze(cursor: Any, table: str) -> None:
    """Let PostgreSQL gather its statistics of a table."""
    cursor.execute(sql.SQL("ANALYZE {}").format(sql.Identifier("public", table)))


def like(cursor: Any, job_id: str, resource_id: str, fields: Sequence[Field], old: catalogue.Old | None) -> Dressed:
    """Carry over what people made of the old table: dictionary, grants, triggers, indexes.

    May be called again when the old table changed meanwhile.
    """
    table = names.stage(job_id)
    _comment(cursor, table, fields, old.comments if old else {})
    _let_reader_read(cursor, table)
    if old is None:
        return Dressed({}, ())
    grant(cursor, table, old.grants)
    triggers.copy(cursor, resource_id, table)
    return _carry_indexes(cursor, job_id, resource_id, old)


def _carry_indexes(cursor: Any, job_id: str, resource_id: str, old: catalogue.Old) -> Dressed:
    table = names.stage(job_id)
    warnings: list[dict[str, Any]] = []
    renames: dict[str, str] = {}
    prefix = names.temporary(job_id, "p", 0)[:-1]
    for name in indexes.names_on(cursor, table):
        if name.startswith(prefix) and name != names.temporary(job_id, "pkey"):
            cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier("public", name)))
    columns = indexes.columns_of(cursor, resource_id)
    for number, made in enumerate(indexes.of_people(old, resource_id, columns)):
        name = names.temporary(job_id, "p", number)
        if warning := indexes.rebuild(cursor, table, made, name):
            warnings.append(warning)
        else:
            renames[name] = made.name
    if old.constraints:
        warnings.append({"code": "constraints_lost", "names": list(old.constraints)})
    return Dressed(renames, tuple(warnings))


def grant(cursor: Any, relation: str, grants: Sequence[catalogue.Grant]) -> None:
    """Grant what the old relation granted; what is granted already stays as it is."""
    for statement in grant_statements(relation, grants):
        cursor.execute(statement)


def grant_statements(relation: str, grants: Sequence[catalogue.Grant]) -> list[sql.Composable]:
    """Return the GRANTs. Privileges are PostgreSQL's own words out of its catalogue."""
    return [
        sql.SQL("GRANT {} ON {} TO {}{}").format(
            sql.SQL(privilege),
            sql.Identifier("public", relation),
            sql.SQL("PUBLIC") if role is None else sql.Identifier(role),
            sql.SQL(" WITH GRANT OPTION" if option else ""),
        )
        for role, privilege, option in grants
    ]


def _let_reader_read(cursor: Any, table: str) -> None:
    """Grant SELECT to CKAN's read role where default privileges do not, as after a restore by another role."""
    reader = postgres.get_read_engine().url.username
    cursor.execute(
        "SELECT has_table_privilege(r.oid, to_regclass(%s), 'SELECT') FROM pg_catalog.pg_roles r WHERE r.rolname = %s",
        (sql.Identifier("public", table).as_string(cursor), reader),
    )
    found = cursor.fetchone()
    if found and not found[0]:
        grant(cursor, table, [(reader, "SELECT", False)])


def _comment(cursor: Any, table: str, fields: Sequence[Field], old: dict[str | None, str]) -> None:
    target = sql.Identifier("public", table)
    said: dict[str, str | None] = {column: old[column] for column in ("_id", "_full_text") if column in old}
    said.update({f.id: old[f.id] if f.id in old else label_comment(f) for f in fields})
    comments = [
        sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(target, sql.Identifier(column), sql.Literal(text))
        for column, text in said.items()
    ]
    comments.append(sql.SQL("COMMENT ON TABLE {} IS {}").format(target, sql.Literal(old.get(None))))
    cursor.execute(sql.SQL("; ").join(comments))


def label_comment(field: Field) -> str | None:
    """Return the dictionary entry of a new column that had to be renamed: its header's text as label.

    2.10 stores the info itself; later versions store it under `_info`, after a blank that marks the version.
    """
    if not field.renamed or not field.label:
        return None
    info = {"label": field.label}
    if tk.check_ckan_version(min_version="2.11"):
        return " " + json.dumps({"_info": info}, ensure_ascii=False, separators=(",", ":"))
    return json.dumps(info, ensure_ascii=False)

"""What a file means for the table that is there: the columns and types that it may have, and what it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aircan.columns import names
from aircan.contract import Field, Type, Write, Writing
from aircan.errors import ColumnsDiffer, KeyUnusable, TypesChanged, fill
from aircan.steps.infer import Columns


@dataclass(frozen=True)
class Target:
    """What the columns of a file have to be.

    Attributes:
        types: column id -> type that is given and not inferred.
        fixed: ids of the columns whose type is that of the table.
        warnings: what a person should know, as {"code", facts}.
    """

    types: Mapping[str, Type]
    fixed: frozenset[str] = frozenset()
    warnings: tuple[Mapping[str, Any], ...] = ()


def aim(labels: Sequence[str], live: Sequence[Field] | None, writing: Writing, persons: Mapping[str, Type]) -> Target:
    """Return what the columns of a file with this header have to be.

    Args:
        labels: the header's texts.
        live: the columns of the table, None when there is none.
        writing: what the rows do to it.
        persons: column id -> type that a person chose; counts where the table is made anew.

    Raises:
        KeyUnusable: a column of the key is not in the file or not in the table.
        ColumnsDiffer: rows are to be added with columns that the table has not.
    """
    given = [field.id for field in names.fields(labels)]
    _need(writing.key, given, "the file has no such column")
    if live is None or writing.mode is Write.REPLACE:
        return Target(persons)
    there = {field.id: field.type for field in live}
    _need(writing.key, there, "the table has no such column")
    if writing.mode is Write.DELETE:
        ignored = [name for name in given if name not in writing.key]
        said = ({"code": "columns_ignored", "fields": ignored},) if ignored else ()
        types = {name: there[name] if name in writing.key else Type.TEXT for name in given}
        return Target(types, frozenset(writing.key), said)
    if unknown := [name for name in given if name not in there]:
        raise ColumnsDiffer(fields=", ".join(unknown), columns=", ".join(there))
    missing = [name for name in there if name not in given]
    code = "columns_left_empty" if writing.mode is Write.APPEND else "columns_kept"
    return Target(there, frozenset(there), ({"code": code, "fields": missing},) if missing else ())


def _need(key: Sequence[str], columns: Sequence[str] | Mapping[str, Type], reason: str) -> None:
    for name in key:
        if name not in columns:
            raise KeyUnusable(field=name, reason=reason)


def settled(columns: Columns, target: Target, writing: Writing) -> Columns:
    """Return the decided columns; those whose type is the table's say so.

    Raises KeyUnusable for a key of nested values, which cannot be compared.
    """
    for field in columns.fields:
        if field.id in writing.key and field.type is Type.JSON:
            raise KeyUnusable(field=field.id, reason="its values are nested")
    out = [
        replace(column, field=replace(column.field, reason={**column.field.reason, "code": "table"}))
        if column.field.id in target.fixed
        else column
        for column in columns.columns
    ]
    return Columns(tuple(out), columns.warnings)


def differences(live: Sequence[Field], new: Sequence[Field], persons: Mapping[str, Type]) -> list[dict[str, Any]]:
    """Return a warning for each thing that is not as in the table that is replaced.

    type_changed {field, old, new, reason and, where a value made the type, line and value}, columns_added and
    columns_removed {fields}, column_renamed {old, new} as a guess, columns_reordered. A type that a person chose
    is no news.
    """
    before, after = {field.id: field for field in live}, {field.id: field for field in new}
    changed = [
        _changed(before[field.id], field)
        for field in new
        if field.id in before and field.id not in persons and _differ(before[field.id], field)
    ]
    added, removed = [f.id for f in new if f.id not in before], [f.id for f in live if f.id not in after]
    out = [*changed]
    if added:
        out.append({"code": "columns_added", "fields": added})
    if removed:
        out.append({"code": "columns_removed", "fields": removed})
    for old, now in zip(live, new, strict=False):
        if old.id in removed and now.id in added and old.type is now.type:
            out.append({"code": "column_renamed", "old": old.id, "new": now.id})
    if [name for name in before if name in after] != [name for name in after if name in before]:
        out.append({"code": "columns_reordered"})
    return out


def _differ(old: Field, new: Field) -> bool:
    return old.type is not new.type or "type" in old.reason


def _changed(old: Field, new: Field) -> dict[str, Any]:
    why = {name: new.reason[name] for name in ("line", "value") if new.reason.get(name) is not None}
    kind = str(old.reason.get("type") or old.type.value)
    return {"code": "type_changed", "field": new.id, "old": kind, "new": new.type.value} | {
        "reason": new.reason.get("code", ""),
        **why,
    }


FIRST = "%(field)s from %(old)s to %(new)s"
FIRST_LINE = "%(field)s from %(old)s to %(new)s because of %(value)s in line %(line)s"


def refuse_changes(said: Sequence[Mapping[str, Any]]) -> None:
    """Raise TypesChanged when types are among the differences."""
    changed = [dict(one) for one in said if one["code"] == "type_changed"]
    if changed:
        first = changed[0]
        raise TypesChanged(
            fields=", ".join(str(one["field"]) for one in changed),
            first=fill(FIRST_LINE if "line" in first else FIRST, first),
            columns=[{name: fact for name, fact in one.items() if name != "code"} for one in changed],
            line=first.get("line"),
            field=first["field"],
        )

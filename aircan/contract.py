"""What crosses a process: orders, reports, and the values inside them.

Everything is frozen and has `to_dict` and `from_dict`, so that the same words travel
through a queue, HTTP or a file. Imports only `status`, `errors` and `frictionless`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

from aircan.errors import OrderRefused, OrderTooNew
from aircan.frictionless import READ, TYPES, slug, without_login
from aircan.status import Status

VERSION = 2
"""Version of this contract, sent in every order; each before it is read as well. docs/order-<version>.schema.json."""


class Type(str, Enum):
    """Types of a column, named as PostgreSQL and the DataStore name them."""

    TEXT = "text"
    NUMERIC = "numeric"
    TIMESTAMP = "timestamp"
    DATE = "date"
    BOOLEAN = "bool"
    JSON = "json"


class Publish(str, Enum):
    """When the new table takes the place of the old one.

    COMPLETE: rows, full text and index are there. SEARCHABLE: rows and full text are
    there, the index is built right behind. ROWS: rows are there; full text and index come in a second
    table, and until then a search for words finds nothing. DONE means all of it either way.
    """

    COMPLETE = "complete"
    SEARCHABLE = "searchable"
    ROWS = "rows"


class Write(str, Enum):
    """What the rows of a file do to the table.

    REPLACE: they take the place of all its rows. APPEND: they come behind them. UPSERT: each takes the place
    of the row with the same key, or comes behind. DELETE: rows with their keys are deleted.
    """

    REPLACE = "replace"
    APPEND = "append"
    UPSERT = "upsert"
    DELETE = "delete"


class TypeChange(str, Enum):
    """What to do when a file that replaces a table would change the type of a column: take it over, or fail."""

    ADOPT = "adopt"
    FAIL = "fail"


def _known(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    names = {f.name for f in fields(cls)}
    return {name: value for name, value in data.items() if name in names}


@dataclass(frozen=True)
class Resource:
    """A file to be processed, as a Frictionless resource descriptor with our additions.

    Attributes:
        id: id of the CKAN resource; the name of its DataStore table.
        name: slug of the title.
        title: title or file name, for people.
        path: file name of an upload, or the URL of a link.
        format: declared format, any case, "" when unknown. What the file is decides.
        mediatype: declared media type, "" when unknown.
        size_bytes: size of an upload, None when unknown.
        url_type: "upload" for a file in CKAN's storage, "" for a link.
        headers: extra HTTP headers for a link (never logged, never in an order's to_dict).
        types: column id -> type chosen by a person in the data dictionary; wins over inference.
    """

    id: str
    name: str = ""
    title: str = ""
    path: str = ""
    format: str = ""
    mediatype: str = ""
    size_bytes: int | None = None
    url_type: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False)
    types: Mapping[str, Type] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a Frictionless descriptor; what is not known is left out, and so is a secret.

        Headers stay here, and so does a user name and password in the link.
        """
        out: dict[str, Any] = {
            "id": self.id,
            "name": self.name or slug(self.title, self.id),
            "title": self.title,
            "path": without_login(self.path),
            "format": self.format,
            "url_type": self.url_type,
        }
        if self.mediatype:
            out["mediatype"] = self.mediatype
        if self.size_bytes is not None:
            out["bytes"] = self.size_bytes
        if self.types:
            listed = [{"name": name, "type": TYPES[Type(kind).value]} for name, kind in self.types.items()]
            out["schema"] = {"fields": listed}
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], version: int = VERSION) -> Resource:
        """Read a descriptor; unknown keys are ignored.

        Args:
            data: what `to_dict` wrote, here or in an older version.
            version: of the order that it stands in; in the first, `name` is the title.

        Raises:
            OrderRefused: `id` is missing, or a field of the schema has no name or a type that is not known.
        """
        if not data.get("id"):
            raise OrderRefused(field="resource.id")
        known = _known(cls, data)
        if version == 1:
            known["title"] = data.get("name") or ""
            known["name"] = slug(known["title"], str(data["id"]))
        size = data.get("bytes")
        known["size_bytes"] = size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None
        known["types"] = _types((data.get("schema") or {}).get("fields") or ())
        return cls(**known)


def _types(listed: Sequence[Mapping[str, Any]]) -> dict[str, Type]:
    try:
        chosen = [(str(field["name"]), str(field.get("type") or "any")) for field in listed]
        return {name: Type(READ[kind]) for name, kind in chosen if kind != "any"}
    except (KeyError, TypeError, AttributeError) as exc:
        raise OrderRefused(f"{type(exc).__name__}: {exc}"[:200], field="resource.schema.fields") from exc


@dataclass(frozen=True)
class Dataset:
    """The dataset of the resource: id, name (slug) and title."""

    id: str
    name: str = ""
    title: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return {"id", "name", "title"}."""
        return {"id": self.id, "name": self.name, "title": self.title}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Dataset:
        """Read a descriptor; unknown keys are ignored."""
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class Order:
    """What a factory is asked to do. Holds no secret.

    Attributes:
        job_id: UUID of the job; also the run id at a factory that lets the caller choose.
        job_type: LOAD, ...; the recipe of that name carries it out.
        params: options of the recipe, see `aircan.recipes`.
        dag_id: which DAG, at factories that have several.
        site_url: address of the CKAN that asks, "" inside CKAN.
    """

    job_id: str
    job_type: str
    resource: Resource
    dataset: Dataset
    params: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    dag_id: str = ""
    site_url: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the order as JSON-ready values, in the newest version."""
        return {
            "contract": VERSION,
            "job_id": self.job_id,
            "job_type": self.job_type,
            "dag_id": self.dag_id,
            "site_url": without_login(self.site_url),
            "resource": self.resource.to_dict(),
            "dataset": self.dataset.to_dict(),
            "params": dict(self.params),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Order:
        """Read an order of this version or an older one.

        Raises:
            OrderRefused: naming the missing or wrong field.
            OrderTooNew: it is written in a version that is not known here.
        """
        version = _version(data)
        for key in ("job_id", "job_type", "resource"):
            if not data.get(key):
                raise OrderRefused(field=key)
        for key in ("resource", "dataset", "params"):
            if not isinstance(data.get(key) or {}, Mapping):
                raise OrderRefused(field=key)
        return cls(
            job_id=str(data["job_id"]),
            job_type=str(data["job_type"]),
            resource=Resource.from_dict(data["resource"], version),
            dataset=Dataset.from_dict({"id": "", **(data.get("dataset") or {})}),
            params=dict(data.get("params") or {}),
            dag_id=str(data.get("dag_id") or ""),
            site_url=str(data.get("site_url") or ""),
        )


def _version(data: Mapping[str, Any]) -> int:
    """Return the version of an order, the newest when it does not say; raise OrderTooNew, OrderRefused."""
    version = data.get("contract", VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise OrderRefused(field="contract")
    if version > VERSION:
        raise OrderTooNew(field="contract", version=version, newest=VERSION)
    return version


@dataclass(frozen=True)
class Field:
    """A column of the new table.

    Attributes:
        id: column name: at most 63 UTF-8 bytes, no leading "_", no quote, distinct.
        label: the header's text as it stands in the file, "" if it was empty.
        type: type decided over the whole file, or the person's own.
        reason: why this type, as {"code": ..., facts}: e.g. {"code": "leading_zero", "count": 3,
            "line": 18, "value": "007"}. Codes are listed in docs/formats.md.
        layout: strptime layout of dates and timestamps that are not ISO 8601, else "".
        nulls: values that were null words (NA, -, ...) and became NULL.
    """

    id: str
    label: str
    type: Type = Type.TEXT
    reason: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    layout: str = ""
    nulls: int = 0

    @property
    def renamed(self) -> bool:
        """Whether the id differs from the header's text."""
        return self.id != self.label

    def to_dict(self) -> dict[str, Any]:
        """Return {"id", "label", "type", "reason", "layout", "nulls"}."""
        return {
            "id": self.id,
            "label": self.label,
            "type": self.type.value,
            "reason": dict(self.reason),
            "layout": self.layout,
            "nulls": self.nulls,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Field:
        """Read what `to_dict` wrote."""
        return cls(**{**_known(cls, data), "type": Type(data["type"])})


@dataclass(frozen=True)
class Writing:
    """How the rows are written.

    Attributes:
        key: ids of the columns that name a row, for UPSERT and DELETE.
        rows_first: whether a REPLACE shows the rows before their full text is there, see `Publish.ROWS`.
    """

    mode: Write = Write.REPLACE
    key: tuple[str, ...] = ()
    rows_first: bool = dataclasses.field(default=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return {"mode", "key", "rows_first"}."""
        return {"mode": self.mode.value, "key": list(self.key), "rows_first": self.rows_first}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Writing:
        """Read what `to_dict` wrote."""
        return cls(Write(data["mode"]), tuple(data["key"]), bool(data["rows_first"]))


REPLACE = Writing()
"""How rows are written when an order says nothing."""


@dataclass(frozen=True)
class Written:
    """What became of the rows of a file, and how many rows the table holds now.

    Attributes:
        total: rows of the table.
        added: rows that are new in it.
        changed: rows of the table that got other values.
        same: rows of the file that the table held already, value by value.
        deleted: rows of the table that are gone by their key; those that a REPLACE leaves behind do not count.
        absent: keys of a DELETE that the table did not hold.
    """

    total: int
    added: int = 0
    changed: int = 0
    same: int = 0
    deleted: int = 0
    absent: int = 0

    def to_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Written:
        """Read what `to_dict` wrote."""
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class Reject:
    """A record of the file that is not in the table.

    Attributes:
        line: physical line (1-based, the first line of the file is 1) on which the record starts.
        code: why: "cells" (wrong number of cells), "value" (a value does not fit the column's
            type), "quote" (a quote is not closed), "encoding", "size", ...
        field: column id where one is to blame, else "".
        value: the value that did not fit, cut to 200 characters.
        facts: numbers for the sentence, e.g. {"cells": 14, "columns": 19}.
        text: the record as it stands in the file, cut to 10,000 characters.
    """

    line: int
    code: str
    field: str = ""
    value: str = ""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    text: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the reject as JSON-ready values."""
        return {
            "line": self.line,
            "code": self.code,
            "field": self.field,
            "value": self.value,
            "facts": dict(self.facts),
            "text": self.text,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reject:
        """Read what `to_dict` wrote."""
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class Part:
    """A piece of the table on its way to a sink.

    Attributes:
        number: 0, 1, 2, ...; a part sent twice is loaded once.
        rows: rows in it.
        data: PostgreSQL COPY in CSV format: UTF-8, comma, no header, `_id` first and then the
            fields in order, an unquoted empty cell is NULL, a quoted one the empty string.
    """

    number: int
    rows: int
    data: bytes = dataclasses.field(repr=False)


@dataclass(frozen=True)
class Task:
    """State of one task of a run, for the run page.

    Attributes:
        id: name of the step: fetch, sniff, infer, load, publish, ...
        status: a job status; WAITING for a task that has not begun.
        message: one line for people, or "".
    """

    id: str
    status: Status
    message: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return {"id", "status", "message"}."""
        return {"id": self.id, "status": self.status.value, "message": self.message}


@dataclass(frozen=True)
class Report:
    """What the one who carries out an order tells CKAN.

    Attributes:
        status: RUNNING, DONE, FAILED or CANCELLED.
        message: a line for the log of the run; becomes an event.
        task: the task that this report is about.
        progress: {"rows", "bytes", "total_bytes"}, any of them; and, where it is known, how far the run is:
            "phase" (name of the task, or "index"), "share" of it that is done (0 to 1), "percent" of the whole
            run (0 to 99, never less than before) and "eta_s", seconds until the phase ends, or None.
        result: merged into the job's result; {"rows", "rejected", "fields", "bytes", "seconds",
            "warnings": [{"code", facts}], "rejects": [Reject.to_dict()], ...}. `warnings` and
            `rejects` are added to those of earlier reports.
        error: `AircanError.to_dict()` of a FAILED job.
    """

    status: Status
    message: str = ""
    task: Task | None = None
    progress: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    result: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    error: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the report as parameters of `aircan_status_update`, empty ones left out."""
        out: dict[str, Any] = {"status": self.status.value}
        if self.message:
            out["message"] = self.message
        if self.task:
            out["task"] = self.task.to_dict()
        for name in ("progress", "result", "error"):
            if value := getattr(self, name):
                out[name] = dict(value)
        return out

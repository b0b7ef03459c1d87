"""A sink for a CKAN that offers its DataStore API and nothing of ours. Imports `ckanapi`, `contract` and `errors`.

The API has no hidden table and no swap, so the parts are kept in a folder until all of them are there, and
only `publish` touches the table:

- There is none: it is made and filled. On a failure it is deleted again.
- One with the same columns and types: the new rows come behind the old ones, which are deleted once all
  new ones are there and counted. On a failure the new ones are deleted again. Readers see both meanwhile.
- Another one: it is deleted and made anew, with its dictionary and aliases. On a failure there is no table.

What could not be put in order (the connection is gone for good) the next run does: it takes what is there for old.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aircan.ckanapi import CkanApi
from aircan.contract import REPLACE, Field, Part, Publish, Type, Write, Writing, Written
from aircan.errors import (
    AircanError,
    ApiRefused,
    JobStopped,
    OrderRefused,
    RowsMissing,
    TableUnfinished,
    ValueRefused,
)
from aircan.ports import Stop, never

log = logging.getLogger(__name__)

BATCH_ROWS = 20_000
"""Most rows of a request: the best size measured, see bench/api.py."""

BODY_BYTES = 5_000_000
"""Largest body of a request: half of what proxies commonly let through."""

_OF_DATA = {409, 500}
"""Statuses with which CKAN refuses a value: 500 is 2.10's."""

_PAGE = 5_000
_CELL = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"|([^,"\n]*))([,\n])')
_MISREAD = re.compile(r"(?<![:\w\\]):\w+(?!:)")
"""What CKAN from 2.11 on takes for a parameter of its SQL (seen on 2.12.0; SQLAlchemy's rule)."""

_OURS = {kind.value for kind in Type}
_QUOTED = re.compile(r'"([^"]*)"')
_VALUE_KEPT = 200


def rows_of(data: bytes) -> Iterator[list[str | None]]:
    """Yield the rows of a part: the texts of its cells, `_id` first, None for NULL."""
    row: list[str | None] = []
    for found in _CELL.finditer(data.decode()):
        quoted, bare, end = found.groups()
        row.append(quoted.replace('""', '"') if quoted is not None else bare or None)
        if end == "\n":
            yield row
            row = []


@dataclass(frozen=True)
class _Old:
    """The table that is there: its fields as the API tells them, newest `_id`, rows, aliases."""

    fields: list[dict[str, Any]]
    newest: int
    rows: int


class ApiSink:
    """The table of a resource, written through `datastore_create`, `datastore_upsert` and `datastore_delete`.

    Implements `aircan.ports.Sink`. `put` may be called from several threads.

    Args:
        api: the CKAN, with a token of somebody who may edit the dataset.
        resource_id: whose table is written.
        folder: private and empty; takes the parts until they are sent. The caller removes it.
        progress: called with the rows that are in the table so far, and with how many there are in all.
        stop: asked between requests.
        batch_rows, body_bytes: at most this much goes into a request; a row longer than that goes alone.
    """

    def __init__(
        self,
        api: CkanApi,
        resource_id: str,
        folder: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
        stop: Stop | None = None,
        batch_rows: int = BATCH_ROWS,
        body_bytes: int = BODY_BYTES,
    ) -> None:
        self._api, self._resource, self._folder = api, resource_id, folder
        self._progress, self._stop = progress or (lambda _rows, _of: None), stop or never()
        self._batch_rows, self._body_bytes = batch_rows, body_bytes
        self._fields: list[Field] = []
        self._parts: dict[int, int] = {}
        self._lock = threading.Lock()
        self._sent = 0
        self._newest = 0
        self._written: Written | None = None

    def columns(self) -> list[Field] | None:
        """Return the columns of the table, see `aircan.ports.Sink.columns`. Raises ApiRefused."""
        found = self._search(limit=0)
        if found is None:
            return None
        fields = []
        for told in found["fields"]:
            kind = str(told["type"])
            other = {} if kind in _OURS else {"type": kind}
            if not told["id"].startswith("_"):
                fields.append(Field(told["id"], told["id"], _ours(kind), {"code": "table", **other}))
        return fields

    def persons_types(self) -> dict[str, Type]:
        """Return column -> the type that a person chose in the data dictionary."""
        found = self._search(limit=0)
        chosen = {f["id"]: (f.get("info") or {}).get("type_override") for f in (found or {"fields": []})["fields"]}
        return {name: Type(kind) for name, kind in chosen.items() if kind in _OURS}

    def begin(self, fields: Sequence[Field], writing: Writing = REPLACE) -> None:
        """Start anew; the table stays as it is.

        Raises OrderRefused when rows are to be added, changed or deleted, ApiRefused when the token does not suffice.
        """
        if writing.mode is not Write.REPLACE:
            raise OrderRefused("through the API a file replaces all rows", field="params.write")
        self._ask_whether_allowed()
        self.discard()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._fields = list(fields)

    def put(self, part: Part) -> None:
        """Keep a part; one that is there already is left alone."""
        with self._lock:
            if part.number not in self._parts:
                self._path(part.number).write_bytes(part.data)
                self._parts[part.number] = part.rows

    def publish(self, *, rows: int, when: Publish) -> Written:
        """Send the rows, see the module for what becomes of the old ones.

        Raises:
            RowsMissing: other rows are kept than `rows`, or others are in the table in the end, which is then undone.
            ValueRefused: CKAN refused a value; carries `row` (from 1), `field` where one is to blame, and `value`.
            TableUnfinished: a failure that could not be undone. ApiRefused, DatastoreUnavailable: it was.
        """
        if self._written:
            return self._written
        kept = sum(self._parts.values())
        if kept != rows:
            raise RowsMissing(rows=rows, loaded=kept)
        self._api.call("resource_show", id=self._resource)
        old = self._look()
        if old and self._is_same(old):
            self._behind(old, rows)
        else:
            self._anew(old, rows)
        self._make_views()
        self._written = Written(rows, rows)
        return self._written

    def discard(self) -> None:
        """Drop the parts that are kept. What was published stays; what was sent, `publish` has taken back itself."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._parts.clear()

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:06}.csv"

    def _search(self, **asked: Any) -> dict[str, Any] | None:
        """Return what `datastore_search` finds, None when there is no table."""
        try:
            found: dict[str, Any] = self._api.call(
                "datastore_search", resource_id=self._resource, **{"include_total": False, **asked}
            )
        except ApiRefused as exc:
            if exc.facts["http_status"] == 404 and self._api.call("resource_show", id=self._resource):
                return None
            raise
        return found

    def _ask_whether_allowed(self) -> None:
        try:
            self._api.call("datastore_upsert", resource_id=self._resource, force=True, dry_run=True)
        except ApiRefused as exc:
            if exc.facts["http_status"] != 404:  # 404: whoever may write learns that there is no table
                raise

    def _look(self) -> _Old | None:
        found = self._search(limit=0)
        if found is None:
            return None
        return _Old([f for f in found["fields"] if not f["id"].startswith("_")], self._newest_id(), self._count())

    def _newest_id(self) -> int:
        found = self._search(fields=["_id"], sort="_id desc", limit=1)
        return int(found["records"][0]["_id"]) if found and found["records"] else 0

    def _count(self) -> int:
        """Return the rows of the table, counted now."""
        self._api.call("datastore_upsert", resource_id=self._resource, force=True, calculate_record_count=True)
        found = self._search(limit=0, include_total=True)
        return int(found["total"]) if found else 0

    def _is_same(self, old: _Old) -> bool:
        new = [(field.id, field.type.value) for field in self._fields]
        return [(field["id"], field["type"]) for field in old.fields] == new

    def _behind(self, old: _Old, rows: int) -> None:
        """Insert behind the rows that are there, then delete those."""
        try:
            self._create()
            self._insert_all(old.newest)
            self._check(old.rows, rows)
        except BaseException as exc:
            self._undo(exc, rows, old.rows, lambda: self._delete_ids("desc", lambda number: number > old.newest))
            raise
        try:
            self._delete_ids("asc", lambda number: number <= old.newest)
            self._count()
        except AircanError as exc:
            raise self._unfinished(exc, rows, rows, "some") from exc

    def _anew(self, old: _Old | None, rows: int) -> None:
        """Make the table, in place of one with other columns if there is one, and fill it."""
        aliases = self._aliases() if old else []
        if old:
            self._refuse_names()
            self._delete_table()
        try:
            self._create(old, aliases)
            self._insert_all(0)
            self._check(0, rows)
        except BaseException as exc:
            self._undo(exc, rows, 0, self._delete_table)
            if old and isinstance(exc, AircanError):
                raise self._unfinished(exc, rows, 0, "none") from exc
            raise

    def _refuse_names(self) -> None:
        """Raise ApiRefused for a column that a CKAN may fail to make, before the old table is deleted for it."""
        for field in self._fields:
            if _MISREAD.search(field.id):
                reason = f"CKAN from 2.11 on cannot make the column {field.id}, it misreads the colon"
                raise ApiRefused(action="datastore_create", http_status="-", reason=reason)

    def _undo(self, exc: BaseException, rows: int, old: int, undo: Callable[[], None]) -> None:
        """Take back what was sent. Raises TableUnfinished when that cannot be done."""
        log.info("Taking %s rows back: %s", self._sent, type(exc).__name__, extra={"action": "api_undo"})
        try:
            undo()
        except AircanError as failed:
            if not self._sent:
                return
            cause = exc if isinstance(exc, AircanError) else failed
            raise self._unfinished(cause, rows, self._sent, old) from failed

    def _unfinished(self, exc: AircanError, rows: int, there: int, old: int | str) -> TableUnfinished:
        place = {name: exc.facts[name] for name in ("row", "line", "field", "value") if name in exc.facts}
        return TableUnfinished(exc.detail, rows=rows, there=there, old=old, reason=exc.message, **place)

    def _aliases(self) -> list[str]:
        told = self._api.call("datastore_info", id=self._resource)
        return list((told.get("meta") or {}).get("aliases") or [])

    def _create(self, old: _Old | None = None, aliases: Sequence[str] = ()) -> None:
        """Make the table; where it is there with these columns, only make sure that CKAN's pages know of it."""
        known = {field["id"]: field.get("info") for field in old.fields} if old else {}
        fields = []
        for field in self._fields:
            info = known.get(field.id) or ({"label": field.label} if field.renamed and field.label else None)
            fields.append({"id": field.id, "type": field.type.value, **({"info": info} if info else {})})
        more = {"aliases": list(aliases)} if aliases else {}
        self._api.call("datastore_create", resource_id=self._resource, force=True, fields=fields, **more)

    def _delete_table(self) -> None:
        try:
            self._api.call("datastore_delete", resource_id=self._resource, force=True)
        except ApiRefused as exc:
            if exc.facts["http_status"] != 404:
                raise

    def _delete_ids(self, order: str, is_meant: Callable[[int], bool]) -> None:
        """Delete the rows from one end of the table, by lists of `_id`, which every CKAN understands."""
        before: list[int] = []
        while True:
            found = self._search(fields=["_id"], sort=f"_id {order}", limit=_PAGE)
            ids = [int(record["_id"]) for record in (found or {"records": []})["records"]]
            if not (meant := [number for number in ids if is_meant(number)]):
                return
            if meant == before:
                raise ApiRefused(action="datastore_delete", http_status=200, reason="the rows are still there")
            before = meant
            self._api.call("datastore_delete", resource_id=self._resource, force=True, filters={"_id": meant})

    def _insert_all(self, newest: int) -> None:
        self._sent, self._newest = 0, newest
        for batch in self._batches():
            if self._stop.is_set():
                raise JobStopped
            self._insert(batch)
            self._progress(self._sent, sum(self._parts.values()))

    def _batches(self) -> Iterator[list[bytes]]:
        """Yield the rows in their order as JSON, as many as go into a request."""
        empty = len(self._body([]))
        batch, size = list[bytes](), empty
        for number in sorted(self._parts):
            for row in rows_of(self._path(number).read_bytes()):
                record = json.dumps(self._record(row[1:]), ensure_ascii=False).encode()
                if batch and (len(batch) >= self._batch_rows or size + len(record) > self._body_bytes):
                    yield batch
                    batch, size = [], empty
                batch.append(record)
                size += len(record) + 1
        if batch:
            yield batch

    def _record(self, cells: list[str | None]) -> dict[str, Any]:
        """Return a row as the API takes it: texts, which PostgreSQL casts without losing a digit; no NULL."""
        return {
            field.id: json.loads(cell) if field.type is Type.JSON else cell
            for field, cell in zip(self._fields, cells, strict=True)
            if cell is not None
        }

    def _body(self, batch: Sequence[bytes], *, dry_run: bool = False) -> bytes:
        more = {"dry_run": True} if dry_run else {"calculate_record_count": False}
        asked: Mapping[str, Any] = {"resource_id": self._resource, "force": True, "method": "insert", **more}
        return json.dumps(asked).encode()[:-1] + b', "records": [' + b",".join(batch) + b"]}"

    def _insert(self, batch: list[bytes]) -> None:
        """Insert a batch, or its halves when a proxy does not let so much through."""
        try:
            self._api.send("datastore_upsert", self._body(batch), is_done=lambda: self._newest_id() > self._newest)
        except ApiRefused as exc:
            status = exc.facts["http_status"]
            if status == 413 and len(batch) > 1:
                self._insert(batch[: len(batch) // 2])
                self._insert(batch[len(batch) // 2 :])
                return
            if status in _OF_DATA:
                raise self._located(batch, exc) from exc
            raise
        self._sent += len(batch)
        self._newest = self._newest_id()

    def _located(self, batch: list[bytes], refused: ApiRefused) -> AircanError:
        """Return the refusal of a batch with the row and the column that are to blame, found by trying halves.

        CKAN 2.10 answers alike when its database is away, so that is asked before and afterwards.
        """
        self._ask_whether_allowed()
        first, rows = self._sent, batch
        while len(rows) > 1:
            half = rows[: len(rows) // 2]
            if why := self._tried(half):
                rows, refused = half, why
            else:
                first, rows = first + len(half), rows[len(half) :]
        if not (why := self._tried(rows)):
            return refused
        cells = json.loads(rows[0])
        alone = {name: self._tried([json.dumps({name: cell}).encode()]) for name, cell in cells.items()}
        field = next((name for name, said in alone.items() if said), "")
        self._ask_whether_allowed()
        quoted = _QUOTED.search(why.facts["reason"])
        value = str(cells[field]) if field else quoted[1] if quoted else why.facts["reason"]
        return ValueRefused(why.facts["reason"], row=first + 1, field=field or "?", value=value[:_VALUE_KEPT])

    def _tried(self, rows: list[bytes]) -> ApiRefused | None:
        """Return why CKAN refuses rows, None when it would take them. Nothing is written."""
        try:
            self._api.send("datastore_upsert", self._body(rows, dry_run=True), faults=1)
        except ApiRefused as exc:
            return exc
        return None

    def _check(self, before: int, rows: int) -> None:
        """Raise RowsMissing unless as many rows came as were sent: a request may have been done twice, unseen."""
        if (there := self._count()) != before + rows:
            raise RowsMissing(rows=rows, loaded=there - before)

    def _make_views(self) -> None:
        """Have CKAN make the views that it gives every table; the rows are there with or without."""
        try:
            resource = self._api.call("resource_show", id=self._resource)
            self._api.call("resource_create_default_resource_views", resource=resource, create_datastore_views=True)
        except AircanError as exc:
            log.warning("No default views for %s: %s", self._resource, exc, extra={"action": "api_no_views"})


def _ours(kind: str) -> Type:
    """Return the type of ours that the values of a column of CKAN's type have."""
    if kind in _OURS:
        return Type(kind)
    if kind in ("int", "int4", "int8", "float", "float4", "float8", "bigint", "integer", "double precision"):
        return Type.NUMERIC
    return Type.TIMESTAMP if kind.startswith("timestamp") else Type.TEXT

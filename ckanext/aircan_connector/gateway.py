"""What a worker outside CKAN may do with its run token, and only with its own job's: read the file, fill the hidden
table, publish it.

docs/gateway.md is the contract. The doors themselves (HTTP) are in `gateway_views`. No user of CKAN is involved, and
nothing that is returned here holds a credential.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, BinaryIO

import ckantoolkit as tk
from ckan import model as ckan_model

from aircan import progress
from aircan.contract import REPLACE, Field, Publish, Report, Writing
from aircan.errors import Blame, JobClosed, RequestRefused, SourceChanged, SourceMissing, StageClosed
from aircan.status import ACTIVE, Status

from . import background, jobs, model, tokens, uploads
from .datastore import connect
from .datastore.sink import DirectSink
from .incoming import Incoming
from .publishing import DONE, FAILED, NAME, NONE, WORKING
from .ranges import Wanted, wanted

log = logging.getLogger(__name__)

PIECE_BYTES = 65_536
PROGRESS_S = 2.0
"""Least time between two reports of progress while parts arrive."""

TAKEN_UP_S = 5.0
"""How long a background job that was just queued may take until it is missed."""

MAX_NAME_BYTES = 63
MAX_NUMBER = 2**31 - 1
"""Largest number of a part, and more parts than there will ever be: PostgreSQL's int."""

MAX_ROWS = 2**53
"""More rows than there will ever be, and every JSON reader can still tell the numbers apart."""


def opened(job_id: str, token: str, door: str) -> dict[str, Any]:
    """Return the job whose door the token opens. Raises TokenRefused, and JobClosed when the job is final.

    Both are counted; a worker that has not yet heard of a cancel comes too late, and so does who repeats a request.
    """
    job = dict(tokens.check(token, jobs.get(job_id), door=door, job_id=job_id))
    if Status(job["status"]) not in ACTIVE:
        background.count_refused_token(background.LATE)
        raise JobClosed(status=job["status"])
    return job


def shown(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error as it may leave CKAN: without its detail, which may name our hosts, unless data is to blame."""
    return {**error, "detail": error["detail"] if error["blame"] == Blame.DATA.value else ""}


# -- the file -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """What is sent of a file. `size_bytes` is the whole file's."""

    name: str
    etag: str
    size_bytes: int
    wanted: Wanted
    source: uploads.UploadSource

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes. Raises SourceChanged, with the last piece held back, when the file was changed meanwhile.

        So an answer that is complete is of one file.
        """
        left = self.wanted.stop - self.wanted.start
        held = b""
        with closing(self.source.open_at(self.wanted.start)) as file:
            while left:
                piece = file.read(min(left, PIECE_BYTES))
                if not piece:
                    raise SourceChanged("it became shorter", name=self.name)
                left -= len(piece)
                yield held
                held = piece
        if self.source.etag() != self.etag:
            raise SourceChanged("its ETag is another now", name=self.name)
        yield held


def file(job: Mapping[str, Any], header: str | None, if_range: str | None) -> Served:
    """Return what to send of the job's uploaded file.

    Args:
        job: whose file.
        header: the request's Range, None without one.
        if_range: the request's If-Range.

    Raises:
        RequestRefused: the resource is a link, which the worker fetches itself, or its file is where only its
            own URL leads.
        SourceMissing: the resource is deleted, or its file is not there.
    """
    found = ckan_model.Resource.get(job["resource"])
    if found is None or "deleted" in (found.state, found.package.state):
        name = job["info"].get("name") or job["resource"]
        raise SourceMissing("the resource or its dataset is deleted", name=name)
    resource = tk.get_action("resource_show")({"ignore_auth": True}, {"id": job["resource"]})
    if resource.get("url_type") != "upload":
        raise RequestRefused(reason="the resource is a link, not a file in the storage of this site")
    source = uploads.UploadSource(resource)
    if source.size_bytes is None:
        if not source.is_ours:
            raise RequestRefused(reason="the file is kept by an extension that does not hand it out")
        raise SourceMissing(name=source.name)
    etag = source.etag()
    return Served(source.name, etag, source.size_bytes, wanted(source.size_bytes, etag, header, if_range), source)


# -- the hidden table ---------------------------------------------------------------------------------------------


def _sink(job: Mapping[str, Any]) -> Any:
    return closing(DirectSink(job["id"], job["resource"], own=connect.shared()))


def columns(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"columns": [Field.to_dict()] or None}: those of the table that is there."""
    with _sink(job) as sink:
        found = sink.columns()
    return {"columns": None if found is None else [field.to_dict() for field in found]}


def begin(job: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Make an empty hidden table from {"fields", "writing"}; one of an earlier try is replaced.

    Raises RequestRefused, StageClosed while the table is published, and what `Sink.begin` raises.
    """
    fields = _fields(told.get("fields"))
    try:
        writing = Writing.from_dict(told["writing"]) if told.get("writing") is not None else REPLACE
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RequestRefused(reason="writing is missing or wrong") from exc
    _open_again(job)
    with _sink(job) as sink:
        sink.begin(fields, writing)
    jobs.report(job["id"], Report(Status.RUNNING, progress={"rows": 0}))
    return {}


def discard(job: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the hidden table; what is published stays. Raises StageClosed while it is published."""
    _open_again(job)
    with _sink(job) as sink:
        sink.discard()
    return {}


def _open_again(job: Mapping[str, Any]) -> None:
    """Forget how an earlier publishing ended. Raises StageClosed while there is one, JobClosed."""

    def forgotten(old: Mapping[str, Any] | None) -> None:
        if (old or {}).get("state") == WORKING:
            raise StageClosed

    _keep(job, forgotten)


def _fields(told: Any) -> list[Field]:
    if not isinstance(told, list) or not told:
        raise RequestRefused(reason="fields is no list with at least one field")
    try:
        fields = [Field.from_dict(one) for one in told]
        for field in fields:
            field.label.encode()  # no text with half a character in it, which the database would refuse much later
            field.to_dict()
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RequestRefused(reason="a field is not made as agreed") from exc
    names = [field.id for field in fields]
    for name in names:
        if not isinstance(name, str) or not _is_name(name):
            raise RequestRefused(reason=f"{str(name)[:100]!r} cannot be the name of a column")
    if len(set(names)) < len(names):
        raise RequestRefused(reason="two fields have the same name")
    return fields


def _is_name(name: str) -> bool:
    is_plain = name.isprintable() and not name.startswith("_") and '"' not in name and name == name.strip()
    return bool(name) and is_plain and len(name.encode("utf-8", "replace")) <= MAX_NAME_BYTES


def number(text: str | None, name: str, most: int) -> int:
    """Return a number from 0 to `most` as it stands in an address or a header. Raises RequestRefused."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > most:
        raise RequestRefused(reason=f"{name} is not a number from 0 to {most}")
    return int(text)


def take(job: Mapping[str, Any], number: int, rows: int, body: Incoming) -> dict[str, Any]:
    """Load a part; return {"loaded", "rows"}: False when it was there already, and the rows of all parts so far.

    When a job that has added its rows to a table begins once more, its parts are left alone.
    Raises what `DirectSink.take` raises; nothing of the part is there then.
    """
    if NAME in job["info"] and job["info"][NAME]["state"] != FAILED:
        raise StageClosed
    with _sink(job) as sink:
        taken = sink.take(number, rows, body)
    _tell_arrived(job["id"], taken.rows)
    return {"loaded": taken.loaded, "rows": taken.rows}


def _tell_arrived(job_id: str, rows: int) -> None:
    """Report how many rows are there, unless somebody has just reported something; the last ones always."""
    job = jobs.get(job_id)
    if job is None or Status(job["status"]) not in ACTIVE:
        return
    told = job["info"].get("progress") or {}
    total = told.get("total_rows")
    is_last = bool(total and rows >= total)
    is_early = job["last_report"] and (model.now() - job["last_report"]).total_seconds() < PROGRESS_S
    if rows <= (told.get("rows") or 0) or (is_early and not is_last):
        return
    new: dict[str, Any] = {"rows": rows}
    if total:
        new.update(progress.told("load", rows / total, _worked_s(job)))
        new["percent"] = max(new["percent"], told.get("percent") or 0)
    jobs.report(job_id, Report(Status.RUNNING, progress=new))


def _worked_s(job: Mapping[str, Any]) -> float:
    """Return the seconds since the task load began, 0 when nobody told of it."""
    began = next((task.get("started") for task in job["info"].get("tasks") or [] if task["id"] == "load"), None)
    return (model.now() - datetime.fromisoformat(began)).total_seconds() if began else 0.0


# -- publishing ---------------------------------------------------------------------------------------------------


def publish(job: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Have a background worker publish {"rows", "when"}, unless that is done or under way; return as `published`.

    Raises RequestRefused, StageMissing, TableBusy while a part is still on its way, and FactoryUnavailable when
    nothing can be queued.
    """
    rows = told.get("rows")
    if not isinstance(rows, int) or isinstance(rows, bool) or not 0 <= rows <= MAX_ROWS:
        raise RequestRefused(reason=f"rows is not a number from 0 to {MAX_ROWS}")
    try:
        when = Publish(told.get("when") or Publish.SEARCHABLE)
    except ValueError as exc:
        raise RequestRefused(reason="when is none of " + ", ".join(one.value for one in Publish)) from exc
    known = job["info"].get(NAME) or {}
    if known.get("state") not in (WORKING, DONE) and "written" not in known:
        with _sink(job) as sink:
            sink.close_stage()

    def begun(old: Mapping[str, Any] | None) -> dict[str, Any]:
        old = dict(old or {})
        if old.get("state") in (WORKING, DONE):
            return old
        kept = {"written": old["written"]} if "written" in old else {}
        return {"state": WORKING, "rows": rows, "when": when.value, **kept}

    return published({**job, "info": _keep(job, begun)["info"]})


def published(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"state"}: none, working, done with "written" and "warnings", or failed with "error".

    Work that nobody does any more (its worker was killed) is queued again. Raises FactoryUnavailable.
    """
    told = job["info"].get(NAME) or {"state": NONE}
    if told["state"] == WORKING:
        _have_it_done(job["id"], told)
    if told["state"] == FAILED:
        return {"state": FAILED, "error": shown(told["error"])}
    names = ("state", "written", "warnings") if told["state"] == DONE else ("state",)
    return {name: told[name] for name in names}


def _have_it_done(job_id: str, told: Mapping[str, Any]) -> None:
    queued = told.get("queued")
    if queued:
        age_s = (model.now() - datetime.fromisoformat(queued)).total_seconds()
        if age_s < TAKEN_UP_S or model.is_taken(job_id) or background.publish_waits(job_id):
            return
        log.warning("Job %s is published by nobody and queued again", job_id, extra={"action": "publish_queued_again"})
    background.enqueue_publish(job_id)

    def noted(old: Mapping[str, Any] | None) -> Any:
        return {**old, "queued": model.now().isoformat()} if old and old.get("state") == WORKING else old

    jobs.keep(job_id, NAME, noted)


def _keep(job: Mapping[str, Any], change: Any) -> dict[str, Any]:
    kept = jobs.keep(job["id"], NAME, change)
    if kept is None:
        raise JobClosed(status=(jobs.get(job["id"]) or job)["status"])
    return kept


def body(stream: BinaryIO, size_bytes: int, number: int, encoding: str, folder: str | None) -> Incoming:
    """Return the body of a part. Raises RequestRefused for an encoding that is not gzip or none."""
    word = encoding.strip().lower()
    if word not in ("", "identity", "gzip", "x-gzip"):
        raise RequestRefused(reason=f"the Content-Encoding {word[:40]!r} is not known; there are gzip and identity")
    return Incoming(stream, size_bytes, number, gzipped=word.endswith("gzip"), folder=folder)

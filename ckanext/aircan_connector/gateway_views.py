"""The doors of the gateway: HTTP for `gateway`, answers in JSON.

Who comes here is a program with a run token in a header that no page of another site can make a browser send, and
no user: so CKAN's check of forms (CSRF) does not apply, and no session counts. Answers are never cached: CKAN would
let proxies keep what is sent to anonymous visitors.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any
from urllib.parse import quote

import ckantoolkit as tk
from ckan.config.middleware.flask_app import csrf
from flask import Blueprint, Response, stream_with_context
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from aircan.errors import (
    AircanError,
    Blame,
    BodyTooLarge,
    DatastoreMisconfigured,
    DatastoreUnavailable,
    FactoryUnavailable,
    JobClosed,
    JobStopped,
    LengthMissing,
    LoadFailed,
    RequestRefused,
    SourceMissing,
    StageClosed,
    StageMissing,
    TableBusy,
    TokenRefused,
    Unexpected,
)

from . import config, gateway, tokens

log = logging.getLogger(__name__)

blueprint = Blueprint("aircan_gateway", __name__)
csrf.exempt(blueprint)

HEADER = "X-AirCan-Token"
ROWS = "X-AirCan-Rows"
RETRY_AFTER_S = 5
MAX_LEFT_BYTES = 67_108_864
"""Most that is read of a body that nobody wants, so that who sends it gets our answer and not a broken connection."""

_JOB = "/api/aircan/v1/jobs/<job_id>"

STATUSES: tuple[tuple[type[AircanError], int], ...] = (
    (TokenRefused, 403),
    (SourceMissing, 404),
    (StageMissing, 409),
    (StageClosed, 409),
    (JobClosed, 410),
    (JobStopped, 410),
    (LengthMissing, 411),
    (BodyTooLarge, 413),
    (RequestRefused, 400),
    (DatastoreUnavailable, 503),
    (TableBusy, 503),
    (FactoryUnavailable, 503),
    (DatastoreMisconfigured, 500),
)
"""Error -> status, the first that fits. Others are about the data (422) or our own (500)."""


def status_of(error: AircanError) -> int:
    """Return the HTTP status of an error."""
    for cls, status in STATUSES:
        if isinstance(error, cls):
            return status
    is_about_data = error.blame is Blame.DATA or (isinstance(error, LoadFailed) and type(error) is not LoadFailed)
    return 422 if is_about_data else 500


def _refusal(error: AircanError) -> Response:
    """Return the answer for an error."""
    answer = _json({"error": gateway.shown(error.to_dict())}, status_of(error))
    if answer.status_code == 503:
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
    return answer


def _json(told: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(told, ensure_ascii=False), status, mimetype="application/json")


def door(view: Callable[..., Response]) -> Callable[..., Response]:
    """Let a view be entered with the job's run token only, and turn errors into answers."""

    @wraps(view)
    def entered(job_id: str, **more: Any) -> Response:
        tk.request.environ["__no_cache__"] = True
        try:
            job = gateway.opened(job_id, tk.request.headers.get(HEADER, ""), view.__name__)
            answer = view(job, **more)
        except AircanError as exc:
            log.info("The gateway refused %s of job %s: %s", view.__name__, tokens.shown(job_id), exc.code)
            answer = _refusal(exc)
        except HTTPException as exc:
            answer = _refusal(RequestRefused(reason=exc.name))
        except SQLAlchemyError:
            log.exception("The gateway has no database", extra={"action": "gateway_failed"})
            answer = _refusal(DatastoreUnavailable("CKAN's own"))
        except Exception:  # CKAN would mail the headers to the operators, the token among them
            log.exception("The gateway failed at %s", view.__name__, extra={"action": "gateway_failed"})
            answer = _refusal(Unexpected(job_id=tokens.shown(job_id)))
        _read_what_is_left()
        answer.headers["Cache-Control"] = "private, no-store"
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    return entered


def _read_what_is_left() -> None:
    left = min(tk.request.content_length or 0, MAX_LEFT_BYTES)
    try:
        while left > 0 and (piece := tk.request.stream.read(min(left, gateway.PIECE_BYTES))):
            left -= len(piece)
    except (OSError, ValueError, HTTPException):
        return  # it is not whole; who sent it is gone


def _length() -> int:
    """Return the length of the body. Raises LengthMissing, BodyTooLarge, RequestRefused."""
    told = str(tk.request.environ.get("CONTENT_LENGTH") or "")
    if not told or "HTTP_TRANSFER_ENCODING" in tk.request.environ:
        raise LengthMissing(reason="it has no Content-Length")
    length = gateway.number(told, "Content-Length", 2**63 - 1)
    if length > config.max_body_bytes():
        raise BodyTooLarge(size_bytes=length, limit_bytes=config.max_body_bytes())
    return length


def _told() -> dict[str, Any]:
    """Return the JSON object of the body. Raises RequestRefused, LengthMissing, BodyTooLarge."""
    length = _length()
    try:
        data = tk.request.stream.read(length)
        told = json.loads(data)
    except (ValueError, RecursionError, OSError) as exc:
        raise RequestRefused(reason="the body is no JSON") from exc
    if not isinstance(told, dict):
        raise RequestRefused(reason="the body is no JSON object")
    return told


@blueprint.route(f"{_JOB}/file", methods=["GET"])
@door
def file(job: dict[str, Any]) -> Response:
    """Send the bytes of the job's uploaded file, all or a range; HEAD sends the headers."""
    served = gateway.file(job, tk.request.headers.get("Range"), tk.request.headers.get("If-Range"))
    asked, size = served.wanted, served.size_bytes
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": served.etag,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(served.name, safe='')}",
        "Content-Type": "application/octet-stream",
    }
    if asked.missing:
        answer = _refusal(RequestRefused(reason=f"the file has {size} bytes, and none in this range"))
        answer.status_code = 416
        answer.headers["Content-Range"] = f"bytes */{size}"
        answer.headers["ETag"] = served.etag
        return answer
    headers["Content-Length"] = str(asked.stop - asked.start)
    if asked.part:
        headers["Content-Range"] = f"bytes {asked.start}-{asked.stop - 1}/{size}"
    is_head = tk.request.method == "HEAD"
    pieces: Iterator[bytes] = iter(()) if is_head else stream_with_context(served.pieces())
    return Response(pieces, 206 if asked.part else 200, headers, direct_passthrough=True)


@blueprint.route(f"{_JOB}/columns", methods=["GET"])
@door
def columns(job: dict[str, Any]) -> Response:
    """Return the columns of the table that is there."""
    return _json(gateway.columns(job))


@blueprint.route(f"{_JOB}/stage", methods=["PUT"])
@door
def begin(job: dict[str, Any]) -> Response:
    """Make an empty hidden table."""
    return _json(gateway.begin(job, _told()))


@blueprint.route(f"{_JOB}/stage", methods=["DELETE"])
@door
def discard(job: dict[str, Any]) -> Response:
    """Drop the hidden table."""
    return _json(gateway.discard(job))


@blueprint.route(f"{_JOB}/parts/<number>", methods=["PUT"])
@door
def part(job: dict[str, Any], number: str) -> Response:
    """Load a part."""
    at = gateway.number(number, "the number of a part", gateway.MAX_NUMBER)
    rows = gateway.number(tk.request.headers.get(ROWS), f"the header {ROWS}", gateway.MAX_ROWS)
    encoding = tk.request.headers.get("Content-Encoding", "")
    with gateway.body(tk.request.stream, _length(), at, encoding, config.load_folder()) as body:
        return _json(gateway.take(job, at, rows, body))


@blueprint.route(f"{_JOB}/publish", methods=["POST"])
@door
def publish(job: dict[str, Any]) -> Response:
    """Have the hidden table published."""
    return _json(gateway.publish(job, _told()), 202)


@blueprint.route(f"{_JOB}/publish", methods=["GET"])
@door
def published(job: dict[str, Any]) -> Response:
    """Return how far the publishing is."""
    return _json(gateway.published(job))

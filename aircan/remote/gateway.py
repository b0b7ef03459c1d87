"""The way from a worker to CKAN's gateway: addresses, the run token, time-outs, retries, answers that make sense.

Requests are idempotent by the gateway's contract, so each may be sent again when its answer was lost.
"""

from __future__ import annotations

import http.client
import json
import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import requests
import urllib3

from aircan import __version__
from aircan.errors import (
    AircanError,
    BodyTooLarge,
    GatewayAnswer,
    GatewayUnreachable,
    JobStopped,
    OrderRefused,
    TokenRefused,
    from_dict,
)
from aircan.keys import run_token
from aircan.net.sources import shown
from aircan.net.whole import WholeAdapter
from aircan.remote.patience import Patience, Waiting, asked

log = logging.getLogger(__name__)

LOST = (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)
"""What a connection can end with before the whole answer is there."""

_HOPELESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
)
_RETRIED = (408, 429, 502, 503, 504, 520, 521, 522, 523, 524)
"""Statuses of trouble that passes; those from 520 on are Cloudflare's for a server that it cannot reach."""

_TRIES_OF_500 = 5
"""A 500 that is not the gateway's own is a CKAN without its database, which passes, or a defect, which does not."""

_AFTERWARDS_S = 20.0
_ERROR_BYTES = 1 << 18
_TITLE = re.compile(rb"<title[^>]*>(.{1,200}?)</title", re.I | re.S)


class Gateway:
    """The doors of one job at its CKAN. May be used by several threads.

    Args:
        site_url: address of CKAN, as this machine reaches it.
        job_id: the job.
        keys: the factory's key; behind it, while a key is changed, the previous one.
        connect_timeout_s, read_timeout_s: how long to wait for a connection, and for the next bytes.
        waiting: how long trouble is borne, and who may stop it.

    Raises:
        OrderRefused: `site_url` is not an http(s) address, or holds a password.
    """

    def __init__(
        self,
        site_url: str,
        job_id: str,
        keys: Sequence[str],
        *,
        connect_timeout_s: float = 5,
        read_timeout_s: float = 60,
        waiting: Waiting | None = None,
    ) -> None:
        parts = urlsplit(site_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise OrderRefused("no http(s) address, or one with a password", field="site_url")
        if not any(keys):
            raise TokenRefused("this worker has no key")
        self.site_url, self.job_id = site_url.rstrip("/"), job_id
        self.base = f"{self.site_url}/api/aircan/v1/jobs/{quote(job_id, safe='')}"
        self.waiting = waiting or Waiting()
        self._tokens = [run_token(key, job_id) for key in keys if key]
        self._timeout = (connect_timeout_s, read_timeout_s)
        self._local = threading.local()
        self._sessions: list[requests.Session] = []
        self._given_up = False

    def __repr__(self) -> str:
        return f"Gateway({shown(self.base)!r})"

    def ask(
        self,
        method: str,
        path: str,
        told: Mapping[str, Any] | None = None,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request to a door of the job and return the JSON object of the answer.

        Args:
            method: GET, PUT, POST or DELETE.
            path: behind the job's address, e.g. "/parts/3".
            told: sent as JSON.
            body: sent as it is, instead.
            headers: go with it.

        Raises:
            GatewayUnreachable: no connection or no answer for as long as it is borne.
            GatewayAnswer: the answer is not the gateway's: a proxy's page, a redirect, another server.
            BodyTooLarge: 413. TokenRefused: no key of ours makes this job's token.
            JobStopped: the job is final. Whatever the gateway itself answers, as the same exception.
        """
        kept = {"Accept": "application/json", **(headers or {})}
        if told is not None:
            body = as_json(told)
            kept["Content-Type"] = "application/json"
        return self._answered(lambda token: self._send(method, self.base + path, kept, body, _Token(token)))

    def act(self, action: str, told: Mapping[str, Any]) -> dict[str, Any]:
        """Call an action of CKAN that takes the run token as parameter `token`, and return its result.

        Raises what `ask` raises.
        """
        url, headers = f"{self.site_url}/api/3/action/{action}", {"Content-Type": "application/json"}

        def send(token: str) -> requests.Response:
            body = as_json({**told, "token": token})
            return self._send("POST", url, headers, body, _nobody)

        answer = self._answered(send).get("result")
        if not isinstance(answer, dict):
            raise GatewayAnswer(f"{action}: no result", url=shown(url), http_status=200, found="JSON")
        return answer

    def stream(self, path: str, headers: Mapping[str, str], *, good: Sequence[int]) -> requests.Response:
        """Open a door whose answer is bytes; the caller reads and closes the answer, on a connection of its own.

        Args:
            path: as for `ask`.
            headers: as for `ask`.
            good: statuses that are returned; others raise, as in `ask`.
        """
        kept = {"Accept": "*/*", "Accept-Encoding": "identity", "Connection": "close", **headers}
        url = self.base + path
        return self._with_token(lambda token: self._send("GET", url, kept, None, _Token(token), stream=True), good)

    def close(self) -> None:
        """Close the connections."""
        while self._sessions:
            self._sessions.pop().close()

    def _answered(self, send: Callable[[str], requests.Response]) -> dict[str, Any]:
        response = self._with_token(send, range(200, 300))
        answer = _json(response.content)
        if answer is None:
            raise _strange(response, response.content)
        return answer

    def _with_token(self, send: Callable[[str], requests.Response], good: Sequence[int]) -> requests.Response:
        """Return a good answer; the token of the previous key is tried once the first is refused, and kept if right."""
        for token in list(self._tokens):
            response = send(token)
            if response.status_code in good:
                if token != self._tokens[0]:
                    log.info("CKAN has the other key", extra={"action": "previous_key", "job_id": self.job_id})
                    self._tokens = [token, *(other for other in self._tokens if other != token)]
                return response
            error = _error(response)
            if not isinstance(error, TokenRefused):
                raise error
        raise error

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        auth: Callable[[requests.PreparedRequest], requests.PreparedRequest],
        *,
        stream: bool = False,
    ) -> requests.Response:
        """Return an answer that is worth reading; connections that fail and servers that are busy are tried again."""
        patience, left = self._patience(), _TRIES_OF_500
        while True:
            wait = None
            try:
                response = self._session().request(
                    method,
                    url,
                    data=body,
                    headers=dict(headers),
                    auth=auth,
                    stream=stream,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
                if not stream:
                    _whole(response)
            except LOST as exc:
                if isinstance(exc, _HOPELESS) or "CERTIFICATE_VERIFY_FAILED" in str(exc):
                    raise self.unreachable(exc, 0) from exc
                error: AircanError = self.unreachable(exc)
                error.__cause__ = exc
            else:
                left -= response.status_code == 500
                if response.status_code not in _RETRIED and (left <= 0 or not _is_strange_500(response, stream=stream)):
                    self._given_up = False
                    return response
                error, wait = _error(response), asked(response.headers.get("Retry-After"))
                if isinstance(error, GatewayAnswer):
                    error = self.unreachable(error, detail=f"status {response.status_code}")
            log.info("%s %s: %s; trying again", method, shown(url), type(error).__name__)
            self._given_up |= patience.is_over
            patience.bear(error, wait)

    def _patience(self) -> Patience:
        """Return little patience once all of it was in vain, so that a run that fails for this reason ends soon."""
        little = min(self.waiting.patience_s, _AFTERWARDS_S)
        return Patience(replace(self.waiting, patience_s=little) if self._given_up else self.waiting)

    def unreachable(self, exc: BaseException, seconds: float | None = None, detail: str = "") -> GatewayUnreachable:
        """Return the error that says that this CKAN cannot be reached, after the whole patience if nothing is said."""
        tried = self.waiting.patience_s if seconds is None else seconds
        return GatewayUnreachable(detail or type(exc).__name__, url=shown(self.site_url), seconds=round(tried))

    def _session(self) -> requests.Session:
        found: requests.Session | None = getattr(self._local, "session", None)
        if found is None:
            found = self._local.session = requests.Session()
            found.headers["User-Agent"] = f"AirCan/{__version__}"
            for scheme in ("http://", "https://"):
                found.mount(scheme, WholeAdapter())
            self._sessions.append(found)
        return found


class _Token(requests.auth.AuthBase):
    """Puts the run token into its header. An object of its own, so that no frame holds a dict that shows it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-AirCan-Token"] = self._token
        return request


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Sign nothing; without it requests would look into a .netrc."""
    return request


def as_json(told: Mapping[str, Any]) -> bytes:
    """Return JSON as short as it gets; half a surrogate pair, which UTF-8 cannot hold, is escaped."""
    try:
        return json.dumps(told, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(told).encode()


def _whole(response: requests.Response) -> None:
    """Raise ConnectionError when an answer ended early, which urllib3 1.26 does not tell."""
    length = response.headers.get("Content-Length", "")
    packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    if length.isdigit() and not packed and len(response.content) < int(length):
        raise requests.ConnectionError("the answer broke off")


def _json(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object of an answer, None when it is none."""
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _is_strange_500(response: requests.Response, *, stream: bool) -> bool:
    """Return whether an answer is a 500 of CKAN itself, or of something before it."""
    if response.status_code != 500 or stream:
        return False
    told = (_json(response.content) or {}).get("error")
    return not (isinstance(told, dict) and "code" in told)


def _error(response: requests.Response) -> AircanError:
    """Return the exception that an answer stands for, and close the answer."""
    try:
        data: bytes = next(response.iter_content(_ERROR_BYTES), b"")
    except LOST:
        data = b""
    response.close()
    told = (_json(data) or {}).get("error")
    if isinstance(told, dict) and isinstance(told.get("code"), str):
        if told["code"] == "job_closed":
            return JobStopped(f"the job is {(told.get('facts') or {}).get('status', 'final')}")
        return from_dict(told)
    if isinstance(told, dict) and told.get("__type") == "Authorization Error":
        return TokenRefused()
    if response.status_code == 413:
        length = response.request.headers.get("Content-Length", "")
        return BodyTooLarge(size_bytes=int(length) if length.isdigit() else None)
    return _strange(response, data, json.dumps(told)[:500] if told else "")


def _strange(response: requests.Response, data: bytes, detail: str = "") -> GatewayAnswer:
    """Return the error for an answer that the gateway would not give, saying what it looks like."""
    if title := _TITLE.search(data):
        detail = " ".join(title[1].decode("utf-8", "replace").split())
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_page = kind in ("text/html", "application/xhtml+xml") or data.lstrip()[:15].lower().startswith(
        (b"<!doctype html", b"<html")
    )
    found = "a web page" if is_page else kind or "nothing"
    if 300 <= response.status_code < 400:
        found = f"a redirect to {shown(response.headers.get('Location', '?'))}"
    return GatewayAnswer(detail, url=shown(response.url or ""), http_status=response.status_code, found=found)

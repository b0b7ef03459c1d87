"""Requests to Airflow over HTTP: one try each, time limits, no redirect followed, signed in anew once if need be."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import requests
from requests.auth import AuthBase

from aircan.errors import FactoryUnreachable

from .answers import BAD_TOKEN, NAME, Answer, passing
from .signin import SignIn

CONNECT_S = 5
"""Seconds to wait for a connection."""

MAX_ANSWER_BYTES = 16_000_000
"""Most bytes of an answer that are read; a log can be long."""

_WORDS = {
    requests.exceptions.ConnectTimeout: "no connection within {connect} seconds",
    requests.exceptions.SSLError: "its certificate is not trusted",
    requests.exceptions.ProxyError: "the proxy on the way to it does not answer",
    requests.exceptions.Timeout: "no answer within {timeout} seconds",
    requests.exceptions.ConnectionError: "the connection failed",
}


class _Signed(AuthBase):
    """Sets our header, and keeps `requests` from taking another sign-in out of a .netrc file."""

    def __init__(self, value: str) -> None:
        self.value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.value:
            request.headers["Authorization"] = self.value
        return request


class HttpLink:
    """The way to an Airflow that has an address."""

    max_path: int | None = None

    def __init__(self, url: str, sign_in: SignIn, timeout_s: float) -> None:
        """Keep where to ask and as whom.

        Args:
            url: address of Airflow, with its path if it has one; paths are put behind it.
            sign_in: who we are.
            timeout_s: seconds to wait for an answer.
        """
        self.url = url.rstrip("/")
        self._sign_in, self._timeout_s = sign_in, timeout_s
        self._session = requests.Session()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        accept: str = "application/json",
        open_door: bool = False,
    ) -> Answer:
        """Send a request, a second time with a fresh sign-in if the first was refused. See `answers.Link`."""
        header = "" if open_door else self._sign_in.header()
        answer = self._send(method, path, query, body, accept, header)
        bad_token = answer.status == 401 or (answer.status == 403 and answer.said == BAD_TOKEN)
        if bad_token and not open_door and self._sign_in.renew():
            answer = self._send(method, path, query, body, accept, self._sign_in.header())
        return answer

    def _send(self, method: str, path: str, query: Any, body: Any, accept: str, header: str) -> Answer:
        headers = {"Accept": accept}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        try:
            with self._session.request(
                method,
                self.url + path,
                params=query,
                data=data,
                headers=headers,
                auth=_Signed(header),
                timeout=(CONNECT_S, self._timeout_s),
                allow_redirects=False,
                stream=True,
            ) as found:
                answer = self._read(found)
        except requests.RequestException as exc:
            raise self._unreachable(exc) from exc
        if answer.status == 429 or answer.status >= 500:
            raise passing(answer.status, answer.said, answer.retry_after_s)
        return answer

    def _read(self, found: requests.Response) -> Answer:
        end = time.monotonic() + 2 * self._timeout_s
        data = bytearray()
        for piece in found.iter_content(65536):
            data += piece
            if len(data) > MAX_ANSWER_BYTES or time.monotonic() > end:
                raise FactoryUnreachable(factory=NAME, reason="its answer is too long or too slow")
        wait = found.headers.get("Retry-After", "")
        return Answer(
            status=found.status_code,
            kind=found.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            text=data.decode("utf-8", "replace"),
            retry_after_s=int(wait) if wait.isdigit() else None,
            location=found.headers.get("Location", ""),
        )

    def _unreachable(self, exc: requests.RequestException) -> FactoryUnreachable:
        words = next((text for cls, text in _WORDS.items() if isinstance(exc, cls)), "the request failed")
        reason = words.format(connect=CONNECT_S, timeout=round(self._timeout_s))
        return FactoryUnreachable(type(exc).__name__, factory=NAME, reason=reason)

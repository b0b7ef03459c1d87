"""The action API of a CKAN, with a person's API token. Imports only `errors`.

For a CKAN that has nothing of ours; where there is our gateway, a worker needs no token of a person.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import requests
import urllib3

from aircan import __version__
from aircan.errors import ApiRefused, DatastoreUnavailable

TIMEOUT_S = 300.0
"""How long an answer may take: CKAN inserts some 2,000 rows a second."""

PATIENCE_S = 300.0
"""How long a request is tried again before its action counts as not to be had."""

SETTLE_S = 30.0
"""How long a request without an answer is waited for, in case CKAN still works on it, before it is sent again."""

FAULTS = 5
"""Answers with status 500 of one request after which CKAN counts as unable to do it."""

_AGAIN = {429, 500, 502, 503, 504}
_NOT_DONE = {429, 503}
_MAX_WAIT_S = 30.0
_KEPT = 300


class CkanApi:
    """Calls actions of one CKAN, again where that may help.

    Args:
        url: address of the CKAN, with the path under which it is, if any.
        token: API token of somebody who may edit the dataset; sent to `url` only, shown nowhere.
        timeout_s, patience_s, settle_s: see `TIMEOUT_S`, `PATIENCE_S` and `SETTLE_S`.
        clock, sleep: seconds that only go forward, and how to let them pass.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = PATIENCE_S,
        settle_s: float = SETTLE_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.url = url.rstrip("/")
        self._timeout_s, self._patience_s, self._settle_s = timeout_s, patience_s, settle_s
        self._clock, self._sleep = clock, sleep
        self._session = requests.Session()
        self._session.headers.update(
            {"Authorization": token, "Content-Type": "application/json", "User-Agent": f"AirCan/{__version__}"}
        )

    def call(self, action: str, **data: Any) -> Any:
        """Call an action that may be called twice; return its result. Raises as `send`."""
        return self.send(action, json.dumps(data).encode())

    def send(self, action: str, body: bytes, is_done: Callable[[], bool] | None = None, *, faults: int = FAULTS) -> Any:
        """Call an action; return its result, or None when only `is_done` knows that it was done.

        Args:
            action: its name.
            body: its parameters as JSON.
            is_done: for an action that must not be done twice: asked after a request without an answer.
            faults: how often CKAN may answer with a fault of its own (500); the last counts as a refusal, since CKAN
                2.10 says so of a value that does not fit.

        Raises:
            ApiRefused: CKAN refused, or what answers is no CKAN.
            DatastoreUnavailable: no answer, or none but "not now", for `patience_s`.
        """
        deadline, wait_s = self._clock() + self._patience_s, 1.0
        while True:
            answer, said = self._post(action, body)
            is_fault = answer is not None and answer.status_code == 500
            faults -= is_fault
            if answer is not None and (answer.status_code not in _AGAIN or (is_fault and faults < 1)):
                return _read(action, answer)
            if self._clock() + wait_s > deadline:
                raise DatastoreUnavailable(f"{action}: {said}")
            if is_done and not is_fault and not _surely_not_done(answer, said):
                if self._settled(is_done):
                    return None
            else:
                self._sleep(max(wait_s, _asked_to_wait(answer)))
                if is_fault and is_done and is_done():
                    return None
            wait_s = min(wait_s * 2, _MAX_WAIT_S)

    def _post(self, action: str, body: bytes) -> tuple[requests.Response | None, str]:
        """Return (answer, what there is to say); no answer when the connection failed."""
        try:
            answer = self._session.post(
                f"{self.url}/api/3/action/{action}", data=body, timeout=(10, self._timeout_s), allow_redirects=False
            )
        except requests.RequestException as exc:
            return None, _REFUSED if _never_connected(exc) else type(exc).__name__
        return answer, f"status {answer.status_code}"

    def _settled(self, is_done: Callable[[], bool]) -> bool:
        """Wait for what CKAN may still be at; return whether it was done."""
        end, wait_s = self._clock() + self._settle_s, 1.0
        while True:
            self._sleep(wait_s)
            if is_done():
                return True
            if self._clock() >= end:
                return False
            wait_s = min(wait_s * 2, _MAX_WAIT_S)


_REFUSED = "no connection"


def _never_connected(exc: requests.RequestException) -> bool:
    reason = getattr(exc.args[0] if exc.args else None, "reason", None)
    return isinstance(exc, requests.ConnectTimeout) or isinstance(reason, urllib3.exceptions.NewConnectionError)


def _surely_not_done(answer: requests.Response | None, said: str) -> bool:
    return said == _REFUSED if answer is None else answer.status_code in _NOT_DONE


def _asked_to_wait(answer: requests.Response | None) -> float:
    asked = answer.headers.get("Retry-After", "") if answer is not None else ""
    return min(float(asked), _MAX_WAIT_S) if asked.isdigit() else 0.0


def _read(action: str, answer: requests.Response) -> Any:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if answer.status_code == 200 and isinstance(told, dict) and told.get("success"):
        return told.get("result")
    raise ApiRefused(action=action, http_status=answer.status_code, reason=_reason(answer, told))


def _reason(answer: requests.Response, told: Any) -> str:
    """Return in a line why CKAN refused, or what answered in its place."""
    if answer.is_redirect:
        return f"redirect to {answer.headers.get('Location', '?').partition('?')[0]}"[:_KEPT]
    error = told.get("error") if isinstance(told, dict) else told
    if isinstance(error, dict):
        facts = {k: v for k, v in error.items() if k not in ("__type", "records_row", "data", "info")}
        error = facts.get("message") if set(facts) == {"message"} else "; ".join(_flat(facts or error))
    if error:
        return re.sub(r"\s+", " ", str(error))[:_KEPT]
    return f"no answer of CKAN's API ({answer.headers.get('Content-Type', 'no content type')})"


def _flat(value: Any, name: str = "") -> list[str]:
    if isinstance(value, dict):
        return [line for key, inner in value.items() for line in _flat(inner, str(key))]
    if isinstance(value, list):
        return [line for inner in value for line in _flat(inner, name)]
    return [f"{name}: {value}" if name else str(value)]

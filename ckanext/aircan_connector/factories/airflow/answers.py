"""What an answer of Airflow says, in any of the shapes that errors have, and the error of our tree that it means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aircan.errors import FactoryUnreachable, NotTheFactory, RightMissing, SignInRefused

NAME = "airflow"
"""Name of the factory, as the errors say it."""

MAX_SAID = 300
"""Longest piece of an answer that is shown in an error, in characters."""

BAD_TOKEN = "Invalid JWT token"  # noqa: S105 - what is said to a bad one
"""What Airflow 3 says, with status 403, to a token that it cannot read (3.3.2)."""

MOVED = "has been removed in Airflow 3"
"""What Airflow 3 says, with status 404, to any path of API v1 (3.3.2)."""


@dataclass(frozen=True)
class Answer:
    """An answer: status, media type without parameters, body, and seconds after which to ask again, if it says so."""

    status: int
    kind: str = ""
    text: str = field(default="", repr=False)
    retry_after_s: int | None = None
    location: str = ""

    @property
    def json(self) -> Any:
        """The body, read as JSON; None when it is something else (a page, nothing)."""
        if "json" not in self.kind:
            return None
        try:
            return json.loads(self.text)
        except ValueError:
            return None

    @property
    def said(self) -> str:
        """The reason that an error gives, in one line: five shapes in three versions, or the beginning of a page."""
        body = self.json
        if not isinstance(body, dict):
            is_page = "html" in self.kind and self.text.lstrip().startswith("<")  # 1.10 calls bare words HTML
            return _line("a web page (HTML)" if is_page else self.text)
        detail = body.get("detail") or body.get("error") or body.get("message") or body.get("title") or ""
        if isinstance(detail, list):
            detail = "; ".join(_place(item) for item in detail)
        elif isinstance(detail, Mapping):
            detail = ": ".join(str(detail[name]) for name in ("reason", "message") if detail.get(name))
        return _line(str(detail))


def _place(item: Any) -> str:
    if not isinstance(item, Mapping):
        return str(item)
    return " ".join([".".join(map(str, item.get("loc") or ())), str(item.get("msg") or "")]).strip()


def _line(text: str) -> str:
    return " ".join(text.split())[:MAX_SAID].rstrip(".")


class Link(Protocol):
    """A way to Airflow's API."""

    url: str
    """Address of Airflow's pages, "" when it is not known."""

    max_path: int | None
    """Longest path that gets through, None when there is no such limit."""

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
        """Send a request and return the answer, whatever its status below 500 but 429.

        Args:
            method: of HTTP.
            path: with a slash at the start, quoted.
            query: parameters behind the path.
            body: is sent as JSON.
            accept: media type that is wanted.
            open_door: whether the request needs no sign-in, as the version does.

        Raises:
            FactoryUnreachable: no connection, no answer in time, status 429 or 500 and above. It is not known whether
                the request arrived.
            SignInRefused: the sign-in itself failed.
        """
        ...


def refused(answer: Answer, doing: str, url: str) -> None:
    """Raise the error that an answer means, if it is one that any request may get; else do nothing.

    Args:
        answer: the answer.
        doing: what was tried, for a sentence like "does not allow this site's user: ...".
        url: Airflow's address, for the sentence that something else answers there.
    """
    body = answer.json
    if answer.status == 401 or (answer.status == 403 and answer.said == BAD_TOKEN):
        raise SignInRefused(factory=NAME, reason=answer.said or f"status {answer.status}")
    if answer.status == 403:
        raise RightMissing(answer.said, factory=NAME, doing=doing)
    if 300 <= answer.status < 400:
        raise NotTheFactory(factory=NAME, url=url, reason=f"it leads to {answer.location.partition('?')[0]}")
    if answer.status == 404 and MOVED in answer.said:
        raise NotTheFactory(factory=NAME, url=url, reason="it is Airflow 3, which does not speak API v1")
    if not isinstance(body, (dict, list)) and answer.status != 204 and "text/plain" not in answer.kind:
        reason = f"status {answer.status}, {answer.kind or 'no body'}"
        raise NotTheFactory(answer.said, factory=NAME, url=url, reason=reason)


def passing(status: int, said: str, retry_after_s: int | None = None) -> FactoryUnreachable:
    """Return the error for an answer that will not be the same later: too many requests, or the server failed."""
    reason = "it is asked too often" if status == 429 else f"its server failed with status {status}"
    return FactoryUnreachable(said, factory=NAME, reason=reason, retry_after_s=retry_after_s)

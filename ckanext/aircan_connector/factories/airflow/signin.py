"""Who CKAN is for Airflow: what is sent with a request so that it is let in. No secret is ever in a `repr`."""

from __future__ import annotations

import base64
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aircan.errors import FactoryMisconfigured, SignInRefused

from .answers import NAME, Answer

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
"""What Cloud Composer's web server asks a Google credential for."""


@dataclass
class Remembered:
    """What one process need not ask again: the token, and which API there is."""

    token: str = field(default="", repr=False)
    api: str = ""


@functools.lru_cache(maxsize=4)
def remembered(url: str, username: str) -> Remembered:
    """Return what is remembered of an Airflow for a user."""
    return Remembered()


class SignIn(ABC):
    """A way to sign in."""

    @abstractmethod
    def header(self) -> str:
        """Return the value of the Authorization header, "" for none. Raises SignInRefused."""

    def renew(self) -> bool:
        """Forget what Airflow has just refused; return whether to try once more."""
        return False


class Nobody(SignIn):
    """No sign-in: for an Airflow that lets everybody in, or a proxy that signs in."""

    def header(self) -> str:
        """Return nothing."""
        return ""


@dataclass(frozen=True)
class Basic(SignIn):
    """User name and password with each request."""

    username: str
    password: str = field(repr=False)

    def header(self) -> str:
        """Return both, as HTTP Basic wants them."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True)
class Bearer(SignIn):
    """A token that does not change: of Astronomer, or of a proxy."""

    token: str = field(repr=False)

    def header(self) -> str:
        """Return the token."""
        return f"Bearer {self.token}"


@dataclass(frozen=True)
class Password(SignIn):
    """User name and password, exchanged for a token at Airflow 3, as they are at older versions.

    Attributes:
        fetch: asks for a token: the body of POST /auth/token -> its answer.
        memory: where the token is kept, and which API there is.
    """

    username: str
    password: str = field(repr=False)
    fetch: Callable[[dict[str, str]], Answer] = field(repr=False)
    memory: Remembered = field(repr=False)

    def header(self) -> str:
        """Return the token, fetched if there is none yet. Raises SignInRefused."""
        if self.memory.api != "v2":
            return Basic(self.username, self.password).header()
        if not self.memory.token:
            answer = self.fetch({"username": self.username, "password": self.password})
            body = answer.json
            token = body.get("access_token") if isinstance(body, dict) else None
            if answer.status not in (200, 201) or not token:
                said = answer.said if answer.status in (400, 401, 403, 422) else f"no token, status {answer.status}"
                raise SignInRefused(factory=NAME, reason=said)
            self.memory.token = str(token)
        return f"Bearer {self.memory.token}"

    def renew(self) -> bool:
        """Forget the token."""
        had, self.memory.token = self.memory.token, ""
        return bool(had)


class Composer(SignIn):
    """Google's application default credentials, for Cloud Composer 2 and 3."""

    def __init__(self) -> None:
        """Find the credentials of the machine. Raises FactoryMisconfigured, SignInRefused."""
        try:
            import google.auth
            import google.auth.exceptions
            from google.auth.transport.requests import Request
        except ImportError as exc:
            reason = "the sign-in composer needs: pip install ckanext-aircan-connector[composer]"
            raise FactoryMisconfigured(factory=NAME, reason=reason) from exc
        self._errors = google.auth.exceptions.GoogleAuthError
        self._request = Request()
        try:
            self._credentials: Any = google.auth.default(scopes=[SCOPE])[0]
        except self._errors as exc:
            raise SignInRefused(
                type(exc).__name__, factory=NAME, reason="no Google credentials on the machine"
            ) from exc

    def header(self) -> str:
        """Return the access token, fetched or renewed if it has run out. Raises SignInRefused."""
        try:
            if not self._credentials.valid:
                self._credentials.refresh(self._request)
        except self._errors as exc:
            raise SignInRefused(type(exc).__name__, factory=NAME, reason="Google gave no access token") from exc
        return f"Bearer {self._credentials.token}"

    def renew(self) -> bool:
        """Fetch another access token. Raises SignInRefused."""
        try:
            self._credentials.refresh(self._request)
        except self._errors as exc:
            raise SignInRefused(type(exc).__name__, factory=NAME, reason="Google gave no access token") from exc
        return True

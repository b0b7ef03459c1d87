"""Requests to Airflow through Amazon's own API (InvokeRestApi), signed by Amazon's library.

A path has no /api/vN there and at most 64 characters, a request ends after 10 seconds, an answer has at most
6 MB, and a null in a body may get lost on the way.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aircan.errors import AircanError, FactoryMisconfigured, FactoryUnreachable, SignInRefused

from .answers import NAME, Answer, passing

MAX_PATH = 64
"""Longest path that Amazon takes (service model of MWAA, 2020-07-01)."""

_OF_AIRFLOW = ("RestApiClientException", "RestApiServerException")
_OF_SIGN_IN = (
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
)
_BUSY = ("ThrottlingException", "TooManyRequestsException", "InternalServerException", "ServiceUnavailableException")


class MwaaLink:
    """The way to an Airflow at Amazon MWAA."""

    max_path: int | None = MAX_PATH

    def __init__(self, environment: str, region: str | None, url: str, timeout_s: float) -> None:
        """Make a client with the credentials of the machine. Raises FactoryMisconfigured.

        `url` is the address of Airflow's pages, for links only; "" when it is not known.
        """
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as exc:
            reason = "the sign-in mwaa needs: pip install ckanext-aircan-connector[mwaa]"
            raise FactoryMisconfigured(factory=NAME, reason=reason) from exc
        self.url = url
        self._environment = environment
        self._refusal, self._trouble = ClientError, BotoCoreError
        settings = Config(connect_timeout=5, read_timeout=timeout_s, retries={"total_max_attempts": 1})
        try:
            self._client: Any = boto3.client("mwaa", region_name=region, config=settings)
        except BotoCoreError as exc:
            raise FactoryMisconfigured(factory=NAME, reason=f"Amazon's library says {exc}".rstrip(".")) from exc

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
        """Send a request and return Airflow's answer. See `answers.Link`; what is wanted as text comes as JSON."""
        if len(path) > MAX_PATH:
            reason = (
                f"a path of Amazon's API has at most {MAX_PATH} characters, and the name of the DAG makes it longer"
            )
            raise FactoryMisconfigured(path, factory=NAME, reason=reason)
        given: dict[str, Any] = {"Name": self._environment, "Path": path, "Method": method}
        if query:
            given["QueryParameters"] = {name: str(value) for name, value in query.items()}
        if body is not None:
            given["Body"] = {name: value for name, value in body.items() if value is not None}
        try:
            found = self._client.invoke_rest_api(**given)
        except self._refusal as exc:
            found = self._of_airflow(exc)
        except self._trouble as exc:
            raise _trouble(exc) from exc
        status, told = int(found.get("RestApiStatusCode") or 0), found.get("RestApiResponse")
        answer = Answer(status, "application/json", json.dumps(told) if told is not None else "")
        if status == 429 or status >= 500:
            raise passing(status, answer.said)
        return answer

    def _of_airflow(self, exc: Any) -> dict[str, Any]:
        """Return the answer of Airflow inside a refusal; raise what a refusal by Amazon means."""
        error = exc.response.get("Error") or {}
        code, said = str(error.get("Code") or ""), str(error.get("Message") or "")
        if code in _OF_AIRFLOW and exc.response.get("RestApiStatusCode"):
            return dict(exc.response)
        if code in _OF_SIGN_IN:
            raise SignInRefused(said, factory=NAME, reason=f"Amazon says {code}") from exc
        if code in _BUSY or code in _OF_AIRFLOW:
            raise FactoryUnreachable(said, factory=NAME, reason=f"Amazon says {code}") from exc
        raise FactoryMisconfigured(said, factory=NAME, reason=f"Amazon says {code}: {said}".rstrip(".")) from exc


def _trouble(exc: Exception) -> AircanError:
    name = type(exc).__name__
    if "Credentials" in name or "Token" in name:
        return SignInRefused(name, factory=NAME, reason="no Amazon credentials on the machine")
    if name == "ParamValidationError":
        return FactoryMisconfigured(str(exc), factory=NAME, reason="Amazon's library refuses the request")
    return FactoryUnreachable(name, factory=NAME, reason=f"Amazon cannot be asked ({name})")

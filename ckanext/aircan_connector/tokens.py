"""Run tokens: which job does this one open? Every way to be wrong gets the same answer, in the same time."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Any

from aircan.errors import FactoryUnavailable, TokenRefused
from aircan.keys import is_run_token

from . import background, config, factories

log = logging.getLogger(__name__)

_NO_KEYS = ("there is no key",)


def check(token: str, job: Mapping[str, Any] | None, *, door: str, job_id: object = "") -> Mapping[str, Any]:
    """Return the job when the token is its own under one of the keys of its factory.

    Args:
        token: what was sent.
        job: the row of the job that was named, None when there is none: the token is compared all the same.
        door: what was asked for, for the log.
        job_id: what was named, for the log.

    Raises:
        TokenRefused: no such job, another job's token, a wrong key, a factory that is not there. It is counted
            (see `background.refused_tokens`) and logged without the token.
    """
    is_right = is_run_token(token, _keys(job) or _NO_KEYS, str(job["id"]) if job else "")
    if job is None or not is_right:
        log.warning("A run token was refused at %s of job %s", door, shown(job_id), extra={"action": "token_refused"})
        background.count_refused_token()
        raise TokenRefused
    return job


def _keys(job: Mapping[str, Any] | None) -> tuple[str, ...]:
    try:
        keys = factories.get(job["factory"] if job else config.factory()).keys()
    except FactoryUnavailable:
        return ()
    return tuple(key for key in keys if key)  # an empty one, anybody could use


def shown(job_id: object) -> str:
    """Return an id for the log; what is none may be anything, and is not repeated."""
    try:
        return str(uuid.UUID(str(job_id)))
    except ValueError:
        return "(no id)"

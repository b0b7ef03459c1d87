"""The run token: what proves that a report is about this very job. Imports nothing of ours."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence


def run_token(key: str, job_id: str) -> str:
    """Return the token of a job: HMAC-SHA256(key, job id) in hexadecimal.

    Both sides derive it from the factory's key, so it never travels in an order.
    """
    return hmac.new(key.encode(), job_id.encode(), hashlib.sha256).hexdigest()


def is_run_token(token: str, keys: Sequence[str], job_id: str) -> bool:
    """Return whether `token` is the job's under one of the keys; each is compared, in constant time.

    Two keys are valid while a key is changed: the new one on one side, the old one still on the other.
    """
    found = False
    for key in keys:
        found |= hmac.compare_digest(token.encode(errors="replace"), run_token(key, job_id).encode())
    return found


def proof(key: str, nonce: str) -> str:
    """Return what shows that one has a key without telling it: HMAC-SHA256(key, "aircan doctor " + nonce).

    In hexadecimal. It is no run token of any job: a job's id has no blank in it.
    """
    return hmac.new(key.encode(), f"aircan doctor {nonce}".encode(), hashlib.sha256).hexdigest()

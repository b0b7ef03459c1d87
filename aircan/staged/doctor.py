"""What a worker can find out about itself: whether it has the site's key, reaches the site, and has a store.

Three tasks of the DAG aircan_doctor, which `ckan aircan doctor` starts. The conf of such a run is {"site_url",
"nonce", "proofs": [proof of each of the site's keys]}; it is no order, and opens no door.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import requests

from aircan.errors import GatewayAnswer, GatewayUnreachable, OrderRefused, StoreUnavailable, TokenRefused
from aircan.keys import proof
from aircan.staged.outside import Run

TIMEOUT_S = 20
"""Seconds to wait for CKAN."""

NO_JOB = "00000000-0000-0000-0000-000000000000"
"""Id of a job that never is: the gateway refuses its token, and so shows that it is the gateway."""


def same_key(run: Run) -> str:
    """Compare the worker's keys with the site's. Raises TokenRefused when they have none in common."""
    nonce, proofs = str(run.conf.get("nonce") or ""), run.conf.get("proofs")
    if not nonce or not isinstance(proofs, list):
        raise OrderRefused("this DAG is started by: ckan aircan doctor", field="proofs")
    for key in run.access.keys:
        if any(hmac.compare_digest(proof(key, nonce).encode(), str(theirs).encode()) for theirs in proofs):
            return "The key of this worker is the site's."
    raise TokenRefused("the connection has no key" if not run.access.keys else "the connection has another key")


def reach_ckan(run: Run) -> str:
    """Knock at the gateway of the site.

    Raises GatewayUnreachable, GatewayAnswer when something else answers, OrderRefused when this worker serves
    another site.
    """
    site_url = str(run.conf.get("site_url") or "")
    run.access.check(site_url)
    url = f"{site_url}/api/aircan/v1/jobs/{NO_JOB}/columns"
    try:
        answer = requests.get(url, headers={"X-AirCan-Token": "0" * 64}, timeout=TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as exc:
        raise GatewayUnreachable(type(exc).__name__, url=site_url, seconds=TIMEOUT_S) from exc
    kind = answer.headers.get("Content-Type", "nothing").partition(";")[0]
    if answer.status_code != 403 or _code(answer) != TokenRefused.code:
        raise GatewayAnswer(url=url, http_status=answer.status_code, found=kind)
    return f"The gateway of {site_url} answers."


def _code(answer: requests.Response) -> str:
    try:
        told: Any = answer.json()
    except ValueError:
        return ""
    error = told.get("error") if isinstance(told, Mapping) else None
    return str(error.get("code") or "") if isinstance(error, Mapping) else ""


def keep_files(run: Run) -> str:
    """Write a file into the store, read it, and drop it. Raises StoreMisconfigured, StoreUnavailable."""
    store = run.store()
    store.write("doctor", "note.txt", b"aircan doctor")
    try:
        if store.read("doctor", "note.txt") != b"aircan doctor":
            raise StoreUnavailable(url=store.url, reason="it gives back something else than was written")
    finally:
        store.drop()
    return f"The store {store.url} keeps files."

"""Reports to CKAN's callback action, with the run token instead of a user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from aircan.contract import Report
from aircan.errors import GatewayAnswer, JobStopped
from aircan.remote.gateway import Gateway, as_json
from aircan.status import ACTIVE, Status

MOST_BYTES = 500_000
"""Rejected rows go in reports of about this size; a reject has 64 kB at most, and no proxy need let 1 MB through."""


class HttpTell:
    """Sends reports of the gateway's job. Implements `aircan.ports.Tell`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __call__(self, report: Report) -> None:
        """Deliver a report. Raises JobStopped when the job is final with another status, and what `Gateway.ask` does.

        A report whose answer was lost is sent again; CKAN keeps a final job as it is. One with many rejects goes
        as several.
        """
        for one in _pieces(report):
            self._tell(one)

    def _tell(self, report: Report) -> None:
        answer = self._gateway.act("aircan_status_update", {**report.to_dict(), "job_id": self._gateway.job_id})
        try:
            status = Status(answer.get("status"))
        except ValueError as exc:
            raise GatewayAnswer(
                f"status {answer.get('status')!r}"[:200], url=self._gateway.site_url, http_status=200, found="JSON"
            ) from exc
        if status is not report.status and status not in ACTIVE:
            raise JobStopped(f"the job is {status.value}")


def _pieces(report: Report) -> Iterator[Report]:
    """Yield the report, and before it reports of the rejects that would make it too large."""
    rejects: list[dict[str, Any]] = list(report.result.get("rejects") or ())
    size, first = 0, 0
    for at, reject in enumerate(rejects):
        more = len(as_json(reject))
        if size and size + more > MOST_BYTES:
            yield Report(Status.RUNNING, result={"rejects": rejects[first:at]})
            size, first = 0, at
        size += more
    yield replace(report, result={**report.result, "rejects": rejects[first:]}) if first else report

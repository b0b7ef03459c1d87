"""Reports to CKAN's callback action, with the run token instead of a user."""

from __future__ import annotations

from aircan.contract import Report
from aircan.errors import GatewayAnswer, JobStopped
from aircan.remote.gateway import Gateway
from aircan.status import ACTIVE, Status


class HttpTell:
    """Sends reports of the gateway's job. Implements `aircan.ports.Tell`."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def __call__(self, report: Report) -> None:
        """Deliver a report. Raises JobStopped when the job is final with another status, and what `Gateway.ask` does.

        A report whose answer was lost is sent again; CKAN keeps a final job as it is.
        """
        answer = self._gateway.act("aircan_status_update", {**report.to_dict(), "job_id": self._gateway.job_id})
        try:
            status = Status(answer.get("status"))
        except ValueError as exc:
            raise GatewayAnswer(
                f"status {answer.get('status')!r}"[:200], url=self._gateway.site_url, http_status=200, found="JSON"
            ) from exc
        if status is not report.status and status not in ACTIVE:
            raise JobStopped(f"the job is {status.value}")

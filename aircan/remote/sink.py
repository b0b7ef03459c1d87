"""The DataStore, reached through the gateway: a hidden table that is filled by requests and published by CKAN."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from typing import Any

from aircan.contract import REPLACE, Field, Part, Publish, Writing, Written
from aircan.errors import BodyTooLarge, JobStopped, from_dict
from aircan.remote.gateway import Gateway
from aircan.remote.packing import Packing

FIRST_POLL_S = 0.2
LONGEST_POLL_S = 5.0
"""Pauses between two questions whether the table is published; they grow from the first to the longest."""


class HttpSink:
    """A hidden table in the DataStore of the gateway's CKAN. Implements `aircan.ports.Sink`.

    `put` may be called from several threads. All state is in CKAN: another HttpSink of the same job, in
    another process, goes on where this one stopped.

    Args:
        gateway: the job's doors.
        packed: whether parts are sent with gzip; None: whatever proves faster.

    Attributes:
        warnings: what the reader of the run should know, as {"code", facts}; after `publish`.
        arrived: rows of all parts that are in the table, those of other workers included; after `put`.
    """

    def __init__(self, gateway: Gateway, *, packed: bool | None = None) -> None:
        self._gateway = gateway
        self._packing = Packing(packed)
        self.warnings: list[dict[str, Any]] = []
        self.arrived = 0

    def columns(self) -> list[Field] | None:
        """Return the columns of the resource's table, see `aircan.ports.Sink.columns`."""
        found = self._gateway.ask("GET", "/columns").get("columns")
        return None if found is None else [Field.from_dict(column) for column in found]

    def begin(self, fields: Sequence[Field], writing: Writing = REPLACE) -> None:
        """Make an empty hidden table, see `aircan.ports.Sink.begin`."""
        told = {"fields": [field.to_dict() for field in fields], "writing": writing.to_dict()}
        self._gateway.ask("PUT", "/stage", told)

    def put(self, part: Part) -> None:
        """Send a part, see `aircan.ports.Sink.put`.

        Raises BodyTooLarge when it is over the limit of the gateway or of a proxy, even packed.
        """
        packed = self._packing.choose()
        started = time.monotonic()
        try:
            self._send(part, packed=packed)
        except BodyTooLarge:
            if packed:
                raise
            self._packing.always()
            self._send(part, packed=True)
        else:
            self._packing.note(packed, len(part.data), time.monotonic() - started)

    def _send(self, part: Part, *, packed: bool) -> None:
        headers = {"Content-Type": "text/csv", "X-AirCan-Rows": str(part.rows)}
        body = part.data
        if packed:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1, mtime=0)
        answer = self._gateway.ask("PUT", f"/parts/{part.number}", body=body, headers=headers)
        self.arrived = max(self.arrived, int(answer.get("rows") or 0))

    def publish(self, *, rows: int, when: Publish) -> Written:
        """Let CKAN publish the table, and wait until it has, see `aircan.ports.Sink.publish`.

        CKAN does it behind the request, however long it takes; when its job is lost there, CKAN ends the
        run, which this side learns as JobStopped.
        """
        told = {"rows": rows, "when": when.value}
        self._gateway.ask("POST", "/publish", told)
        pause = FIRST_POLL_S
        while True:
            seen = self._gateway.ask("GET", "/publish")
            state = seen.get("state")
            if state == "done":
                self.warnings.extend(seen.get("warnings") or [])
                return Written.from_dict(seen["written"])
            if state == "failed":
                raise from_dict(seen.get("error") or {})
            self._gateway.waiting.pause(pause)
            pause = min(LONGEST_POLL_S, pause * 1.5)
            if state == "none":
                self._gateway.ask("POST", "/publish", told)

    def discard(self) -> None:
        """Drop the hidden table if there is one; that of a final job is dropped by CKAN itself."""
        try:
            self._gateway.ask("DELETE", "/stage")
        except JobStopped:
            return

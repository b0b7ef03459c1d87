"""DirectSink: the DataStore as a port of the library, for a run inside CKAN and for the gateway."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from aircan.contract import Field, Part, Publish
from aircan.errors import RowsMissing, ValueRefused

from . import catalogue, dress, names, publish, stage
from .connect import Connections

log = logging.getLogger(__name__)

MAX_PUBLISH_WAIT_S = 300.0
"""Seconds that a finished table waits for the lock, before the run fails with TableBusy."""


class DirectSink:
    """A hidden table in the DataStore that takes the place of a resource's table. Implements `aircan.ports.Sink`.

    `put` may be called from several threads, each of which gets a connection. All state is in the
    database: another DirectSink of the same job goes on where this one stopped.

    Args:
        job_id: UUID of the job; the hidden table is named after it.
        resource_id: whose table is replaced.
        before_publish: called with {"table", "fields", "rows"} when the hidden table is complete; may
            raise PublishVetoed.
        max_publish_wait_s: how long to try for the lock.

    Attributes:
        published: whether the table was swapped in by this object.
        warnings: what the reader of the run should know, as {"code", facts}.
        measured: seconds of the parts of `publish`, and "tries".
    """

    def __init__(
        self,
        job_id: str,
        resource_id: str,
        *,
        before_publish: Callable[[dict[str, Any]], None] | None = None,
        max_publish_wait_s: float = MAX_PUBLISH_WAIT_S,
    ) -> None:
        names.stage(job_id)
        self.job_id, self.resource_id = job_id, resource_id
        self._before_publish = before_publish
        self._max_wait_s = max_publish_wait_s
        self._fields: list[Field] | None = None
        self._connections = Connections(f"aircan {job_id}")
        self.published = False
        self.warnings: list[dict[str, Any]] = []
        self.measured: dict[str, float] = {}

    def begin(self, fields: Sequence[Field]) -> None:
        """Make an empty hidden table. Raises TableInUse at once when the old table could not be replaced."""
        with self._connections.transaction() as cursor:
            catalogue.old(cursor, self.resource_id)
            stage.begin(cursor, self.job_id, self.resource_id, fields)
        self._fields = list(fields)

    def put(self, part: Part) -> None:
        """Load a part in one transaction; see `aircan.ports.Sink.put`.

        Raises ValueRefused with `row` (the `_id`: 1 is the first row of the file), `field` and `value`.
        """
        fields = self._known_fields()
        try:
            with self._connections.transaction(lock_timeout_ms=0) as cursor:
                stage.put(cursor, self.job_id, fields, part, self._connections.stopped)
        except ValueRefused as exc:
            raise stage.located(exc, part, fields) from exc

    def publish(self, *, rows: int, when: Publish) -> None:
        """Swap the hidden table in; see `aircan.ports.Sink.publish`.

        Raises RowsMissing, PublishVetoed, TableBusy, TableInUse; the old table is then as it was. After the
        swap only the indexes for searching can fail; `publish.index_live` builds them later.
        """
        fields = self._known_fields()
        if publish.is_published(self._connections, self.job_id):
            self._tidy_up()  # told twice: the answer to the first call was lost
            return
        with self._connections.transaction() as cursor:
            loaded = stage.count(cursor, self.job_id)
            if capped := stage.capped(cursor, self.job_id):
                self.warnings.append({"code": "search_capped", "rows": capped})
        if loaded != rows:
            raise RowsMissing(rows=rows, loaded=loaded)
        if self._before_publish:
            table = {"table": names.stage(self.job_id), "fields": [f.to_dict() for f in fields], "rows": rows}
            self._before_publish(table)
        renames = self._make_ready(when)
        started = time.monotonic()
        swapped = publish.swap(
            self._connections,
            self.job_id,
            self.resource_id,
            fields,
            rows=rows,
            renames=renames,
            max_wait_s=self._max_wait_s,
        )
        self.warnings.extend(swapped.warnings)
        self._measure("swap", started)
        self.measured.update({"lock": swapped.lock_seconds, "tries": swapped.tries})
        self._tidy_up()

    def discard(self) -> None:
        """Drop what is not published. Works after `interrupt`, too, through a connection of its own."""
        connections = Connections(f"aircan {self.job_id}")
        try:
            with connections.transaction() as cursor:
                stage.drop(cursor, self.job_id)
        finally:
            connections.close()

    def interrupt(self) -> None:
        """Stop what runs, from another thread: cancel every statement; later calls raise JobStopped.

        After the swap it does nothing: what is left to do makes the published table whole.
        """
        if not self.published:
            self._connections.interrupt()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _known_fields(self) -> list[Field]:
        if self._fields is None:
            with self._connections.transaction() as cursor:
                self._fields = stage.fields_of(cursor, self.job_id)
        return self._fields

    def _make_ready(self, when: Publish) -> dict[str, str]:
        started = time.monotonic()
        with self._connections.transaction() as cursor:
            if not dress.is_finished(cursor, self.job_id):
                dress.finish(cursor, self.job_id)
        self._measure("key", started)
        renames: dict[str, str] = {}
        if when is Publish.COMPLETE:
            started = time.monotonic()
            with self._connections.transaction() as cursor:
                renames, warnings = dress.index(cursor, self.job_id, self.resource_id)
                self.warnings.extend(warnings)
            self._measure("index", started)
        started = time.monotonic()
        with self._connections.transaction() as cursor:
            dress.analyze(cursor, self.job_id)
        self._measure("analyze", started)
        return renames

    def _tidy_up(self) -> None:
        self.published = True
        publish.drop_retired(self._connections, self.job_id)
        started = time.monotonic()
        self.warnings += publish.index_live(self._connections, self.resource_id, max_wait_s=self._max_wait_s)
        self._measure("index_behind", started)
        with self._connections.transaction() as cursor:
            stage.drop_notes(cursor, self.job_id)

    def _measure(self, name: str, started: float) -> None:
        self.measured[name] = time.monotonic() - started

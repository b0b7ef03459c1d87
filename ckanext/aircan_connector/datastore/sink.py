"""DirectSink: the DataStore as a port of the library, for a run inside CKAN and for the gateway."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aircan.contract import REPLACE, Field, Part, Publish, Write, Writing, Written
from aircan.errors import LoadFailed, RowsMissing, ValueRefused

from . import catalogue, crew, dictionary, dress, merge, names, publish, refill, stage
from .connect import Connections
from .feed import Body, Data

log = logging.getLogger(__name__)

MAX_PUBLISH_WAIT_S = 300.0
"""Seconds that a finished table waits for the lock, before the run fails with TableBusy."""

PART_WAIT_MS = 5_000
"""How long a part waits for another try of the same part that is still on its way; then it is to come again."""


@dataclass(frozen=True)
class Taken:
    """What became of a part: whether it was loaded (or was there already), and the rows of all parts so far."""

    loaded: bool
    rows: int


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
        connections: how many build indexes at once, and fill the full text of rows that were published before it.
        own: connections to use, if not new ones that are named after the job.

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
        connections: int = 2,
        own: Connections | None = None,
    ) -> None:
        names.stage(job_id)
        self.job_id, self.resource_id = job_id, resource_id
        self._before_publish = before_publish
        self._max_wait_s = max_publish_wait_s
        self._at_once = connections
        self._note: stage.Note | None = None
        self._written: Written | None = None
        self._unfinished = False
        self._connections = own or Connections(f"aircan {job_id}")
        self._is_complete = False
        self.published = False
        self.warnings: list[dict[str, Any]] = []
        self.measured: dict[str, float] = {}

    def columns(self) -> list[Field] | None:
        """Return the columns of the resource's table, see `aircan.ports.Sink.columns`."""
        with self._connections.transaction() as cursor:
            return dictionary.columns(cursor, self.resource_id)

    def begin(self, fields: Sequence[Field], writing: Writing = REPLACE) -> None:
        """Make an empty hidden table, see `aircan.ports.Sink.begin`.

        Raises TableInUse at once when the old table could not be replaced, TableMissing, KeyNotUnique.
        """
        with self._connections.transaction() as cursor:
            self._written = stage.written(cursor, self.job_id) if writing.mode is not Write.REPLACE else None
            if self._written is None:
                note = merge.plan(cursor, self.resource_id, fields, writing)
                if note.live is None:
                    catalogue.old(cursor, self.resource_id)
                    rows_first = writing.rows_first and writing.mode is Write.REPLACE
                    note = replace(note, with_vector=not rows_first)
                stage.begin(cursor, self.job_id, note)
        self._note = note if self._written is None else None

    def put(self, part: Part) -> None:
        """Load a part in one transaction; see `aircan.ports.Sink.put`.

        Raises ValueRefused with `row` (the `_id`: 1 is the first row of the file), `field` and `value`.
        """
        note = self._known()
        if self._written:
            return
        body = Data(part.data)
        try:
            with self._connections.transaction(lock_timeout_ms=0, lasting=False) as cursor:
                stage.put(cursor, self.job_id, note.fields, part.number, part.rows, body, self._connections.stopped)
        except ValueRefused as exc:
            raise stage.located(exc, part.number, body, note.fields) from exc

    def take(self, number: int, rows: int, body: Body) -> Taken:
        """Load a part that comes from elsewhere as a stream, as `put` does, while the stage takes parts.

        Raises what `put` and the body raise; StageMissing; StageClosed; TableBusy when somebody else brings the
        same part and is slow.
        """
        fields: tuple[Field, ...] = ()
        try:
            with self._connections.transaction(lock_timeout_ms=PART_WAIT_MS) as cursor:
                fields = stage.note_of(cursor, self.job_id).fields
                if stage.written(cursor, self.job_id):
                    return Taken(False, stage.arrived(cursor, self.job_id))
                stage.enter(cursor, self.job_id)
                loaded = stage.put(cursor, self.job_id, fields, number, rows, body, self._connections.stopped)
                return Taken(loaded, stage.arrived(cursor, self.job_id))
        except ValueRefused as exc:
            raise stage.located(exc, number, body, fields) from exc

    def close_stage(self, *, closed: bool = True) -> None:
        """Let `take` take no more parts, or take them again.

        Raises StageMissing, and TableBusy while a part is still on its way.
        """
        self._known()
        with self._connections.transaction(lock_timeout_ms=PART_WAIT_MS) as cursor:
            stage.close(cursor, self.job_id, closed=closed)

    def publish(self, *, rows: int, when: Publish) -> Written:
        """Swap or merge the hidden table in; see `aircan.ports.Sink.publish`.

        Raises RowsMissing, PublishVetoed, TableBusy, TableInUse, KeyNotUnique; the old table is then as it was.
        After the swap only the indexes for searching can fail; `publish.index_live` builds them later.
        """
        self._note = None
        note = self._known()
        if self._written is None:  # else told twice: the answer to the first call was lost
            self._look(note, rows)
            if note.live is None:
                self._swap(note, rows, when)
                self._written = Written(rows, rows)
            else:
                self._written = self._merge(note, rows)
        self._tidy_up(note)
        return self._written

    def _look(self, note: stage.Note, rows: int) -> None:
        """Make sure that the hidden table may be published."""
        with self._connections.transaction() as cursor:
            loaded = stage.count(cursor, self.job_id)
            if capped := stage.capped(cursor, self.job_id):
                self.warnings.append({"code": "search_capped", "rows": capped})
        if loaded != rows:
            raise RowsMissing(rows=rows, loaded=loaded)
        if note.writing.key:
            with self._connections.transaction() as cursor:
                merge.check_keys(cursor, self.job_id, note)
        if self._before_publish:
            table = {"table": names.stage(self.job_id), "fields": [f.to_dict() for f in note.fields], "rows": rows}
            self._before_publish({**table, "write": note.writing.mode.value})

    def _merge(self, note: stage.Note, rows: int) -> Written:
        started = time.monotonic()
        with self._connections.transaction(lasting=False) as cursor:
            dress.analyze(cursor, names.stage(self.job_id))
        self._measure("analyze", started)
        started = time.monotonic()
        written = merge.merge(
            self._connections, self.job_id, self.resource_id, note, rows=rows, max_wait_s=self._max_wait_s
        )
        self._measure("merge", started)
        return written

    def _swap(self, note: stage.Note, rows: int, when: Publish) -> None:
        renames = self._make_ready(when)
        started = time.monotonic()
        swapped = publish.swap(
            self._connections,
            self.job_id,
            self.resource_id,
            note.fields,
            rows=rows,
            renames=renames,
            max_wait_s=self._max_wait_s,
            only_new=note.writing.mode is not Write.REPLACE,
        )
        self.warnings.extend(swapped.warnings)
        self._measure("swap", started)
        self.measured.update({"lock": swapped.lock_seconds, "tries": swapped.tries})

    @property
    def may_run_again(self) -> bool:
        """Whether the same rows in another run would leave the table as it is now; asked after `publish`."""
        return self._known().writing.mode is not Write.APPEND

    def discard(self) -> None:
        """Drop what is not published. Works after `interrupt`, too, through a connection of its own.

        That rows were merged stays known, so that a second run of the job does not add them again; see `forget`.
        """
        connections = Connections(f"aircan {self.job_id}")
        try:
            with connections.transaction() as cursor:
                if stage.is_merged(cursor, self.job_id):
                    stage.drop_rows(cursor, self.job_id)
                else:
                    stage.drop(cursor, self.job_id)
        finally:
            connections.close()

    def forget(self) -> None:
        """Drop what `publish` left so that the rows are not added twice, once the job is final and cannot run again."""
        if self._note and self._note.writing.mode is not Write.REPLACE and not self._unfinished:
            with self._connections.transaction() as cursor:
                stage.drop(cursor, self.job_id)

    def interrupt(self) -> None:
        """Stop what runs, from another thread: cancel every statement; later calls raise JobStopped.

        After the swap it does nothing: what is left to do makes the published table whole.
        """
        if not self.published:
            self._connections.interrupt()

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _known(self) -> stage.Note:
        if self._note is None:
            with self._connections.transaction() as cursor:
                self._written = stage.written(cursor, self.job_id)
                self._note = stage.note_of(cursor, self.job_id)
        return self._note

    def _make_ready(self, when: Publish) -> dict[str, str]:
        started = time.monotonic()
        with self._connections.transaction(lasting=False) as cursor:
            if not dress.is_finished(cursor, self.job_id):
                dress.finish(cursor, self.job_id)
        self._measure("key", started)
        if when is not Publish.COMPLETE:
            return {}
        started = time.monotonic()
        renames, warnings = dress.index(self._connections, self.job_id, self.resource_id, self._at_once)
        self.warnings.extend(warnings)
        self._measure("index", started)
        with self._connections.transaction(lasting=False) as cursor:
            dress.analyze(cursor, names.stage(self.job_id))
        self._is_complete = True
        return renames

    def visible(self) -> None:
        """Do nothing: a class that builds on this one learns here that readers see the new rows."""

    def _tidy_up(self, note: stage.Note) -> None:
        self.published = True
        with crew.beside(lambda: self._behind(note)):
            self.visible()
        if note.live is None and note.writing.mode is Write.REPLACE:
            with self._connections.transaction() as cursor:
                stage.drop_notes(cursor, self.job_id)

    def _behind(self, note: stage.Note) -> None:
        """Do what is left for the table, whose rows are there."""
        if note.live is not None:
            merge.tidy_up(self._connections, self.job_id, self.resource_id)
        elif note.writing.mode is Write.REPLACE:
            self._finish(note)
        else:
            self._finish_in_any_case(note)

    def _finish_in_any_case(self, note: stage.Note) -> None:
        """Do what is left, or leave it to the janitor: a run that failed now would be tried again and add twice."""
        try:
            self._finish(note)
        except LoadFailed as exc:
            self._unfinished = True
            log.warning("Job %s is left to the janitor: %s", self.job_id, exc, extra={"action": "job_not_finished"})

    def _finish(self, note: stage.Note) -> None:
        started = time.monotonic()
        publish.make_durable(self._connections, self.job_id)
        publish.drop_retired(self._connections, self.job_id)
        if not self._is_complete:
            publish.analyze_live(self._connections, self.resource_id)
            self._fill_and_index(note)
        self._measure("behind", started)

    def _fill_and_index(self, note: stage.Note) -> None:
        if not note.with_vector and refill.is_due(self._connections, self.job_id, self.resource_id):
            self.warnings += refill.refill(
                self._connections,
                self.job_id,
                self.resource_id,
                at_once=self._at_once,
                max_wait_s=self._max_wait_s,
            )
            publish.drop_retired(self._connections, self.job_id)
        self.warnings += publish.index_live(
            self._connections, self.resource_id, max_wait_s=self._max_wait_s, at_once=self._at_once
        )

    def _measure(self, name: str, started: float) -> None:
        self.measured[name] = time.monotonic() - started

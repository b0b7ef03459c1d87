"""What the library needs from outside, as Protocols. Imports only `contract`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import BinaryIO, Protocol

from aircan.contract import REPLACE, Field, Part, Publish, Report, Writing, Written


class Source(Protocol):
    """Where the bytes of a resource come from."""

    name: str
    """File name, for people and as a hint of the format."""

    size_bytes: int | None
    """Size if it is known before reading."""

    def open(self) -> BinaryIO:
        """Open the bytes for one sequential read. The caller closes. Raises leaves of FetchFailed."""
        ...


class Sink(Protocol):
    """Where the rows go: a hidden table that is swapped in, or merged into the live one, at the end."""

    def columns(self) -> list[Field] | None:
        """Return the columns of the table that is there, in order; None when there is none.

        `reason` is {"code": "table"}, with "type" when its type is not one of ours but one that `type` can hold.
        """
        ...

    def begin(self, fields: Sequence[Field], writing: Writing = REPLACE) -> None:
        """Make an empty hidden table with these columns; one of an earlier try is replaced.

        A job whose rows are in the table already stays as it is: its parts are left alone, and `publish`
        answers as it did. Raises TableMissing when rows are to be deleted and there is no table, and
        KeyNotUnique when the key is not unique in it.
        """
        ...

    def put(self, part: Part) -> None:
        """Load a part; a part number that is there already is left alone.

        Parts may come in any order and from several threads.
        Raises ValueRefused when the database refuses a value (nothing of the part stays) and
        DatastoreUnavailable when it cannot be reached.
        """
        ...

    def publish(self, *, rows: int, when: Publish) -> Written:
        """Make `rows` rows visible in one transaction, then finish what `when` leaves behind.

        Raises RowsMissing when the hidden table does not hold exactly `rows` rows, PublishVetoed
        when an extension refuses the table, TableBusy when the lock could not be had, KeyNotUnique (with
        `found`: [{"code", "row", "first", "value"}], `row` and `first` being `_id`s) when a key is missing or
        not unique. On every error before the commit the old table is as it was.
        """
        ...

    def discard(self) -> None:
        """Drop the hidden table if there is one; what was published stays."""
        ...


class Tell(Protocol):
    """How a run reports."""

    def __call__(self, report: Report) -> None:
        """Deliver a report. Raises JobStopped when the job is no longer active."""
        ...


class Stop(Protocol):
    """Asked between pieces of work: has somebody stopped this run? `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether to stop at once."""
        ...


def never() -> Stop:
    """Return a Stop that nobody sets."""
    return threading.Event()

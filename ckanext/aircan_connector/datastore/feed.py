"""What COPY reads from: bytes, or a stream that can be read once more to say where a refused value stands.

Imports the library only.
"""

from __future__ import annotations

import csv
import io
import threading
from typing import BinaryIO, Protocol

from aircan.errors import AircanError, JobStopped


class Body(Protocol):
    """The data of a part, see `aircan.contract.Part.data`."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end. Raises leaves of AircanError when there is something wrong."""
        ...

    def again(self) -> BinaryIO:
        """Return what was read so far, from its beginning; called at most once, after `read` gave all or failed."""
        ...


class Data:
    """Bytes as a body."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        piece = bytes(self._data[self._at : self._at + size])
        self._at += len(piece)
        return piece

    def again(self) -> BinaryIO:
        """Return the bytes from their beginning."""
        return io.BytesIO(self._data)


class Feed:
    """A body as a file that stops giving when the job is stopped, so that no COPY outlives it.

    Attributes:
        error: what ended the reading; PostgreSQL's driver tells only that something did.
    """

    def __init__(self, body: Body, stopped: threading.Event) -> None:
        self._body, self._stopped = body, stopped
        self.error: AircanError | None = None

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, b"" at the end. Raises JobStopped, and whatever the body raises."""
        try:
            if self._stopped.is_set():
                raise JobStopped("interrupted")
            return self._body.read(size)
        except AircanError as exc:
            self.error = exc
            raise


def record_ending_at(data: BinaryIO, line: int) -> list[str] | None:
    """Return the CSV record that PostgreSQL means by a line of a COPY, None when there is none.

    PostgreSQL counts records, and the line ends inside of quotes: those that are like the line ends between
    records, which it knows from the end of the first record on. In the first one it counts carriage returns
    (CopyReadLineText, PostgreSQL 12 to 17).
    """
    text = io.TextIOWrapper(data, encoding="utf-8", errors="replace", newline="\n")
    at, end = 0, "\r"
    try:
        for record in csv.reader(text):
            at += 1 + sum(cell.count(end) for cell in record)
            if at >= line:
                return record or None
            end = "\n"
    except csv.Error:  # a cell longer than Python's csv takes: what PostgreSQL said must do
        return None
    return None

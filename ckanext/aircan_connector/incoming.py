"""The body of a request as a stream of unpacked bytes, checked while it is read, in constant memory.

What came is kept in a temporary file meanwhile, as it came, so that a value that PostgreSQL refuses can be looked
up: PostgreSQL tells of it only after the whole body was sent.
"""

from __future__ import annotations

import io
import tempfile
import time
import zlib
from typing import BinaryIO, cast

from werkzeug.exceptions import HTTPException

from aircan.errors import BodyTooLarge, PartBroken

PIECE_BYTES = 65_536
IN_MEMORY_BYTES = 262_144
"""A body up to this size is kept in memory, a larger one in a file."""

MAX_UNPACKED_BYTES = 268_435_456
"""Most that the body of one part may unpack to; the library cuts parts at 64 MB or less, at the end of a row."""

TIME_LIMIT_S = 120.0
"""Longest time that a body may take to arrive: as long it holds a connection of the DataStore."""

_GZIP = 16 + zlib.MAX_WBITS


class Incoming:
    """The body of a part on its way into the DataStore. Implements `datastore.feed.Body`; a context manager.

    Args:
        stream: the body as it comes in.
        size_bytes: what the request says of its length.
        number: of the part, for the errors.
        gzipped: whether it is to be unpacked.
        folder: for the temporary file, None for the system's own.
        limit_bytes: most bytes that it may unpack to.
        time_limit_s: longest time that it may take.
    """

    def __init__(
        self,
        stream: BinaryIO,
        size_bytes: int,
        number: int,
        *,
        gzipped: bool = False,
        folder: str | None = None,
        limit_bytes: int = MAX_UNPACKED_BYTES,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        self._stream, self._number, self._gzipped = stream, number, gzipped
        self._size = self._left = size_bytes
        self._limit = limit_bytes
        self._until = time.monotonic() + time_limit_s
        self._kept = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=folder)  # noqa: SIM115 - closed by __exit__
        self._unpack = _Gunzip() if gzipped else None
        self._given = 0
        self._last = b"\n"

    def read(self, size: int) -> bytes:
        """Return up to `size` unpacked bytes, b"" at the end.

        Raises PartBroken when the body ends early, cannot be unpacked or ends within a line, and BodyTooLarge
        when it unpacks to more than the limit.
        """
        piece = self._unpacked(size) if self._unpack else self._raw(size)
        if not piece:
            if self._last != b"\n":
                raise self._broken("it ends within a line")
            return b""
        self._given += len(piece)
        if self._given > self._limit:
            raise BodyTooLarge("unpacked", size_bytes=self._given, limit_bytes=self._limit)
        self._last = piece[-1:]
        return piece

    def _unpacked(self, size: int) -> bytes:
        assert self._unpack is not None
        try:
            while not (piece := self._unpack.take(size)):
                packed = self._raw(PIECE_BYTES)
                if not packed:
                    self._unpack.finish()
                    return b""
                self._unpack.give(packed)
        except (zlib.error, EOFError) as exc:
            raise self._broken(f"it cannot be unpacked ({exc})") from exc
        return piece

    def _raw(self, size: int) -> bytes:
        if not self._left:
            return b""
        if time.monotonic() > self._until:
            raise self._broken("it came too slowly")
        try:
            piece = self._stream.read(min(size, self._left))
        except (OSError, HTTPException) as exc:
            raise self._broken(f"it stopped before the {self._size} bytes that were announced") from exc
        if not piece:
            raise self._broken(f"it stopped before the {self._size} bytes that were announced")
        self._left -= len(piece)
        self._kept.write(piece)
        return piece

    def _broken(self, reason: str) -> PartBroken:
        return PartBroken(number=self._number, reason=reason)

    def again(self) -> BinaryIO:
        """Return the unpacked bytes that were read so far, from their beginning."""
        self._kept.seek(0)
        kept = _Kept(cast(BinaryIO, self._kept), _Gunzip() if self._gzipped else None)
        return io.BufferedReader(cast(io.RawIOBase, kept), PIECE_BYTES)

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *exc: object) -> None:
        self._kept.close()


class _Gunzip:
    """Unpacks gzip piece by piece; several members one behind the other are one text."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._waiting = b""
        self._begun = False

    def give(self, packed: bytes) -> None:
        """Take packed bytes; only when `take` has returned nothing."""
        self._waiting += packed

    def take(self, size: int) -> bytes:
        """Return up to `size` unpacked bytes, b"" when more packed ones are needed. Raises zlib.error."""
        while self._waiting:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            self._begun = True
            piece = self._member.decompress(self._waiting, size)
            self._waiting = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if piece:
                return piece
        return self._member.decompress(b"", size) if self._begun and not self._member.eof else b""

    def finish(self) -> None:
        """Raise EOFError unless the last member is whole."""
        if not self._member.eof:
            raise EOFError("it ends too early")


class _Kept(io.RawIOBase):
    """What was kept of a body, unpacked; where it breaks off, it ends."""

    def __init__(self, kept: BinaryIO, unpack: _Gunzip | None) -> None:
        self._kept, self._unpack = kept, unpack

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        piece = self._next(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def _next(self, size: int) -> bytes:
        if self._unpack is None:
            return self._kept.read(size)
        while not (piece := self._unpack.take(size)):
            packed = self._kept.read(PIECE_BYTES)
            if not packed:
                return b""
            self._unpack.give(packed)
        return piece

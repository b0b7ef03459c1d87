"""Bring the bytes of a source into a private file."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aircan.errors import JobStopped, TooLarge
from aircan.net.sources import FileSource, LinkSource
from aircan.ports import Source, Stop

__all__ = ["Fetched", "FileSource", "LinkSource", "fetch"]

CHUNK_BYTES = 1 << 20
"""Bytes asked for at a time."""


@dataclass(frozen=True)
class Fetched:
    """A fetched file: where it is, its name at the source, its size and the SHA-256 of its bytes."""

    path: Path
    name: str
    size_bytes: int
    sha256: str


def fetch(
    source: Source,
    workdir: Path,
    *,
    limit_bytes: int | None,
    stop: Stop,
    progress: Callable[[int, int | None], None] | None = None,
) -> Fetched:
    """Copy a source into a file that only this user may read.

    Args:
        source: where the bytes are.
        workdir: private folder; the file in it is called "fetched".
        limit_bytes: largest size that is accepted (inclusive), None for no limit.
        stop: asked at each chunk.
        progress: called with bytes so far and the total, None while it is not known.

    Raises:
        TooLarge: announced or counted size is over the limit; the partial file is removed.
        JobStopped: stopped. Leaves of FetchFailed: the source's own.
    """
    path = workdir / "fetched"
    try:
        with contextlib.closing(source.open()) as stream:
            _refuse(source.size_bytes, limit_bytes)
            digest, size = hashlib.sha256(), 0
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                while chunk := stream.read(CHUNK_BYTES):
                    if stop.is_set():
                        raise JobStopped
                    size += len(chunk)
                    _refuse(size, limit_bytes)
                    file.write(chunk)
                    digest.update(chunk)
                    if progress:
                        progress(size, source.size_bytes)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Fetched(path, source.name, size, digest.hexdigest())


def _refuse(size_bytes: int | None, limit_bytes: int | None) -> None:
    if size_bytes is not None and limit_bytes is not None and size_bytes > limit_bytes:
        raise TooLarge(size_bytes=size_bytes, limit_bytes=limit_bytes)

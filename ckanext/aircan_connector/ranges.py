"""Which bytes of a file a request asks for: Range and If-Range of RFC 9110, sections 13.1.5 and 14. Imports nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ONE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


@dataclass(frozen=True)
class Wanted:
    """Bytes `start` to `stop` (not included) of a file.

    Attributes:
        part: whether only this part of the file was asked for (206), not all of it (200).
        missing: whether the file has none of the bytes asked for (416); then both ends are 0.
    """

    start: int
    stop: int
    part: bool = False
    missing: bool = False


def wanted(size: int, etag: str, header: str | None, if_range: str | None) -> Wanted:
    """Return what a request asks of a file of `size` bytes.

    A Range of another form, several ranges, or an If-Range that does not name this very state ask for all of
    it, as the RFC allows.
    """
    found = _ONE.fullmatch((header or "").strip())
    if not found or not any(found.groups()) or (if_range is not None and if_range.strip() != etag):
        return Wanted(0, size)
    first, last = found.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return Wanted(0, size)
    if start >= size:
        return Wanted(0, 0, missing=True)
    return Wanted(start, stop, part=True)

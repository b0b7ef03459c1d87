"""The bytes of an upload, read from CKAN through the gateway; a broken transfer goes on where it stopped."""

from __future__ import annotations

import re
from types import TracebackType
from typing import BinaryIO, cast

import requests

from aircan.errors import AircanError, GatewayAnswer, SourceChanged
from aircan.net.sources import file_name, shown
from aircan.remote.gateway import LOST, Gateway
from aircan.remote.patience import Patience

CHUNK_BYTES = 1 << 18
"""Most bytes that are read at once: what was read is safe when the connection breaks."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class HttpSource:
    """The file of the gateway's job. Implements `aircan.ports.Source`.

    Attributes:
        name: file name; until the answer is there, the one given.
        size_bytes: from the answer, None before it, or when it does not say.
    """

    def __init__(self, gateway: Gateway, name: str = "") -> None:
        self.name = name
        self.size_bytes: int | None = None
        self._gateway = gateway

    def open(self) -> BinaryIO:
        """Ask for the file.

        Raises what `Gateway.ask` raises, SourceMissing among it. Reading raises SourceChanged when the file
        was replaced meanwhile, so that bytes of two files are never put together.
        """
        response = self._gateway.stream("/file", {}, good=(200,))
        etag = _etag(response)
        named = file_name(response.headers.get("Content-Disposition", ""))
        packed = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        length = response.headers.get("Content-Length", "")
        has_end = length.isdigit() or "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        if not etag or not named or packed or not has_end:
            raise _not_the_file(response, "packed" if packed else "no ETag, no file name or no length")
        self.name = named
        self.size_bytes = int(length) if length.isdigit() else None
        return cast(BinaryIO, _Body(self._gateway, response, etag, self.name, self.size_bytes))


class _Body:
    """The bytes as they come, over as many connections as it takes."""

    def __init__(
        self, gateway: Gateway, response: requests.Response, etag: str, name: str, size_bytes: int | None
    ) -> None:
        self._gateway, self._response, self._etag, self._name = gateway, response, etag, name
        self._size = size_bytes
        self._at = self._skip = 0
        self._patience = Patience(gateway.waiting)

    def read(self, size: int = -1) -> bytes:
        """Return some bytes, at most `size`, b"" at the end."""
        wanted = CHUNK_BYTES if size < 0 else min(size, CHUNK_BYTES)
        while wanted:
            try:
                some = cast(bytes, self._response.raw.read(wanted, decode_content=False))
            except LOST as exc:
                self._go_on(self._gateway.unreachable(exc))
                continue
            if some:
                if new := self._new(some):
                    self._patience.relax()
                    return new
            elif self._skip or (self._size is not None and self._at < self._size):
                self._go_on(self._gateway.unreachable(EOFError()))
            else:
                break
        return b""

    def _new(self, some: bytes) -> bytes:
        """Return what of these bytes was not read before."""
        old = min(self._skip, len(some))
        self._skip -= old
        self._at += len(some) - old
        return some[old:]

    def _go_on(self, error: AircanError) -> None:
        """Ask for the rest after a broken transfer."""
        self._response.close()
        self._patience.bear(error)
        headers = {"Range": f"bytes={self._at}-", "If-Range": self._etag}
        self._response = response = self._gateway.stream("/file", headers, good=(200, 206, 416))
        if response.status_code == 416 and _etag(response) == self._etag:
            raise _not_the_file(response, f"{self._size} bytes were announced, but there are {self._at}")
        if response.status_code == 416 or _etag(response) != self._etag:
            response.close()
            raise SourceChanged(f"after {self._at} bytes", name=self._name)
        self._skip = 0
        if response.status_code == 200:
            self._skip = self._at
        elif (found := _RANGE.match(response.headers.get("Content-Range", ""))) is None or int(found[1]) != self._at:
            raise _not_the_file(response, "another range")

    def close(self) -> None:
        """Close the connection."""
        self._response.close()

    def __enter__(self) -> _Body:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _etag(response: requests.Response) -> str:
    """Return the ETag, "" when there is none; a proxy may have marked it as weak."""
    return response.headers.get("ETag", "").strip().removeprefix("W/")


def _not_the_file(response: requests.Response, detail: str) -> GatewayAnswer:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    response.close()
    found = "a web page" if kind == "text/html" else kind or "bytes"
    return GatewayAnswer(detail, url=shown(response.url or ""), http_status=response.status_code, found=found)

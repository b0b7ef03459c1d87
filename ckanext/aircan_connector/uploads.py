"""Where the bytes of a CKAN resource come from: its storage, whichever that is, or its link."""

from __future__ import annotations

import hashlib
import os
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import ckantoolkit as tk
from ckan.lib import uploader

from aircan.contract import Resource
from aircan.errors import SourceChanged, SourceMissing
from aircan.ports import Source
from aircan.steps.fetch import LinkSource

from . import config

_SKIP_BYTES = 65_536


class UploadSource:
    """An uploaded file, read straight from CKAN's storage.

    Covers the classic folder (2.10 to 2.12), the storages of 2.12, and uploaders of other extensions
    whose `get_path` names a local file.
    """

    def __init__(self, resource: dict[str, Any]) -> None:
        self.name = os.path.basename(str(resource.get("url") or "")) or str(resource["id"])
        # A copy: uploaders take keys out of the dict that they are given.
        self._uploader = uploader.get_resource_uploader(dict(resource))
        self._path = self._uploader.get_path(resource["id"])
        self.size_bytes = self._size()
        self._uploaded = [str(resource.get(name) or "") for name in ("url", "last_modified", "created")]

    @property
    def is_ours(self) -> bool:
        """Whether CKAN itself keeps the file, so that nobody else could have it."""
        return type(self._uploader).__module__ == uploader.__name__

    def _storage(self) -> Any:
        storage = getattr(self._uploader, "storage", None)
        return storage if hasattr(storage, "stream") else None

    def _size(self) -> int | None:
        try:
            storage = self._storage()
            return int(storage.size(self._path)) if storage else os.path.getsize(str(self._path))
        except Exception:  # noqa: BLE001 - storages of other extensions raise what they like; only a hint is lost
            return None

    def etag(self) -> str:
        """Return what tells this state of the file from any other, as a strong ETag (RFC 9110, 8.8.3).

        Made of the size, of the moment of the upload, and of a local file's own marks. Raises SourceMissing.
        """
        parts = [self._size(), self._uploaded, self._marks()]
        return '"' + hashlib.sha256(repr(parts).encode()).hexdigest()[:32] + '"'

    def _marks(self) -> tuple[int, ...] | None:
        path = self._local_path()
        if path is None:
            return None
        try:
            found = os.stat(path)
        except OSError as exc:
            raise SourceMissing(str(exc), name=self.name) from exc
        return (found.st_size, found.st_mtime_ns)  # no inode: some network file systems make it up anew

    def _local_path(self) -> str | None:
        """Return the path of a file that is in a folder of this machine, None for others."""
        storage = self._storage()
        if storage is None:
            return str(self._path)
        path = str(storage.full_path(self._path)) if hasattr(storage, "full_path") else ""
        return path if os.path.isabs(path) and os.path.isfile(path) else None

    def open_at(self, start: int) -> BinaryIO:
        """Open the stored bytes behind the first `start` ones. Raises SourceMissing, SourceChanged.

        Where the storage cannot jump, the bytes before are read and thrown away.
        """
        file = self.open()
        if hasattr(file, "seek"):
            file.seek(start)
            return file
        while start:
            piece = file.read(min(start, _SKIP_BYTES))
            if not piece:
                file.close()
                raise SourceChanged("it became shorter", name=self.name)
            start -= len(piece)
        return file

    def open(self) -> BinaryIO:
        """Open the stored bytes. Raises SourceMissing when they are not there."""
        try:
            if storage := self._storage():
                return _stream(storage, self._path)
            return open(str(self._path), "rb")
        except OSError as exc:
            raise SourceMissing(str(exc), name=self.name) from exc


def _stream(storage: Any, location: Any) -> BinaryIO:
    import file_keeper as fk

    try:
        data = fk.FileData(fk.Location(location), size=storage.size(location))
        stream = storage.stream(data)
        return cast(BinaryIO, stream if hasattr(stream, "read") else _Chunks(stream))
    except fk.exc.MissingFileError as exc:
        raise FileNotFoundError(str(location)) from exc


class _Chunks:
    """A file's `read` and `close` over an iterator of chunks."""

    def __init__(self, chunks: Any) -> None:
        self._chunks = iter(chunks)
        self._left = b""

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, b"" at the end."""
        while size < 0 or len(self._left) < size:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            self._left += chunk
        end = len(self._left) if size < 0 else size
        taken, self._left = self._left[:end], self._left[end:]
        return taken

    def close(self) -> None:
        """Let go of the chunks."""
        self._chunks = iter(())

    def __enter__(self) -> _Chunks:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def source(resource: Resource) -> Source:
    """Return where the bytes of an order's resource come from.

    An upload that an extension keeps elsewhere (cloud storages without a storage of CKAN) is read
    through the resource's own URL, as any visitor would.
    """
    if resource.url_type != "upload":
        return LinkSource.of(resource, **_link_options())
    shown = tk.get_action("resource_show")({"ignore_auth": True}, {"id": resource.id})
    upload = UploadSource(shown)
    if upload.is_ours or upload.size_bytes is not None:
        return upload
    options = _link_options()
    own = urlsplit(config.site_url()).hostname or ""
    options["allow_hosts"] = {*options["allow_hosts"], own}
    return LinkSource(shown["url"], headers=resource.headers, **options)


def _link_options() -> dict[str, Any]:
    return {
        "allow_hosts": config.link_allowed_hosts(),
        "connect_timeout_s": config.link_timeout_s(),
        "read_timeout_s": config.link_timeout_s(),
        # The run's own time limit comes first, and says more.
        "total_timeout_s": 2 * config.time_limit_s(),
    }

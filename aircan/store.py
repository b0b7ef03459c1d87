"""The files that the tasks of a run hand to each other: <url>/<dag_id>/<run_id>/<task_id>/<name>.

Any place that fsspec knows: a folder, S3, Google Cloud Storage. Each task writes into its own folder,
its data first and a descriptor last, so that what has a descriptor is whole. Imports only `errors`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit, urlunsplit

from aircan.errors import AircanError, StoreMisconfigured, StoreUnavailable

log = logging.getLogger(__name__)

BLOCK_BYTES = 16 << 20
"""Bytes in memory of a file that is written; S3 takes 10,000 such pieces of one file."""

READ_BYTES = 8 << 20
"""Bytes in memory of a file that is read."""

COPY_BYTES = 1 << 20

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""Protocol of a store -> the extra of this package that brings what it needs."""

_NAME = re.compile(r"[A-Za-z0-9_.~:+=-]{1,250}")


class Store:
    """The files of one run.

    Args:
        url: where the runs are kept, e.g. s3://bucket/aircan, gs://bucket, /var/lib/aircan.
        dag_id: DAG of the run.
        run_id: the run.
        options: of the fsspec file system, e.g. {"endpoint_url": ...}; its own environment variables count, too.

    Raises:
        StoreMisconfigured: no URL, an unknown protocol, a package that is missing, or an id that cannot name a folder.
    """

    def __init__(self, url: str, dag_id: str, run_id: str, *, options: Mapping[str, Any] | None = None) -> None:
        self.url = shown(url)
        self._files, root, self._is_local = self._open(url, options or {})
        self._root = f"{root.rstrip('/')}/{self._checked(dag_id)}"
        self._run_id = self._checked(run_id)
        self._run = f"{self._root}/{self._run_id}"

    def __repr__(self) -> str:
        return f"Store({self.url!r}, run_id={self._run_id!r})"

    def _open(self, url: str, options: Mapping[str, Any]) -> tuple[Any, str, bool]:
        if not url or url.startswith("-") or "::" in url:
            raise StoreMisconfigured(url=self.url or "?", reason="its address is not set, or is none")
        protocol = urlsplit(url).scheme
        is_local = protocol in ("", "file", "local")
        extra = EXTRAS.get(protocol, "airflow")
        given = {**options, **({"auto_mkdir": True} if is_local else {})}
        try:
            from fsspec.core import url_to_fs

            # A store of its own in each process, which may be a fork, and no remembered listings: others write, too.
            files, root = url_to_fs(url, skip_instance_cache=True, use_listings_cache=False, **given)
        except ImportError as exc:
            reason = f"a package is missing ({exc.name or exc}): pip install 'aircan[{extra}]'"
            raise StoreMisconfigured(str(exc), url=self.url, reason=reason) from exc
        except Exception as exc:  # file systems of others raise what they like
            raise StoreMisconfigured(_said(exc), url=self.url, reason=_said(exc)) from exc
        return files, str(root), is_local

    def _checked(self, name: str) -> str:
        """Return a name that is one step of a path and cannot leave its folder."""
        if not isinstance(name, str) or not _NAME.fullmatch(name) or not name.strip("."):
            raise StoreMisconfigured(url=self.url, reason=f"{str(name)[:100]!r} cannot be the name of a folder")
        return name

    def _folder(self, task: str) -> str:
        return f"{self._run}/{self._checked(task)}"

    def _path(self, task: str, name: str) -> str:
        return f"{self._folder(task)}/{self._checked(name)}"

    def write(self, task: str, name: str, data: bytes) -> None:
        """Keep bytes as a file, in the place of an earlier one. Raises StoreUnavailable, StoreMisconfigured."""
        with self._translated():
            self._make_private()
            self._files.pipe_file(self._path(task, name), data)

    def read(self, task: str, name: str) -> bytes:
        """Return the bytes of a file. Raises StoreUnavailable, also when it is not there."""
        with self._translated(reading=f"{task}/{name}"):
            return bytes(self._files.cat_file(self._path(task, name)))

    def write_json(self, task: str, name: str, value: Mapping[str, Any]) -> None:
        """Keep a JSON object as a file."""
        self.write(task, name, json.dumps(value, ensure_ascii=False, indent=1).encode())

    def read_json(self, task: str, name: str) -> dict[str, Any]:
        """Return the JSON object of a file. Raises StoreUnavailable, also when it is not there or broken."""
        try:
            found = json.loads(self.read(task, name))
        except ValueError as exc:
            raise StoreUnavailable(url=self.url, reason=f"{task}/{name} is not whole") from exc
        if not isinstance(found, dict):
            raise StoreUnavailable(url=self.url, reason=f"{task}/{name} is not what was left there")
        return found

    def names(self, task: str) -> list[str]:
        """Return the names of the files of a task, sorted; none when it has not written."""
        folder = self._folder(task)
        with self._translated():
            try:
                return sorted(str(path).rsplit("/", 1)[-1] for path in self._files.ls(folder, detail=False))
            except FileNotFoundError:
                return []

    def upload(self, task: str, name: str, path: Path) -> None:
        """Keep a copy of a local file; holds about 16 MB of it in memory."""
        with self._translated():
            self._make_private()
            target = self._files.open(self._path(task, name), "wb", block_size=BLOCK_BYTES)
            with open(path, "rb") as source, target:
                shutil.copyfileobj(source, target, COPY_BYTES)

    def download(self, task: str, name: str, path: Path) -> None:
        """Copy a file to a local path that only this user may read; holds about 8 MB of it in memory."""
        with self._translated(reading=f"{task}/{name}"):
            source = self._files.open(
                self._path(task, name), "rb", block_size=READ_BYTES, **({} if self._is_local else _IN_ORDER)
            )
            with source, _private(path) as target:
                shutil.copyfileobj(source, target, COPY_BYTES)

    def clear(self, task: str) -> None:
        """Remove what an earlier try of a task has left."""
        self._remove(self._folder(task))

    def drop(self) -> None:
        """Remove all files of the run."""
        self._remove(self._run)

    def remove(self, task: str, name: str) -> None:
        """Remove a file if it is there."""
        self._remove(self._path(task, name))

    def _remove(self, path: str) -> None:
        # Removed twice, or by two at once, is as good as once.
        with self._translated(), contextlib.suppress(FileNotFoundError):
            self._files.rm(path, recursive=True)

    def others(self, older_than_s: float, *, now: datetime | None = None) -> list[str]:
        """Return the ids of other runs of the DAG whose files are here and were not written to for so long."""
        limit = (now or datetime.now(timezone.utc)).timestamp() - older_than_s
        newest: dict[str, float] = {}
        with self._translated():
            for path, facts in self._files.find(self._root, detail=True).items():
                run_id = str(path)[len(self._root) :].lstrip("/").split("/")[0]
                newest[run_id] = max(newest.get(run_id, 0.0), self._written(str(path), facts))
        return sorted(run_id for run_id, moment in newest.items() if moment < limit and run_id != self._run_id)

    def drop_other(self, run_id: str) -> None:
        """Remove all files of another run of the DAG."""
        self._remove(f"{self._root}/{self._checked(run_id)}")

    def sweep(self, older_than_s: float, *, now: datetime | None = None) -> list[str]:
        """Remove the files of the runs that `others` names; return their ids."""
        old = self.others(older_than_s, now=now)
        for run_id in old:
            self.drop_other(run_id)
        return old

    def _written(self, path: str, facts: Mapping[str, Any]) -> float:
        """Return when a file was written, as seconds since 1970."""
        for name in ("LastModified", "mtime", "updated", "created"):
            if isinstance(found := facts.get(name), datetime):
                return found.timestamp()
            if isinstance(found, (int, float)):
                return float(found)
            if isinstance(found, str):
                return datetime.fromisoformat(found.replace("Z", "+00:00")).timestamp()
        return float(self._files.modified(path).timestamp())

    def _make_private(self) -> None:
        """Make the run's folder one that only this user may read, where folders are files of a system."""
        if self._is_local:
            Path(self._run).mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _translated(self, reading: str = "") -> Iterator[None]:
        """Turn what a file system raises into leaves of ours."""
        try:
            yield
        except AircanError:
            raise
        except FileNotFoundError as exc:
            if reading:
                raise StoreUnavailable(_said(exc), url=self.url, reason=f"{reading} is not there") from exc
            raise StoreMisconfigured(_said(exc), url=self.url, reason="it does not exist") from exc
        except (PermissionError, NotADirectoryError) as exc:
            raise StoreMisconfigured(_said(exc), url=self.url, reason="the worker may not use it") from exc
        except Exception as exc:  # file systems of others raise what they like
            if reason := _refused(exc):
                raise StoreMisconfigured(_said(exc), url=self.url, reason=reason) from exc
            raise StoreUnavailable(_said(exc), url=self.url, reason=type(exc).__name__) from exc


def _refused(exc: Exception) -> str:
    """Return the reason when a cloud has refused the worker, "" when it is something else.

    gcsfs has no exception of its own for either: 401 is an HttpError with this code, 403 an OSError with this word.
    """
    if "credential" in type(exc).__name__.lower() or getattr(exc, "code", None) == 401:
        return "the worker has no credentials"
    return "the worker may not use it" if isinstance(exc, OSError) and str(exc).startswith("Forbidden:") else ""


_IN_ORDER = {"cache_type": "readahead"}


@contextlib.contextmanager
def _private(path: Path) -> Iterator[IO[bytes]]:
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    with open(path, "wb") as file:
        yield file


def _said(exc: Exception) -> str:
    return f"{type(exc).__name__}: {exc}"[:300]


def shown(url: str) -> str:
    """Return an address without user, password and query, which may hold secrets."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "?"

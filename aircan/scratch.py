"""A private folder for the files of a run, which does not stay when its process is killed. Imports nothing of ours.

A folder is held by a lock that the system lets go with the process, however that ends. Who makes one removes those
that nobody holds any more.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # no such locks on this system: nothing is swept
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger(__name__)

PREFIX = "aircan-work-"
"""How the name of a folder begins."""

LOCK = ".aircan-held"
"""The file in it that is locked. What has no such file is none of ours, whatever its name."""

YOUNG_S = 60.0
"""A younger folder is left alone: its process may have made it and not locked it yet."""


@contextlib.contextmanager
def folder(inside: str | os.PathLike[str] | None = None) -> Iterator[Path]:
    """Yield a new folder that only this user can open; it is removed at the end of the block.

    Those that killed processes of this user have left beside it are removed before; trouble with that is logged.

    Args:
        inside: the folder to make it in, None for the system's own. Where several machines share it, its file
            system must share locks, too (NFS does unless it is mounted with `nolock` or `local_lock`).

    Raises:
        OSError: it cannot be made.
    """
    sweep(Path(inside or tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=inside))
    try:
        with _held(made):
            yield made
    finally:
        _remove(made)


@contextlib.contextmanager
def _held(made: Path) -> Iterator[None]:
    """Hold a folder; let go before it is removed, as NFS keeps a file that is open."""
    if fcntl is None:
        yield
        return
    with open(made / LOCK, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            log.warning("%s cannot be locked: %s", made, exc, extra={"action": "folder_not_locked"})
            (made / LOCK).unlink()  # without it nobody takes the folder for one that was left
        yield


def sweep(inside: Path) -> None:
    """Remove the folders that killed processes of this user have left in a folder; never raises."""
    if fcntl is None:
        return
    try:
        with os.scandir(inside) as entries:
            found = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    except OSError as exc:
        log.warning("%s cannot be swept: %s", inside, exc, extra={"action": "folder_not_swept"})
        return
    for one in found:
        if _is_left(one):
            log.info("Removing %s, which a killed process has left", one, extra={"action": "folder_swept"})
            _remove(one)


def _is_left(one: Path) -> bool:
    """Return whether a folder is one of this user's, not young, and held by nobody."""
    try:
        found = one.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or time.time() - found.st_mtime < YOUNG_S:
            return False
        with _opened(one / LOCK) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, FileNotFoundError):
        return False
    except OSError as exc:
        log.warning("Whether %s is still used cannot be told: %s", one, exc, extra={"action": "folder_not_swept"})
        return False
    return True


def _opened(lock: Path) -> BinaryIO:
    """Open a lock that is there, and no link in its place: over NFS only what is open for writing can be locked."""
    return open(os.open(lock, os.O_RDWR | os.O_NOFOLLOW), "r+b")


def _remove(one: Path) -> None:
    """Remove a folder, its lock last: if this is killed, too, the next one knows that the rest is ours."""
    try:
        for name in sorted(os.listdir(one), key=LOCK.__eq__):
            inner = one / name
            if inner.is_dir() and not inner.is_symlink():
                shutil.rmtree(inner)
            else:
                inner.unlink(missing_ok=True)
        one.rmdir()
    except FileNotFoundError:
        log.info("%s is removed by somebody else", one, extra={"action": "folder_gone"})
    except OSError as exc:
        log.warning("%s cannot be removed: %s", one, exc, extra={"action": "folder_not_removed"})

"""Work folders: held while their process lives, removed by the next one when it was killed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from aircan import scratch

WORKER = """
import sys
from aircan import scratch
with scratch.folder(sys.argv[1]) as folder:
    (folder / "deep").mkdir()
    (folder / "deep" / "copy.csv").write_bytes(b"x" * 100_000)
    print(folder.name, flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def working(inside):
    """Yield a process with a folder in `inside`, and the folder."""
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(inside)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield worker, inside / worker.stdout.readline().strip()
    finally:
        worker.kill()
        worker.communicate()


def age(folder, seconds=scratch.YOUNG_S + 1):
    then = time.time() - seconds
    os.utime(folder, (then, then))


def killed(inside):
    """Return a folder that a process killed with SIGKILL has left."""
    with working(inside) as (worker, folder):
        worker.send_signal(signal.SIGKILL)
        worker.wait()
    return folder


def test_a_folder_is_private_and_gone_afterwards(tmp_path):
    with scratch.folder(tmp_path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_bytes(b"x")
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_gone_when_the_block_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), scratch.folder(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_without_a_place_it_is_in_the_systems_own(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with scratch.folder() as folder:
        assert folder.parent == tmp_path


def test_what_a_killed_process_has_left_is_removed_by_the_next_one(tmp_path):
    left = killed(tmp_path)
    assert (left / "deep" / "copy.csv").stat().st_size == 100_000
    age(left)
    with scratch.folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_a_folder_of_a_process_that_lives_stays_however_old_it_is(tmp_path):
    with working(tmp_path) as (worker, folder):
        age(folder, 30 * 24 * 3600)
        with scratch.folder(tmp_path):
            assert (folder / "deep" / "copy.csv").exists()
        worker.communicate("")
        assert worker.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_this_process_stays(tmp_path):
    with scratch.folder(tmp_path) as outer:
        age(outer, 30 * 24 * 3600)
        with scratch.folder(tmp_path):
            assert outer.exists()


@pytest.mark.parametrize(("seconds", "stays"), [(scratch.YOUNG_S - 5, True), (scratch.YOUNG_S + 1, False)])
def test_a_young_folder_stays_as_its_process_may_not_hold_it_yet(tmp_path, seconds, stays):
    left = killed(tmp_path)
    age(left, seconds)
    scratch.sweep(tmp_path)
    assert left.exists() is stays


@pytest.mark.parametrize("name", ["aircan-out", scratch.PREFIX + "mine"])
def test_a_folder_without_our_lock_stays_whatever_its_name(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "rows.csv").write_bytes(b"x")
    age(tmp_path / name, 30 * 24 * 3600)
    scratch.sweep(tmp_path)
    assert (tmp_path / name / "rows.csv").exists()


def test_no_link_is_followed_out(tmp_path):
    """Neither a link in a folder that was left, nor one called like such a folder, nor one in place of its lock."""
    elsewhere = tmp_path / "elsewhere"
    inside = tmp_path / "inside"
    for folder in (elsewhere, inside):
        folder.mkdir()
    for name in ("precious", scratch.LOCK):
        (elsewhere / name).write_bytes(b"x")
    left = killed(inside)
    (left / "out").symlink_to(elsewhere)
    (inside / (scratch.PREFIX + "link")).symlink_to(elsewhere)
    odd = inside / (scratch.PREFIX + "odd")
    odd.mkdir()
    (odd / scratch.LOCK).symlink_to(elsewhere / scratch.LOCK)
    for folder in (left, odd, elsewhere):
        age(folder)
    scratch.sweep(inside)
    assert not left.exists()
    assert odd.exists()
    assert {path.name for path in elsewhere.iterdir()} == {"precious", scratch.LOCK}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of another user")
def test_a_folder_of_another_user_stays(tmp_path):
    left = killed(tmp_path)
    os.chown(left, 65534, 65534)
    age(left)
    scratch.sweep(tmp_path)
    assert left.exists()


def test_a_sweep_that_fails_is_logged_and_the_folder_made(tmp_path, monkeypatch, caplog):
    left = killed(tmp_path)
    age(left)

    def refused(path):
        raise PermissionError(errno.EACCES, "no")

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", refused)
        with scratch.folder(tmp_path) as folder:
            assert folder.exists()
    assert [record.action for record in caplog.records] == ["folder_not_removed"]
    scratch.sweep(tmp_path)  # the lock is still there, so the next one knows it again
    assert not left.exists()


def test_a_place_that_cannot_be_listed_is_logged(tmp_path, caplog):
    scratch.sweep(tmp_path / "missing")
    assert [record.action for record in caplog.records] == ["folder_not_swept"]


def test_what_two_sweep_at_once_is_gone_and_neither_fails(tmp_path):
    lefts = [killed(tmp_path) for _ in range(3)]
    for left in lefts:
        age(left)
    code = f"from pathlib import Path; from aircan import scratch; scratch.sweep(Path({str(tmp_path)!r}))"
    sweepers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [sweeper.wait(120) for sweeper in sweepers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_locked_no_folder_is_taken_for_one_that_was_left(tmp_path, monkeypatch, caplog):
    def unlockable(file, how):
        raise OSError(errno.ENOLCK, "no locks")

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", unlockable)
        inner = scratch.folder(tmp_path)
        folder = inner.__enter__()
    age(folder)
    scratch.sweep(tmp_path)
    assert folder.exists()
    inner.__exit__(None, None, None)
    assert not folder.exists()
    assert caplog.records[0].action == "folder_not_locked"


def test_a_system_without_locks_has_plain_folders(tmp_path, monkeypatch):
    left = killed(tmp_path)
    age(left)
    monkeypatch.setattr(scratch, "fcntl", None)
    with scratch.folder(tmp_path) as folder:
        assert sorted(tmp_path.iterdir()) == sorted([folder, left])
        assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == [left]

"""Starting and stopping by process id: exactly our own, whatever else runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
]
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
    "print(c.pid, flush=True); time.sleep(600)",
]


@pytest.fixture
def folder(tmp_path: Path):
    yield tmp_path
    for name in processes.names(tmp_path):
        processes.stop(tmp_path, name, how=signal.SIGKILL)


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")


def logged(folder: Path, name: str) -> str:
    return processes.log_file(folder, name).read_text().strip()


def test_a_started_process_is_alive_until_it_is_stopped(folder: Path):
    processes.start(folder, "one", SLEEP)
    assert processes.is_alive(folder, "one")
    assert processes.stop(folder, "one")
    assert not processes.is_alive(folder, "one")
    assert processes.names(folder) == []


def test_stopping_what_never_ran_does_nothing(folder: Path):
    assert not processes.stop(folder, "nobody")


def test_a_recycled_process_id_is_left_alone(folder: Path):
    """The record names a process id that now belongs to somebody who started at another moment."""
    stranger = subprocess.Popen(SLEEP)
    try:
        began = time.clock_gettime(time.CLOCK_BOOTTIME)
        wait_for(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) > began + 0.03)
        processes.start(folder, "one", SLEEP)
        record = folder / "run" / "one.json"
        ours = json.loads(record.read_text())
        record.write_text(json.dumps({**ours, "pid": stranger.pid}))
        assert not processes.is_alive(folder, "one")
        assert not processes.stop(folder, "one")
        assert stranger.poll() is None
        os.kill(ours["pid"], signal.SIGKILL)
    finally:
        stranger.kill()
        stranger.wait()


def test_a_record_of_an_earlier_boot_is_not_alive(folder: Path):
    pid = processes.start(folder, "one", SLEEP)
    record = folder / "run" / "one.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "boot": "another"}))
    assert not processes.stop(folder, "one")
    os.kill(pid, 0)
    os.kill(pid, signal.SIGKILL)


def test_a_process_that_does_not_listen_is_killed_after_its_grace(folder: Path):
    processes.start(folder, "deaf", DEAF)
    wait_for(lambda: logged(folder, "deaf") == "deaf")
    assert processes.stop(folder, "deaf", grace_s=0.2)
    assert not processes.is_alive(folder, "deaf")


def test_children_of_a_killed_process_are_found_and_ended(folder: Path):
    pid = processes.start(folder, "parent", PARENT)
    child = int(wait_for(lambda: logged(folder, "parent")))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes.is_alive(folder, "parent"))
    os.kill(child, 0)
    assert processes.stop(folder, "parent")
    wait_for(lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text())


def test_a_damaged_record_counts_as_no_process(folder: Path):
    (folder / "run").mkdir()
    (folder / "run" / "one.json").write_text("{")
    assert not processes.is_alive(folder, "one")


AWAY = [
    sys.executable,
    "-c",
    "import subprocess, sys, time; c = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
    " start_new_session=True, env={}); print(c.pid, flush=True); time.sleep(600)",
]


def test_a_child_in_a_session_of_its_own_is_stopped_too(folder: Path):
    """Airflow's tasks and gunicorn's workers may lead sessions of their own and overwrite their environment."""
    parent = processes.start(folder, "one", AWAY)
    child = int(wait_for(lambda: logged(folder, "one")))
    assert processes.family(folder, "one") == [parent, child]
    assert processes.stop(folder, "one", how=signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())
    assert processes.family(folder, "one") == []

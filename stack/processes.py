"""Starting, finding and stopping the stack's own processes, by process id and never by name.

A recorded process is known by its id, the moment it started (field 22 of /proc/PID/stat) and the boot of the machine:
a recycled id is another process and is left alone. Each process is started in a session of its own and carries
the state folder in its environment, so that what it leaves behind (a worker's child after `kill -9`) is found too.
Whoever is below it in the tree of processes when it is stopped belongs to it as well, whatever session it has.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MARK = "AIRCAN_STACK"
"""Environment variable of every process we start: the state folder it belongs to and its name."""

KILL_S = 10
"""Longest wait for the kernel to end killed processes, which hold their ports until then."""


@dataclass(frozen=True)
class Recorded:
    """What is written down about a started process."""

    pid: int
    started: str
    boot: str


def start(
    folder: Path,
    name: str,
    command: list[str],
    *,
    env: dict[str, str] | None = None,
    user: str | None = None,
    cwd: Path | None = None,
) -> int:
    """Start a process in the background and write down who it is.

    Args:
        folder: the state folder; the log is `log/<name>.log`, the record `run/<name>.json`.
        name: what it is called in this folder.
        command: program and arguments.
        env: variables beside this process's own.
        user: run as this system user (only root can).
        cwd: working folder; the state folder when not given.
    """
    environment = {**os.environ, **(env or {}), MARK: _mark(folder, name)}
    (folder / "log").mkdir(exist_ok=True)
    (folder / "run").mkdir(exist_ok=True)
    identity: dict[str, Any] = {"user": user, "group": user, "extra_groups": []} if user else {}
    with log_file(folder, name).open("ab") as log:
        child = subprocess.Popen(
            command,
            env=environment,
            cwd=cwd or folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **identity,
        )
    record = Recorded(child.pid, _started(child.pid) or "", _boot())
    _record_file(folder, name).write_text(json.dumps(asdict(record)))
    return child.pid


def log_file(folder: Path, name: str) -> Path:
    """Return where this process writes."""
    return folder / "log" / f"{name}.log"


def is_alive(folder: Path, name: str) -> bool:
    """Tell whether the recorded process still runs (a zombie does not)."""
    record = _read(folder, name)
    return record is not None and _is_same(record)


def names(folder: Path) -> list[str]:
    """Return the names of all recorded processes, sorted."""
    return sorted(file.stem for file in (folder / "run").glob("*.json"))


def family(folder: Path, name: str) -> list[int]:
    """Return the recorded process and all below it, itself first; empty when it does not run."""
    record = _read(folder, name)
    return [record.pid, *_descendants(record.pid)] if record and _is_same(record) else []


def stop(folder: Path, name: str, *, how: int = signal.SIGTERM, grace_s: float = 10) -> bool:
    """Stop a recorded process and what it left behind; True if anything of it was running.

    It gets the signal `how`, then `grace_s` seconds, then SIGKILL. What remains afterwards of its session and of
    the processes below it is killed.
    """
    record = _read(folder, name)
    if record is None:
        return False
    was_running = _is_same(record)
    below: list[Recorded] = []
    if was_running:
        below = [Recorded(pid, _started(pid) or "", record.boot) for pid in _descendants(record.pid)]
        _send(record.pid, how)
        _wait([record], grace_s)
    was_running = _end_rest(folder, name, record) or was_running
    for process in (record, *below):
        if _is_same(process):
            _send(process.pid, signal.SIGKILL)
    _wait([record, *below], KILL_S)
    _record_file(folder, name).unlink(missing_ok=True)
    return was_running


def _wait(ending: list[Recorded], seconds: float) -> None:
    """Wait until these processes are gone, or the time is over."""
    end = time.monotonic() + seconds
    while any(_is_same(process) or _is_ending(process) for process in ending) and time.monotonic() < end:
        time.sleep(0.05)


def _end_rest(folder: Path, name: str, record: Recorded) -> bool:
    """Kill what is left of the process's session; True if there was something."""
    if record.boot != _boot():
        return False
    mark = f"{MARK}={_mark(folder, name)}".encode()
    found = False
    for _ in range(100):
        rest = [pid for pid in _pids() if _session(pid) == record.pid and mark in _environment(pid)]
        if not rest:
            break
        found = True
        for pid in rest:
            _send(pid, signal.SIGKILL)
        time.sleep(0.05)
    return found


def _mark(folder: Path, name: str) -> str:
    return f"{folder}:{name}"


def _record_file(folder: Path, name: str) -> Path:
    return folder / "run" / f"{name}.json"


def _read(folder: Path, name: str) -> Recorded | None:
    try:
        return Recorded(**json.loads(_record_file(folder, name).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, from `state` on; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _started(pid: int) -> str | None:
    """Return when the process started, in clock ticks since boot; None for no process or a zombie."""
    fields = _stat(pid)
    if not fields or fields[0] == "Z":
        return None
    return fields[19]


def _is_same(record: Recorded) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
    return record.boot == _boot() and _started(record.pid) == record.started


def _is_ending(record: Recorded) -> bool:
    """Tell whether a process has ended but for some of its threads, which still hold its files and ports."""
    fields = _stat(record.pid)
    return bool(fields) and fields[0] == "Z" and fields[19] == record.started and int(fields[17]) > 1


def _session(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[3]) if fields and fields[0] != "Z" else 0


def _descendants(pid: int) -> list[int]:
    """Return the processes below this one, each after its parent."""
    children: dict[int, list[int]] = {}
    for other in _pids():
        if fields := _stat(other):
            children.setdefault(int(fields[1]), []).append(other)
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found[1:]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _send(pid: int, how: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, how)

"""What compiled readers do to their process, done on purpose: functions for `apart.read`."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from pathlib import Path

from aircan.contract import Reject
from aircan.errors import WorkbookDamaged

FAULTS = {
    "abort": os.abort,
    "segfault": lambda: ctypes.string_at(0),
    "illegal": lambda: os.kill(os.getpid(), signal.SIGILL),
    "exit": lambda: os._exit(3),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "memory": lambda: [bytearray(64 << 20) for _ in range(1000)],
    "defect": lambda: {}["not there"],
    "for ever": lambda: time.sleep(3600),
}


def fault(name, *, params, workdir, rejects, stop):
    """Do it; where the system lets it pass, the function returns."""
    rejects.add(Reject(1, "nul"))
    rejects.flush()
    return FAULTS[name]()


def malloc(size_mb, *, params, workdir, rejects, stop):
    """Ask for memory behind Python's back and use it, as Rust does, and abort with its words when there is none."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    place = libc.malloc(ctypes.c_size_t(size_mb << 20))
    if not place:
        os.write(2, b"memory allocation of %d bytes failed\n" % (size_mb << 20))
        os.abort()
    ctypes.memset(place, 1, size_mb << 20)
    return size_mb


def stuck(path, kind, hold, *, params, workdir, rejects, stop):
    """Never come back from a workbook."""
    endless(params=params, workdir=workdir, rejects=rejects, stop=stop)


def endless(*, params, workdir, rejects, stop):
    """Hold the interpreter's lock and never come back, as a compiled reader in a loop does."""
    (workdir / "begun").touch()
    ctypes.PyDLL(None).sleep(3600)


def refused(*, params, workdir, rejects, stop):
    """Find a defect in the file."""
    raise WorkbookDamaged("for the log", reason="its container is broken")


def counted(count, *, params, workdir, rejects, stop):
    """Reject many rows and leave a file."""
    (workdir / "rows.csv").write_bytes(b"x")
    for number in range(count):
        rejects.add(Reject(number + 1, "nul", text=f"row {number + 1}"))
    return {"stop": stop.is_set(), **params}


def told(*, params, workdir, rejects, stop):
    """Tell what kind of process this is."""
    return {
        "pid": os.getpid(),
        "cores": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "badness": Path("/proc/self/oom_score_adj").read_text().strip(),
        "duckdb": "duckdb" in sys.modules,
    }


def aborts(path, *, params, workdir, rejects, stop):
    """Abort on a file."""
    os.abort()

"""Read a file in a process of its own, so that what its reader does to the process is an error and no more.

Compiled readers can abort, overflow the stack or ask for all the memory there is. The process is a new one, not a
copy of this, as threads, connections and locks are not to be copied; it has a limit of memory, is the first one that
a system without memory kills, and ends with this one, however that ends. Imports `contract`, `errors`,
`ports`, `progress` and `table`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from aircan.contract import Reject
from aircan.errors import AircanError, JobStopped, ReaderCrashed, ReaderOutOfMemory, from_dict
from aircan.ports import Stop, never
from aircan.progress import READER
from aircan.table import Rejects

try:
    import fcntl
    import resource
except ImportError:  # no limits on this system
    fcntl = resource = None  # type: ignore[assignment]

BEGIN = "import sys; sys.path[:] = sys.argv[2:]; from aircan.apart import serve; serve()"
"""What the process runs: with the folders of this one's modules, and none that happens to be its current one."""

TITLE = "aircan-reader"
"""Its first argument, for people who look at the processes."""

WAIT_S = 0.1
"""How often `stop` is asked, at least."""

NO_MEMORY = 71
"""Exit code for a MemoryError of Python."""

KILLED = -9
"""What a process leaves that a system without memory has ended."""

_OUT_OF_MEMORY = (b"memory allocation of", b"bad_alloc", b"MemoryError")
"""What Rust, C++ and Python say."""

SAID_BYTES = 65_536
"""Of what the process has said, so much is looked at."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Request:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    params: dict[str, Any]
    workdir: Path
    room: int
    memory_mb: int


@dataclass(frozen=True)
class _End:
    """The last word of the process: what the function returned or the error that it raised, and the rejects."""

    result: Any
    rejected: int
    error: dict[str, Any] | None = None


def read(
    function: Callable[..., Result],
    *args: Any,
    params: Any,
    format_: str,
    memory_mb: int,
    workdir: Path,
    rejects: Rejects,
    stop: Stop,
) -> Result:
    """Return function(*args, params=, workdir=, rejects=, stop=), called in another process.

    Args:
        function: of a module; what it takes and returns can be pickled. It imports what it needs anew: keep it small.
        args: its first arguments.
        params: of the order.
        format_: of the file, for the errors.
        memory_mb: most memory of the process.
        workdir: where it leaves files; three more are there while it works.
        rejects: takes what it rejects.
        stop: asked while it works; then the process is killed.

    Raises:
        ReaderCrashed: the process died. ReaderOutOfMemory: it took more than it may. JobStopped. RuntimeError: the
        function raised what is no AircanError; all else is raised as it was there.
    """
    outcome, said, pid = workdir / "reader.outcome", workdir / "reader.log", workdir / READER
    request = _Request(function, args, dict(params), workdir, rejects.room, memory_mb)
    try:
        with open(said, "w+b") as log:
            code = _run(pickle.dumps((request, outcome)), log, pid, stop)
            end = _end(outcome, rejects)
            if end is None:
                log.seek(0)
                raise _death(code, log.read(SAID_BYTES), format_, memory_mb)
    finally:
        for path in (outcome, said, pid):
            path.unlink(missing_ok=True)
    if end.error:
        raise from_dict(end.error)
    result: Result = end.result
    return result


def _run(request: bytes, log: BinaryIO, pid: Path, stop: Stop) -> int:
    """Run a process with a request until it ends; return its exit code. Raises JobStopped."""
    command = [sys.executable, "-c", BEGIN, TITLE, *sys.path]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, bufsize=0, env={**os.environ, "RUST_BACKTRACE": "0"}
    )
    assert process.stdin is not None
    try:
        pid.write_text(str(process.pid), encoding="ascii")
        with contextlib.suppress(BrokenPipeError):  # it is dead already, and has said why
            process.stdin.write(request)
        while process.poll() is None:
            if stop.is_set():
                raise JobStopped
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(WAIT_S)
        return process.returncode
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def _end(outcome: Path, rejects: Rejects) -> _End | None:
    """Return the last word of the process, and pass on what it rejected; None when it died before."""
    end = next((said for said in _said(outcome) if isinstance(said, _End)), None)
    if end is None:
        return None
    told = 0
    for batch in _said(outcome):
        if isinstance(batch, list):
            told += len(batch)
            for reject in batch:
                rejects.add(reject)
    rejects.skip(end.rejected - told)
    return end


def _said(outcome: Path) -> Iterator[list[Reject] | _End]:
    """Yield what the process has written: rejects in batches, then its last word."""
    with contextlib.suppress(FileNotFoundError, EOFError, pickle.UnpicklingError), open(outcome, "rb") as file:
        while True:
            yield pickle.load(file)  # noqa: S301 - written by our own process, in our private folder


def _death(code: int, said: bytes, format_: str, memory_mb: int) -> Exception:
    """Return what to raise for a process that has died without a last word."""
    shown = said.decode(errors="replace").strip()
    if code in (NO_MEMORY, KILLED) or any(words in said for words in _OUT_OF_MEMORY):
        return ReaderOutOfMemory(shown[:1000], format=format_, limit_mb=memory_mb)
    if code >= 0 and "Traceback" in shown:
        return RuntimeError(shown[-1000:])
    reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return ReaderCrashed(shown[:1000], format=format_, reason=reason)


def serve() -> None:
    """Do what the request on the standard input says, and exit; never returns."""
    for number in (signal.SIGINT, signal.SIGTERM):  # who asks this process asks the other one, too, and that one kills
        signal.signal(number, signal.SIG_IGN)
    request, outcome = pickle.load(sys.stdin.buffer)  # noqa: S301 - written by our own process
    _bind(request.memory_mb)
    try:
        with open(outcome, "wb") as out:
            pickle.dump(_carry_out(request, out), out, pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        os._exit(NO_MEMORY)
    os._exit(0)  # at once: what is left to be taken apart can be large


def _carry_out(request: _Request, out: BinaryIO) -> _End:
    rejects = Rejects(request.room, lambda batch: pickle.dump(batch, out))
    given = {"params": request.params, "workdir": request.workdir, "rejects": rejects, "stop": never()}
    result, error = None, None
    try:
        result = request.function(*request.args, **given)
    except AircanError as exc:
        error = exc.to_dict()
    rejects.flush()
    return _End(result, rejects.count, error)


def _bind(memory_mb: int) -> None:
    """Bind this process to its limits, and its life to that of the other end of the standard input.

    As far as the system knows such things; Linux knows all of them.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    if fcntl is None or resource is None:
        return
    for kind, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_DATA, memory_mb << 20)):
        soft, hard = resource.getrlimit(kind)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most if soft == resource.RLIM_INFINITY else min(most, soft), hard))
    # The system sends SIGIO, which ends a process, when something happens there: nothing but its end can. A thread
    # that waits for it would not do, as a compiled reader need not let any other thread work.
    with contextlib.suppress(OSError):
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, fcntl.fcntl(0, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([0], [], [], 0)[0]:
        os._exit(1)

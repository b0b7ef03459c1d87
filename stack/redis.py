"""A private Redis on loopback, in memory only: what it holds (queues) the reconcile loop can make again."""

from __future__ import annotations

from . import processes
from .ports import HOST, wait_open
from .say import StackError, say, tail
from .state import State

NAME = "redis"
USUAL_PORT = 6390
DATABASES = 64


def up(state: State) -> None:
    """Start Redis if it does not run."""
    if processes.is_alive(state.folder, NAME):
        return
    processes.stop(state.folder, NAME)
    port = state.port(NAME, USUAL_PORT)
    say(f"starting Redis on {HOST}:{port}")
    command = ["redis-server", "--port", str(port), "--bind", HOST, "--save", "", "--appendonly", "no"]
    processes.start(state.folder, NAME, [*command, "--databases", str(DATABASES), "--daemonize", "no"])
    if not wait_open(port, timeout_s=20):
        raise StackError(f"Redis does not answer:\n{tail(processes.log_file(state.folder, NAME))}")


def down(state: State) -> None:
    """Stop Redis."""
    if processes.stop(state.folder, NAME):
        say("stopped Redis")


def url(state: State, number: int) -> str:
    """Return the address of one of its numbered databases."""
    return f"redis://{HOST}:{state.port(NAME, USUAL_PORT)}/{number}"

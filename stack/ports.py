"""Free ports on loopback: the wanted one, or the next that nobody listens on."""

from __future__ import annotations

import socket
import time
from collections.abc import Container

from .say import StackError, say

HOST = "127.0.0.1"
TRIES = 100


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now; one that has just closed counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(what: str, wanted: int, *, besides: Container[int] = ()) -> int:
    """Return `wanted` or the next free port after it, and say so when it is another one.

    Args:
        what: who will listen there, for the message.
        wanted: the port to try first.
        besides: ports that are given away already, though nobody listens yet.
    """
    for port in range(wanted, wanted + TRIES):
        if port not in besides and is_free(port):
            if port != wanted:
                say(f"port {wanted} is taken by another program: {what} uses {port}")
            return port
    raise StackError(f"No free port for {what} between {wanted} and {wanted + TRIES - 1}.")


def wait_open(port: int, *, timeout_s: float) -> bool:
    """Wait until somebody accepts connections on the port; False when the time is over."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.05)
    return False

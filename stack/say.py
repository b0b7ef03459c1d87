"""How the stack talks to the person at the terminal, and the one error that ends it with a sentence."""

from __future__ import annotations

import sys
import time
from pathlib import Path

_began = time.monotonic()


class StackError(Exception):
    """Something a person has to know or do; the text is shown as it is, without a traceback."""


def say(text: str) -> None:
    """Print one line with the seconds since the start in front."""
    sys.stdout.write(f"{time.monotonic() - _began:6.1f}s  {text}\n")
    sys.stdout.flush()


def plain(text: str = "") -> None:
    """Print a line as it is: tables, addresses, commands to copy."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tail(log_file: Path, *, lines: int = 15) -> str:
    """Return the last lines of a log, indented, to be shown below an error."""
    if not log_file.exists():
        return f"    (there is no {log_file})"
    last = log_file.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in last) + f"\n    (all of it: {log_file})"

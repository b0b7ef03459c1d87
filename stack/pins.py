"""`make pins`: the exact versions of requirements/*.txt, from fresh environments with the newest versions that fit.

CKAN pins its own dependencies, differently in each version; installing CKAN together with everything else lets pip
find what suits both, so the files can never fight CKAN's.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from . import venv
from .say import say
from .state import PROJECT

VERSIONS = ("2.12.0", "2.11.6", "2.10.11")
HEADER = "# Exact versions for pip's -c, written by `make pins`. Only `make demo` and `make test` read them.\n"


def write(only: list[str]) -> int:
    """Resolve anew and write the files.

    Args:
        only: names such as `library` or `ckan-2.12.0`; all when empty.
    """
    for name, kind in _kinds().items():
        if only and name not in only:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            folder = venv.ensure(Path(scratch), replace(kind, pins=Path(scratch) / "none"))
            target = PROJECT / "requirements" / f"{name}.txt"
            target.write_text(HEADER + "".join(f"{line}\n" for line in _frozen(folder)))
            say(f"wrote {target.relative_to(PROJECT)}")
    return 0


def _kinds() -> dict[str, venv.Kind]:
    kinds = {"library": venv.library()}
    for version in VERSIONS:
        kinds[f"ckan-{version}"] = replace(venv.test(version), data=venv.demo(version).data)
    return kinds


def _frozen(folder: Path) -> list[str]:
    command = [str(folder / "bin/python"), "-m", "pip", "freeze", "--all", "--exclude-editable"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if "==" in line and not line.startswith(("pip==", "ckanext-aircan-connector=="))]

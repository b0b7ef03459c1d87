"""The wheel for workers: the library alone, which runs where there is no CKAN."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from setuptools.config.pyprojecttoml import load_file

import aircan

PROJECT = Path(__file__).resolve().parent.parent
FOREIGN = ("ckan", "ckanext", "ckantoolkit", "flask", "sqlalchemy", "psycopg2", "alembic", "airflow")

WHOLE_RUN = """
import importlib.util, json, sys
foreign = [name for name in %r if importlib.util.find_spec(name)]
import aircan, aircan.staged
from aircan.store import Store
Store(sys.argv[1], "aircan_load", "run").write("fetch", "data", b"x")
print(json.dumps({"foreign": foreign, "path": aircan.__file__}))
"""


def run(*command: str | Path, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build from a copy, so that nothing is left in the source tree and nothing old gets in."""
    source = tmp_path_factory.mktemp("source")
    skip = shutil.ignore_patterns("build", "*.egg-info", "__pycache__")
    shutil.copytree(PROJECT / "aircan", source / "aircan", ignore=skip)
    shutil.copy(PROJECT / "LICENSE", source / "LICENSE")
    shutil.copytree(PROJECT / "packages", source / "packages", symlinks=True, ignore=skip)
    target = tmp_path_factory.mktemp("wheel")
    package = source / "packages/aircan"
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", target, package)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def described(wheel: Path) -> metadata.PathDistribution:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(wheel.parent / "unpacked")
    (info,) = (wheel.parent / "unpacked").glob("*.dist-info")
    return metadata.PathDistribution(info)


def project(path: str) -> dict:
    return load_file(PROJECT / path)["project"]


def bare(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower()


def test_the_whole_library_is_in_it_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info" not in name}
    files = [file for file in (PROJECT / "aircan").rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert names == {str(file.relative_to(PROJECT)) for file in files}


def test_it_has_the_name_and_the_version_of_the_library(described):
    assert (described.metadata["Name"], described.version) == ("aircan", aircan.__version__)


def test_it_asks_for_nothing_of_ckan(described):
    asked = {bare(requirement) for requirement in described.requires}
    assert asked & set(FOREIGN) == set()
    assert asked == {
        "duckdb", "fsspec", "gcsfs", "lxml", "msgspec", "olefile", "python-calamine", "requests", "s3fs"
    }  # fmt: skip


def test_both_distributions_ask_for_the_same_versions():
    whole, workers = project("pyproject.toml"), project("packages/aircan/pyproject.toml")
    assert set(workers["dependencies"]) <= set(whole["dependencies"])
    extras = whole["optional-dependencies"]
    assert workers["optional-dependencies"] == {name: extras[name] for name in ("airflow", "s3", "gcs")}
    assert workers["requires-python"] == whole["requires-python"]
    assert workers["scripts"] == whole["scripts"]


def needed(names: set[str]) -> set[str]:
    """Return these distributions and all that they ask for without an extra."""
    found, todo = set(), {name.lower() for name in names}
    while todo:
        name = todo.pop()
        found.add(name)
        for requirement in metadata.distribution(name).requires or ():
            other = bare(requirement)
            marker = requirement.partition(";")[2]
            if not marker and other not in found:
                todo.add(other)
    return found


@pytest.fixture(scope="module")
def worker(wheel: Path, described, tmp_path_factory) -> Path:
    """Return a new environment with the wheel, and of the tests' own only what the wheel asks for."""
    folder = tmp_path_factory.mktemp("worker")
    venv.create(folder, with_pip=True)
    (theirs,) = folder.glob("lib/python3*/site-packages")
    asked = {bare(one) for one in described.requires if "extra" not in one or "airflow" in one}
    for name in needed(asked):
        for file in metadata.distribution(name).files or ():
            source = Path(file.locate())
            if ".." not in file.parts and source.is_file():
                (theirs / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, theirs / file)
    run(folder / "bin/python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    return folder


def test_the_tasks_run_where_there_is_no_ckan(worker: Path, tmp_path: Path):
    code = WHOLE_RUN % (FOREIGN,)
    told = json.loads(run(worker / "bin/python", "-c", code, tmp_path / "store", cwd=tmp_path))
    assert told["foreign"] == []
    assert told["path"].startswith(str(worker))
    assert (tmp_path / "store/aircan_load/run/fetch/data").read_bytes() == b"x"


def test_the_command_reads_a_file(worker: Path, tmp_path: Path):
    (tmp_path / "cities.csv").write_text("id,city\n1,Ouro Preto\n2,Łódź\n")
    shown = run(worker / "bin/aircan", "sniff", "cities.csv", cwd=tmp_path)
    assert re.search(r"id +numeric", shown)

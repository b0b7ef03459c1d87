"""First CKAN without Airflow, then its generations one after the other: each is started once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from . import files
from .links import Links
from .rig import Rig, eventually

GENERATIONS = (3, 2)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "only(generation): a test for one generation of Airflow")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests first that want no Airflow."""
    items.sort(key=lambda item: "rig" in getattr(item, "fixturenames", ()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with each generation, or with the one that it is marked for."""
    if "rig" in metafunc.fixturenames:
        marks = [mark.args[0] for mark in metafunc.definition.iter_markers("only")]
        generations = [generation for generation in GENERATIONS if not marks or generation in marks]
        ids = [f"airflow{generation}" for generation in generations]
        metafunc.parametrize("rig", generations, ids=ids, indirect=True, scope="session")


@pytest.fixture(scope="session")
def rig(request: pytest.FixtureRequest):
    if "STACK_FOLDER" not in os.environ:
        pytest.skip("STACK_FOLDER is not set: use make test ONLY=airflow")
    made = Rig(request.param)
    made.fill_dags()
    made.write_dag("paused", paused=True)
    made.write_dag("breaks")
    made.start()
    for dag_id in ("aircan_load", "paused", "breaks"):
        eventually(lambda dag_id=dag_id: made.knows(dag_id), f"Airflow saw the DAG {dag_id}")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def ckan() -> Rig:
    """The CKAN alone. No Airflow runs, so its runs wait, and a test can be the worker that carries one out."""
    if "STACK_FOLDER" not in os.environ:
        pytest.skip("STACK_FOLDER is not set: use make test ONLY=airflow")
    made = Rig(GENERATIONS[0])
    made.stop()
    return made


@pytest.fixture(scope="session")
def links():
    with Links() as server:
        yield server


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="session")
def mixed(folder: Path) -> Path:
    """A small file with every kind of column, and one torn line."""
    return files.mixed(folder / "mixed.csv")


@pytest.fixture(scope="session")
def large(folder: Path) -> Path:
    """A file that takes seconds in every phase."""
    return files.large(folder / "large.csv")

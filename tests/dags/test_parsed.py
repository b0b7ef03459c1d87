"""The DAG files, parsed by a real Airflow 3 and a real Airflow 2."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stack import airflow_venv

PROJECT = Path(__file__).parents[2]

DOCUMENTED = PROJECT / "docs/dags.md"
EXAMPLE = re.compile(r"^```python\n(.*?@dag.*?)^```", re.M | re.S)

PARSE = """
import json, sys, warnings
warnings.simplefilter("always")
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
dags = {
    dag_id: {
        task.task_id: {
            "after": sorted(task.upstream_task_ids),
            "rule": str(getattr(task.trigger_rule, "value", task.trigger_rule)),
            "mapped": bool(getattr(task, "is_mapped", False)) or type(task).__name__.endswith("MappedOperator"),
            "retries": task.retries,
        }
        for task in dag.tasks
    }
    for dag_id, dag in bag.dags.items()
}
errors = {name.rpartition("/")[2]: error for name, error in bag.import_errors.items()}
print("PARSED " + json.dumps({"dags": dags, "errors": errors}))
"""


@pytest.fixture(scope="module", params=airflow_venv.GENERATIONS, ids=lambda generation: f"airflow{generation}")
def parsed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return {"dags": {dag_id: {task_id: facts}}, "errors": {file: text}, "said": what it wrote beside}."""
    if "STACK_FOLDER" not in os.environ:
        pytest.fail("STACK_FOLDER is not set: run `make test ONLY=project`, which brings a site up")
    venv = airflow_venv.ensure(Path(os.environ["STACK_FOLDER"]), request.param)
    home = tmp_path_factory.mktemp("airflow")
    dags = tmp_path_factory.mktemp("dags")
    for path in (PROJECT / "dags").glob("*.py"):
        shutil.copy(path, dags)
    if request.param == 3:
        (dags / "stations_load.py").write_text(EXAMPLE.search(DOCUMENTED.read_text())[1])
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("CKAN", "PYTEST"))},
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PYTHONDONTWRITEBYTECODE": "",
        "NO_COLOR": "1",
    }
    command = [str(venv / "bin/python"), "-c", PARSE, str(dags)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("PARSED "))
    said = {"said": done.stdout + done.stderr, "generation": request.param}
    return {**json.loads(line.removeprefix("PARSED ")), **said}


def test_every_file_is_read_without_an_error(parsed: dict[str, Any]):
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) >= {path.stem for path in (PROJECT / "dags").glob("*.py")}


def test_nothing_is_used_that_this_airflow_will_not_have_for_long(parsed: dict[str, Any]):
    said = [line for line in parsed["said"].splitlines() if "deprecat" in line.lower() and "dags/aircan" in line]
    assert said == []


@pytest.mark.parametrize("dag_id", ["aircan_load", "stations_load"])
def test_the_tasks_of_a_load_come_in_order_and_the_last_in_any_case(parsed: dict[str, Any], dag_id: str):
    """The same holds for the example of docs/dags.md, which is written for Airflow 3."""
    if dag_id not in parsed["dags"]:
        assert (dag_id, parsed["generation"]) == ("stations_load", 2)
        return
    tasks = parsed["dags"][dag_id]
    assert {name: task["after"] for name, task in tasks.items()} == {
        "fetch": [],
        "convert": ["fetch"],
        "load": ["convert"],
        "publish": ["load"],
        "report": ["publish"],
    }
    assert {name for name, task in tasks.items() if task["mapped"]} == {"load"}
    assert {name: task["rule"] for name, task in tasks.items() if task["rule"] != "all_success"} == {
        "report": "all_done"
    }
    assert all(task["retries"] > 1 for task in tasks.values())

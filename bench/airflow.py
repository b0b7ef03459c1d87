"""A file through Airflow and the gateway against the same file by CKAN's own worker, in turns, in the same run.

Work is the time in which tasks of the run were at work (fetch to publish, as CKAN's row has them); the rest of a run is
Airflow's latency: starting processes, waiting for its scheduler. How long after the submit the first task starts is
compared with a DAG that is started without CKAN.

    python bench/airflow.py [ROWS] [ROUNDS]        default 1,000,000 rows, 3 rounds

`make bench` gives it CKAN_INI and STACK_FOLDER; it starts the site of the tests with Airflow, and an Airflow 3.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from _common import peak_mb, write_rows

from stack import ckan, processes, testing, venv
from stack.__main__ import TEST_SHIFT
from stack.state import State
from tests.airflow.rig import Rig, eventually

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
AT_MOST = 1.25
EXTRA_S = 1.0
LATENCY_ROUNDS = 5


def spans(job: dict[str, Any]) -> list[tuple[datetime, datetime]]:
    """Return when the tasks of a run began and ended, in the order of their beginnings."""
    tasks = job["info"]["tasks"]
    assert all(task["finished"] for task in tasks), tasks
    return sorted((moment(task["started"]), moment(task["finished"])) for task in tasks)


def work_s(job: dict[str, Any]) -> float:
    """Return the seconds in which at least one task was at work."""
    total, until = timedelta(0), datetime.min.replace(tzinfo=timezone.utc)
    for began, ended in spans(job):
        total += max(timedelta(0), ended - max(began, until))
        until = max(until, ended)
    return total.total_seconds()


def whole_s(job: dict[str, Any]) -> float:
    """Return the seconds from the submit to the end."""
    return (moment(job["finished"]) - moment(job["created"])).total_seconds()


def moment(text: str) -> datetime:
    """Read a moment as CKAN or Airflow writes it; one without a zone is in UTC."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def first_start(rig: Rig, dag_id: str, run_id: str) -> datetime:
    """Return when the first task of a run began, once it has."""

    def look() -> list[str]:
        tasks = rig.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return sorted(task["start_date"] for task in tasks if task["start_date"])

    return moment(eventually(look, "a task started")[0])


def latencies(rig: Rig, resource: str) -> tuple[float, float]:
    """Return the median seconds to the first task: of a run that CKAN submits, of one that Airflow is given."""
    ours, theirs = [], []
    for _ in range(LATENCY_ROUNDS):
        job_id = rig.submit(resource)
        job = rig.ended(job_id)
        assert job["status"] == "DONE", rig.story(job_id)
        ours.append((first_start(rig, "aircan_load", job_id) - moment(job["created"])).total_seconds())
        run_id, began = str(uuid.uuid4()), datetime.now(timezone.utc)
        rig.trigger("latency", run_id)
        theirs.append((first_start(rig, "latency", run_id) - began).total_seconds())
    return statistics.median(ours), statistics.median(theirs)


def web_peaks(rig: Rig) -> list[float]:
    """Return the most memory that each process of the web server has had, in MB."""
    return [peak_mb(pid) for pid in processes.family(rig.state.folder, rig.site.web)]


def rounds(rig: Rig, resource: str) -> Iterator[dict[str, dict[str, Any]]]:
    """Load the file by both factories, in turns."""
    for _ in range(ROUNDS):
        found = {}
        for factory in ("airflow", "local"):
            job = rig.load(resource, factory=factory, params={"publish": "complete"})
            assert job["status"] == "DONE", rig.story(job["id"])
            assert job["info"]["result"]["rows"] == ROWS
            found[factory] = job
        yield found


def measure(rig: Rig, folder: Path) -> None:
    """Load, and print ratios."""
    small, large = folder / "small.csv", folder / "large.csv"
    write_rows(small, 100)
    write_rows(large, ROWS)
    ours, theirs = latencies(rig, rig.resource(small))
    print(
        f"submit to first task: {ours:.2f} s, Airflow alone {theirs:.2f} s: {ours - theirs:.2f} s (at most {EXTRA_S})"
    )
    before = web_peaks(rig)
    found = list(rounds(rig, rig.resource(large)))
    work = {name: statistics.median(work_s(pair[name]) for pair in found) for name in ("airflow", "local")}
    ratio = statistics.median(work_s(pair["airflow"]) / work_s(pair["local"]) for pair in found)
    print(
        f"{ROWS:,} rows, work: through Airflow and the gateway {work['airflow']:.1f} s, in CKAN {work['local']:.1f} s: "
        f"{ratio:.2f}x (at most {AT_MOST})"
    )
    apart = statistics.median(whole_s(pair["airflow"]) - work_s(pair["airflow"]) for pair in found)
    print(f"the rest of a run through Airflow: {apart:.1f} s")
    grown = max(after - was for was, after in zip(before, web_peaks(rig), strict=False))
    print(f"the most that a process of CKAN's web server grew by: {grown:.0f} MB")


def main() -> None:
    """Start site and Airflow, measure, and stop both."""
    state = State(Path(os.environ["STACK_FOLDER"]), shift=TEST_SHIFT)
    site = testing.live(testing.airflow_site(state, venv.NEWEST), venv.folder_of(state.folder, venv.test(venv.NEWEST)))
    os.environ.update(testing.live_environment(site))
    rig = Rig(3)
    rig.fill_dags()
    rig.write_dag("latency")
    try:
        rig.start()
        for dag_id in ("aircan_load", "latency"):
            eventually(lambda dag_id=dag_id: rig.knows(dag_id), f"Airflow saw the DAG {dag_id}")
        with tempfile.TemporaryDirectory() as folder:
            measure(rig, Path(folder))
    finally:
        rig.stop()
        ckan.stop(rig.site.slug, rig.state.folder)


if __name__ == "__main__":
    main()

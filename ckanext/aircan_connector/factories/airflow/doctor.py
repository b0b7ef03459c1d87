"""What `ckan aircan doctor` finds out about Airflow: from here, and from a worker by a run of the DAG aircan_doctor."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator

import requests

from aircan.errors import AircanError, DagBroken, DagMissing, DagPaused, FactoryUnavailable
from aircan.keys import proof

from ... import config
from ..base import Checked, SeenTask
from . import logs
from .answers import NAME
from .api import Api, Dag

DAG_ID = "aircan_doctor"

LOOK_S = 1.0
"""Seconds between two looks at the run of the doctor's DAG."""

CALLBACK_S = 10
"""Seconds to wait for CKAN's own address."""

GOOD = {
    "same_key": "A worker has the key of this site.",
    "reach_ckan": "A worker reaches this CKAN at {url}.",
    "keep_files": "A worker can keep files in its store.",
}
"""Tasks of the DAG, and what their success means."""


def examine(api: Api, wait_s: float) -> Iterator[Checked]:
    """Yield everything that is looked at, one after the other. Raises FactoryUnavailable when no more can be asked."""
    version = api.version()
    yield Checked("airflow", True, f"Airflow {version} answers at {api.link.url or 'Amazon'} (API {api.name}).")
    yield from _parts(api)
    dag = _dag(api, config.airflow_dag_id())
    yield dag
    yield from _import_errors(api)
    yield _callback(config.airflow_ckan_url())
    if wait_s > 0:
        doctor = _dag(api, DAG_ID)
        if not doctor.ok:
            yield Checked("worker", False, f"No worker can be asked what it sees. {doctor.message}")
            return
        yield from _of_a_worker(api, wait_s)


def _parts(api: Api) -> Iterator[Checked]:
    for name, word in api.health().items():
        yield Checked("airflow", word == "healthy", f"Airflow's {name.replace('_', ' ')} is {word}.")


def runnable(dag: Dag) -> None:
    """Raise DagBroken or DagPaused when runs of a DAG would not start."""
    if dag.broken:
        raise DagBroken(factory=NAME, dag_id=dag.dag_id, reason=dag.broken)
    if dag.paused:
        raise DagPaused(factory=NAME, dag_id=dag.dag_id)


def _dag(api: Api, dag_id: str) -> Checked:
    try:
        runnable(api.dag(dag_id))
    except (DagMissing, DagBroken, DagPaused) as exc:
        return Checked("dag", False, exc.message)
    return Checked("dag", True, f"The DAG {dag_id} is there and not paused.")


def _import_errors(api: Api) -> Iterator[Checked]:
    for file, reason in api.import_errors():
        if "aircan" in file:
            yield Checked("dag", False, f"Airflow cannot read the file {file}: {reason}.")


def _callback(url: str) -> Checked:
    """Ask CKAN at the address that workers are given; from here, which is not yet from there."""
    try:
        answer = requests.get(f"{url}/api/3/action/status_show", timeout=CALLBACK_S, allow_redirects=False)
    except requests.RequestException as exc:
        return Checked("callback", False, f"CKAN does not answer at {url} ({type(exc).__name__}), seen from here.")
    try:
        told = answer.json() if answer.status_code == 200 else None
    except ValueError:
        told = None
    if not isinstance(told, dict) or told.get("success") is not True:
        words = f"What answers at {url} is not CKAN (status {answer.status_code}), seen from here."
        return Checked("callback", False, f"{words} Correct the option {config.PREFIX}airflow.ckan_url.")
    return Checked("callback", True, f"CKAN answers at {url}, seen from here.")


def _of_a_worker(api: Api, wait_s: float) -> Iterator[Checked]:
    """Start the doctor's DAG, wait for its end, and tell what each of its tasks found."""
    run_id, nonce, url = str(uuid.uuid4()), secrets.token_hex(16), config.airflow_ckan_url()
    conf = {"site_url": url, "nonce": nonce, "proofs": [proof(key, nonce) for key in config.airflow_keys()]}
    api.trigger(DAG_ID, run_id, conf, "CKAN: ckan aircan doctor")
    state = _state_in_the_end(api, run_id, wait_s)
    if state not in ("success", "failed"):
        api.stop(DAG_ID, run_id, "ckan aircan doctor does not wait any longer")
        words = (
            f"No worker has finished a run of {DAG_ID} within {round(wait_s)} seconds; the run is {state or 'gone'}."
        )
        yield Checked("worker", False, f"{words} Look whether Airflow's scheduler and workers run.")
        return
    tasks = api.tasks(DAG_ID, run_id)
    if not tasks:  # Airflow 1.10 does not show them
        words = "A worker has the key, reaches this CKAN and has a store." if state == "success" else "A worker failed."
        yield Checked("worker", state == "success", words)
    for task in tasks:
        if task.state == "success" and task.id in GOOD:
            yield Checked("worker", True, GOOD[task.id].format(url=url))
        else:
            yield Checked("worker", False, f"A worker says in the task {task.label}: {_reason(api, run_id, task)}.")


def _state_in_the_end(api: Api, run_id: str, wait_s: float, *, sleep: Callable[[float], None] = time.sleep) -> str:
    end = time.monotonic() + wait_s
    while True:
        run = api.run(DAG_ID, run_id)
        state = run.state if run else ""
        if state in ("success", "failed", "") or time.monotonic() >= end:
            return state
        sleep(LOOK_S)


def _reason(api: Api, run_id: str, task: SeenTask) -> str:
    try:
        return logs.reason(logs.tail(api.log(DAG_ID, run_id, task), config.airflow_keys())) or task.state
    except FactoryUnavailable as exc:
        return f"{task.state}; its log could not be had ({exc.code})"


def of(exc: AircanError) -> Checked:
    """Return an error as what was found."""
    return Checked("airflow", False, exc.message)

"""After all the runs of this session: nothing secret is where people, or those who read a disk, can see it."""

from __future__ import annotations

import base64
import json
import os
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from aircan.keys import run_token
from stack import airflow, postgres, processes

from .rig import Rig

MEANT_FOR_IT = {"passwords.json"}
"""Airflow's own files that hold its users' passwords by their purpose."""


def _secrets(rig: Rig) -> dict[str, str]:
    assert rig.jobs, "no run came before this"
    found = {f"the token of run {job_id}": run_token(rig.airflow.key, job_id) for job_id in rig.jobs}
    found["the key"] = rig.airflow.key
    found["the password of PostgreSQL"] = rig.state.secret("database")
    found["the password of Airflow"] = rig.airflow.password
    found["the sign-in at Airflow"] = base64.b64encode(f"{airflow.USER}:{rig.airflow.password}".encode()).decode()
    found["the token of CKAN's API"] = os.environ["CKAN_API_TOKEN"]
    return found


def _shown(name: str, text: str, secrets: dict[str, str]) -> list[str]:
    return [f"{what} in {name}" for what, secret in secrets.items() if secret in text]


def _values(database: Path) -> Iterator[str]:
    """Yield every text and every blob of a database; Airflow 2 pickles conf and XCom into blobs."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield from (value for value in row if isinstance(value, str))
                yield from (value.decode("latin-1") for value in row if isinstance(value, bytes))
    finally:
        connection.close()


@pytest.mark.parametrize("kind", ["text", "JSON", "a pickle"])
def test_a_secret_in_a_database_would_be_found(tmp_path: Path, kind: str):
    conf = {"conf": {"token": "very-secret"}}
    value = {"text": "x very-secret y", "JSON": json.dumps(conf).encode(), "a pickle": pickle.dumps(conf)}[kind]
    connection = sqlite3.connect(tmp_path / "airflow.db")
    connection.execute("CREATE TABLE dag_run (id INTEGER, conf)")
    connection.execute("INSERT INTO dag_run VALUES (1, ?)", (value,))
    connection.commit()
    connection.close()
    text = "\n".join(_values(tmp_path / "airflow.db"))
    assert _shown("it", text, {"the secret": "very-secret"}) == ["the secret in it"]


def test_airflow_s_database_holds_no_secret(rig: Rig):
    """Rendered conf, XCom, rendered fields and the audit log are all in it."""
    text = "\n".join(_values(rig.airflow.database))
    assert all(job_id in text for job_id in rig.jobs if rig.run_state(job_id))
    assert _shown("the database", text, _secrets(rig)) == []


def test_ckan_s_tables_of_runs_hold_no_secret(rig: Rig):
    main, _ = rig.site.databases()
    text = "".join(
        postgres.sql(rig.state, f"SELECT to_jsonb(t) FROM {table} t", database=main)
        for table in ("aircan_connector_job", "aircan_connector_job_event")
    )
    assert all(job_id in text for job_id in rig.jobs)
    assert _shown("the tables", text, _secrets(rig)) == []


def test_conf_and_xcom_are_as_the_api_shows_them_without_a_secret(rig: Rig):
    job_id = next(job_id for job_id in rig.jobs if rig.run_state(job_id) == "success")
    shown = {"conf": rig.get(f"/dags/aircan_load/dagRuns/{job_id}")["conf"]}
    assert shown["conf"]["job_id"] == job_id
    for task in rig.task_instances(job_id):
        shown[task["task_id"]] = rig.get(
            f"/dags/aircan_load/dagRuns/{job_id}/taskInstances/{task['task_id']}/xcomEntries"
        )
    assert _shown("conf and XCom", json.dumps(shown), _secrets(rig)) == []


def test_task_logs_and_the_store_hold_no_secret(rig: Rig):
    secrets = _secrets(rig)
    files = [file for file in rig.airflow.home.rglob("*") if file.is_file() and file != rig.airflow.database]
    assert any(file.suffix == ".log" for file in files)
    found = []
    for file in files:
        if file.name not in MEANT_FOR_IT:
            found += _shown(str(file), file.read_text(errors="replace"), secrets)
    assert found == []


@pytest.mark.parametrize("part", ["web", "worker", "reconcile"])
def test_ckan_s_logs_hold_no_secret(rig: Rig, part: str):
    log = processes.log_file(rig.state.folder, f"{part}-{rig.site.slug}")
    assert _shown(str(log), log.read_text(errors="replace"), _secrets(rig)) == []


def test_airflow_s_own_output_holds_no_secret(rig: Rig):
    """Airflow 2 and 3 copy what tasks log to the output of the scheduler."""
    found = []
    for log in (rig.state.folder / "log").glob("airflow-*.log"):
        found += _shown(str(log), log.read_text(errors="replace"), _secrets(rig))
    assert found == []

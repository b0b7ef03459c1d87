"""A real Airflow beside a real CKAN, driven as people and operators drive them: uploads, actions, signals."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stack import airflow, ckan, postgres, processes, testing, venv
from stack.__main__ import TEST_SHIFT
from stack.airflow import Airflow
from stack.api import Api
from stack.ports import HOST
from stack.state import PROJECT, State

FINAL = ("DONE", "FAILED", "CANCELLED")
POLL_S = 0.1
PATIENCE_S = 300
"""How long anything may take that is waited for; what is usual is a tenth of it."""

RETRY_DELAY = "timedelta(seconds=20)"
"""What is made shorter in the DAG."""

PLAIN_DAG = """
try:
    from airflow.sdk import dag, task
except ImportError:
    from airflow.decorators import dag, task


@dag(dag_id="{dag_id}", schedule=None, is_paused_upon_creation={paused})
def made():
    @task
    def idle():
        return None

    idle()


made()
"""


class Rig:
    """One generation of Airflow, and the CKAN whose jobs it carries out."""

    def __init__(self, generation: int) -> None:
        self.state = State(Path(os.environ["STACK_FOLDER"]), shift=TEST_SHIFT)
        self.dags = self.state.folder / "airflow-dags"
        self.airflow = Airflow(self.state, generation, self.dags, (HOST,), (("aircan_ckan_api", self._connection()),))
        self.site = testing.airflow_site(self.state, venv.NEWEST)
        self.api = Api(os.environ["CKAN_URL"], os.environ["CKAN_API_TOKEN"])
        self.jobs: list[str] = []
        self._token = ""

    def _connection(self) -> str:
        """Return the Connection of the DAG aircan_api_load, with a token of CKAN and the key."""
        extra = {"key": self.state.secret("airflow-key")}
        found = {"conn_type": "http", "host": os.environ["CKAN_URL"], "password": os.environ["CKAN_API_TOKEN"]}
        return json.dumps({**found, "extra": extra})

    # Airflow

    def start(self) -> None:
        with self.state.lock("up"):
            airflow.up(self.airflow, ckan_url=self.site.url)

    def stop(self) -> None:
        with self.state.lock("up"):
            airflow.down(self.state)

    def power_failure(self) -> None:
        """Kill every process of Airflow at once, tasks included."""
        with self.state.lock("up"):
            airflow.down(self.state, how=signal.SIGKILL, grace_s=0)

    def fill_dags(self) -> None:
        shutil.rmtree(self.dags, ignore_errors=True)
        self.dags.mkdir()
        for file in (PROJECT / "dags").glob("*.py"):
            shutil.copy(file, self.dags)
        load = self.dags / "aircan_load.py"
        text = load.read_text()
        assert RETRY_DELAY in text
        load.write_text(text.replace(RETRY_DELAY, "timedelta(seconds=2)"))

    def write_dag(self, dag_id: str, *, paused: bool = False, tail: str = "") -> None:
        (self.dags / f"{dag_id}.py").write_text(PLAIN_DAG.format(dag_id=dag_id, paused=paused) + tail)

    def get(self, path: str) -> Any:
        """Ask Airflow's own API, as its admin."""
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        is_3 = self.airflow.generation == 3
        headers = {"Authorization": self._sign_in() if is_3 else self._basic()}
        headers |= {} if body is None else {"Content-Type": "application/json"}
        address = f"{self.airflow.url}/api/{'v2' if is_3 else 'v1'}{path}"
        data = None if body is None else json.dumps(body).encode()
        with _open(urllib.request.Request(address, data, headers, method=method)) as answer:
            return json.loads(answer.read() or b"null")

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{airflow.USER}:{self.airflow.password}".encode()).decode()

    def _sign_in(self) -> str:
        if not self._token:
            body = json.dumps({"username": airflow.USER, "password": self.airflow.password}).encode()
            headers = {"Content-Type": "application/json"}
            with _open(urllib.request.Request(f"{self.airflow.url}/auth/token", body, headers)) as answer:
                self._token = "Bearer " + json.load(answer)["access_token"]
        return self._token

    def trigger(self, dag_id: str, run_id: str, conf: dict[str, Any] | None = None) -> None:
        """Start a run in Airflow, without CKAN."""
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": conf or {}}
        if self.airflow.generation == 3:
            body["logical_date"] = None
        self._ask("POST", f"/dags/{dag_id}/dagRuns", body)

    def knows(self, dag_id: str, **wanted: Any) -> bool:
        try:
            dag = self.get(f"/dags/{dag_id}")
        except urllib.error.HTTPError as problem:
            if problem.code == 404:
                return False
            raise
        return all(dag[name] == value for name, value in wanted.items())

    def run_state(self, job_id: str, dag_id: str = "aircan_load") -> str:
        """Return Airflow's word for a run, "" when it has none of that id."""
        try:
            return str(self.get(f"/dags/{dag_id}/dagRuns/{job_id}")["state"])
        except urllib.error.HTTPError as problem:
            if problem.code == 404:
                return ""
            raise

    def task_instances(self, job_id: str) -> list[dict[str, Any]]:
        return list(self.get(f"/dags/aircan_load/dagRuns/{job_id}/taskInstances")["task_instances"])

    def running(self, job_id: str) -> list[int]:
        """Return the process ids of a run's tasks that Airflow calls running."""
        return [task["pid"] for task in self.task_instances(job_id) if task["state"] == "running" and task["pid"]]

    # CKAN

    def web_down(self) -> None:
        processes.stop(self.state.folder, self.site.web)

    def web_up(self) -> None:
        with self.state.lock("up"):
            ckan.start(self.site, venv.folder_of(self.state.folder, venv.test(venv.NEWEST)))

    def resource(self, file: Path, *, private: bool = False) -> str:
        """Upload a file as the only resource of a dataset of its own; return the resource's id."""
        name = f"airflow-{os.urandom(4).hex()}"
        self.api.call("package_create", name=name, owner_org=self.organisation, private=private)
        made = self.api.upload("resource_create", file, package_id=name, name=file.name, format="CSV")
        return str(made["id"])

    def link(self, url: str) -> str:
        name = f"airflow-{os.urandom(4).hex()}"
        self.api.call("package_create", name=name, owner_org=self.organisation)
        return str(self.api.call("resource_create", package_id=name, url=url, format="CSV", name="linked")["id"])

    @property
    def organisation(self) -> str:
        if self.api.find("organization_show", id="airflow") is None:
            self.api.call("organization_create", name="airflow")
        return "airflow"

    def submit(self, resource: str, *, factory: str = "airflow", **more: Any) -> str:
        """Submit a resource; return the job's id."""
        job = self.api.call("aircan_submit", resource=resource, factory=factory, **more)
        self.jobs.append(job["id"])
        return str(job["id"])

    def load(self, resource: str, **more: Any) -> dict[str, Any]:
        return self.ended(self.submit(resource, **more))

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(self.api.call("aircan_job_show", id=job_id))

    def ended(self, job_id: str) -> dict[str, Any]:
        return self.when(job_id, lambda job: job["status"] in FINAL)

    def when(self, job_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the job as soon as it meets the condition; fail if it ends without."""
        end = time.monotonic() + PATIENCE_S
        while True:
            job = self.job(job_id)
            if condition(job):
                return job
            if job["status"] in FINAL or time.monotonic() > end:
                raise AssertionError(f"it never came: {json.dumps(job, indent=1)}\n{self.story(job_id)}")
            time.sleep(POLL_S)

    def story(self, job_id: str) -> str:
        """Return the events of a job, for a failed test."""
        events = self.api.call("aircan_job_events", id=job_id, limit=200)
        return "\n".join(f"{event['time']} {event['task'] or '-'}: {event['message']}" for event in events)

    def table(self, resource: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the DataStore table of a resource: fields with their types and labels, and all rows in order."""
        found = self.api.call("datastore_search", resource_id=resource, limit=32000, sort="_id")
        return found["fields"], found["records"]

    def hidden_tables(self, job_id: str) -> list[str]:
        """Return the hidden tables that a job has left in the DataStore."""
        sql = f"SELECT relname FROM pg_class WHERE relname LIKE '%{job_id.replace('-', '')}%' AND relkind = 'r'"
        return postgres.sql(self.state, sql, database=self.site.databases()[1]).split()

    def stored(self, job_id: str) -> list[Path]:
        """Return the files of a run in the store between its tasks."""
        return [file for file in self.airflow.store.rglob("*") if file.is_file() and job_id in str(file)]


def _open(request: urllib.request.Request) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(request, timeout=30)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Return the first true answer; fail with `what` when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(POLL_S)
    raise AssertionError(f"in {seconds} s it never happened that {what}")

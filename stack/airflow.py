"""A real Airflow on loopback: generation 3 (api-server, scheduler, dag-processor) or 2 (webserver, scheduler).

One at a time, with LocalExecutor on an SQLite file of its own, the settings quick: new DAG files, starts and
cancelled tasks are noticed within a second or two. Where each setting comes from: docs/airflow.md names what an
operator sets; the rest is for a small machine and was measured on Airflow 3.3.2 and 2.11.2.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import airflow_venv, processes
from .ports import HOST
from .say import StackError, say, tail
from .state import PROJECT, State

USUAL_PORT = 8080
USER = "admin"
CONNECTION = "aircan_ckan"
API, SCHEDULER, DAGS = "airflow-api", "airflow-scheduler", "airflow-dags"
NAMES = (SCHEDULER, DAGS, API)
"""Our processes, in the order in which they are stopped."""

PARALLELISM = 4
START_TIMEOUT_S = 180
GRACE_S = 3
OPTION = "ckanext.aircan_connector.airflow."


@dataclass(frozen=True)
class Airflow:
    """One stack's Airflow.

    Attributes:
        state: the stack; home, database, logs, passwords and the store between tasks are in its folder.
        generation: 3 or 2.
        dags: the folder of DAG files.
        allow_hosts: hosts of links that its tasks may follow though their addresses are private.
        connections: further Connections, as (id, JSON); from the environment, where Airflow shows them to nobody.
    """

    state: State
    generation: int = 3
    dags: Path = PROJECT / "dags"
    allow_hosts: tuple[str, ...] = ()
    connections: tuple[tuple[str, str], ...] = ()

    @property
    def home(self) -> Path:
        """Return Airflow's own folder."""
        return self.state.folder / f"airflow-{self.generation}"

    @property
    def database(self) -> Path:
        """Return the file of Airflow's database."""
        return self.home / "airflow.db"

    @property
    def store(self) -> Path:
        """Return the folder through which the tasks of a run pass their files."""
        return self.home / "store"

    @property
    def url(self) -> str:
        """Return the address of its pages and of its API."""
        return f"http://{HOST}:{self.state.port(API, USUAL_PORT)}"

    @property
    def password(self) -> str:
        """Return the password of the user `admin`."""
        return self.state.secret("airflow-password")

    @property
    def key(self) -> str:
        """Return the key from which both sides derive run tokens."""
        return self.state.secret("airflow-key")

    def options(self) -> dict[str, str]:
        """Return the options of a CKAN that uses this Airflow; they suit both generations."""
        return {
            OPTION + "url": self.url,
            OPTION + "username": USER,
            OPTION + "password": self.password,
            OPTION + "key": self.key,
        }


def up(airflow: Airflow, *, ckan_url: str) -> None:
    """Start what does not run, and wait until Airflow is healthy and its tasks can start at once.

    Another generation's Airflow is stopped first; so is this one when its settings or its environment changed.

    Args:
        airflow: which one.
        ckan_url: where its tasks reach CKAN.

    Raises:
        StackError: it was not healthy in time, or a process ended; with the end of its log.
    """
    venv = airflow_venv.ensure(airflow.state.folder, airflow.generation)
    running = airflow.state.section("running")
    settings = environment(airflow, ckan_url=ckan_url)
    parts = json.dumps([str(venv), (venv / "stack.stamp").read_text(), settings], sort_keys=True)
    now = hashlib.sha256(parts.encode()).hexdigest()
    if running.get("airflow") != now:
        down(airflow.state)
    _prepare(airflow, venv, settings)
    for name, arguments in commands(airflow).items():
        if not processes.is_alive(airflow.state.folder, name):
            processes.stop(airflow.state.folder, name)
            say(f"starting {name} of Airflow {airflow.generation}")
            command = [str(venv / "bin/airflow"), *arguments]
            processes.start(airflow.state.folder, name, command, env=settings, cwd=airflow.home)
    running["airflow"] = now
    airflow.state.save()
    _wait(airflow)


def down(state: State, *, how: int = signal.SIGTERM, grace_s: float = GRACE_S) -> bool:
    """Stop Airflow with all its tasks; True if anything of it was running."""
    stopped = [processes.stop(state.folder, name, how=how, grace_s=grace_s) for name in NAMES]
    if any(stopped):
        say("stopped Airflow")
    return any(stopped)


def is_up(state: State) -> bool:
    """Tell whether an Airflow of this stack runs."""
    return processes.is_alive(state.folder, API) and processes.is_alive(state.folder, SCHEDULER)


def commands(airflow: Airflow) -> dict[str, list[str]]:
    """Return the arguments of each process by its name, in the order of their start."""
    # The servers of task logs listen on all addresses and cannot be told otherwise; the pages read the files anyway.
    scheduler = ["scheduler", "--skip-serve-logs"]
    if airflow.generation > 2:
        return {API: ["api-server", "--workers", "1"], SCHEDULER: scheduler, DAGS: ["dag-processor"]}
    return {API: ["webserver"], SCHEDULER: scheduler}


def environment(airflow: Airflow, *, ckan_url: str) -> dict[str, str]:
    """Return the variables that configure Airflow and its tasks; they hold secrets."""
    return {**_common(airflow, ckan_url), **(_of_3(airflow) if airflow.generation > 2 else _of_2(airflow))}


def _common(airflow: Airflow, ckan_url: str) -> dict[str, str]:
    extra = {"allow_hosts": list(airflow.allow_hosts)}
    connection = {"conn_type": "http", "host": ckan_url, "password": airflow.key, "extra": extra}
    fernet = base64.urlsafe_b64encode(hashlib.sha256(airflow.state.secret("airflow-fernet").encode()).digest())
    return {
        "AIRFLOW_HOME": str(airflow.home),
        f"AIRFLOW_CONN_{CONNECTION.upper()}": json.dumps(connection),
        **{f"AIRFLOW_CONN_{name.upper()}": text for name, text in airflow.connections},
        "AIRCAN_STORE": airflow.store.as_uri(),
        "AIRFLOW__CORE__DAGS_FOLDER": str(airflow.dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(airflow.home / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__FERNET_KEY": fernet.decode(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{airflow.database}",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        # After a crash: when a scheduler counts as dead, and how often its tasks are looked for.
        "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), HOST, "localhost"])),
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        # Without compiled files each process takes seconds more to start; empty counts as not set.
        "PYTHONDONTWRITEBYTECODE": "",
    }


def _of_3(airflow: Airflow) -> dict[str, str]:
    return {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords_file(airflow)),
        "AIRFLOW__API_AUTH__JWT_SECRET": airflow.state.secret("airflow-jwt") + airflow.state.secret("airflow-jwt-2"),
        "AIRFLOW__API__SECRET_KEY": airflow.state.secret("airflow-pages"),
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": airflow.url.rpartition(":")[2],
        "AIRFLOW__API__BASE_URL": airflow.url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{airflow.url}/execution/",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "60",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    }


def _of_2(airflow: Airflow) -> dict[str, str]:
    return {
        # Airflow 2 forbids LocalExecutor on SQLite, because many writers wait for each other; here are four.
        "_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK": "1",
        "AIRFLOW__API__AUTH_BACKENDS": "airflow.providers.fab.auth_manager.api.auth.backend.basic_auth",
        "AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME": "5",
        "AIRFLOW__WEBSERVER__SECRET_KEY": airflow.state.secret("airflow-pages"),
        "AIRFLOW__WEBSERVER__WEB_SERVER_HOST": HOST,
        "AIRFLOW__WEBSERVER__WEB_SERVER_PORT": airflow.url.rpartition(":")[2],
        "AIRFLOW__WEBSERVER__BASE_URL": airflow.url,
        "AIRFLOW__WEBSERVER__WORKERS": "1",
        "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "2",
        "AIRFLOW__SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "10",
        "AIRFLOW__SCHEDULER__JOB_HEARTBEAT_SEC": "2",
        "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "20",
        "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "5",
        "AIRFLOW__SCHEDULER__PARSING_PROCESSES": "1",
        "GUNICORN_CMD_ARGS": "--no-control-socket",
        "PYTHONWARNINGS": "ignore",
    }


def passwords_file(airflow: Airflow) -> Path:
    """Return the file in which Airflow 3 looks up its users' passwords."""
    return airflow.home / "passwords.json"


def _prepare(airflow: Airflow, venv: Path, settings: dict[str, str]) -> None:
    """Make folders, the file of passwords and the database.

    A database whose making was interrupted is made anew; one of another version of Airflow is migrated.
    """
    for folder in (airflow.home, airflow.home / "plugins", airflow.store):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passwords = passwords_file(airflow)
    passwords.touch(mode=0o600)
    passwords.write_text(json.dumps({USER: airflow.password}))
    for left in airflow.home.glob("*.pid"):
        left.unlink()
    prepared = airflow.home / "prepared.stamp"
    lock = hashlib.sha256(airflow_venv.lock(airflow.generation).read_bytes()).hexdigest()
    if prepared.exists() and prepared.read_text() == lock:
        return
    say(f"preparing the database of Airflow {airflow.generation}")
    if not prepared.exists():
        airflow.database.unlink(missing_ok=True)
    _cli(airflow, venv, settings, "db", "migrate")
    if airflow.generation == 2 and not prepared.exists():
        person = ["-e", "admin@example.org", "-f", "Ad", "-l", "Min", "-r", "Admin"]
        _cli(airflow, venv, settings, "users", "create", "-u", USER, "-p", airflow.password, *person)
    prepared.write_text(lock)


def _cli(airflow: Airflow, venv: Path, settings: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [str(venv / "bin/airflow"), *arguments],
        env={**os.environ, **settings},
        cwd=airflow.home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StackError(f"`airflow {arguments[0]} {arguments[1]}` failed:\n{(done.stdout + done.stderr)[-3000:]}")


def _wait(airflow: Airflow) -> None:
    """Wait until every component is healthy."""
    is_3 = airflow.generation > 2
    wanted = ("scheduler", "dag_processor") if is_3 else ("scheduler",)
    end = time.monotonic() + START_TIMEOUT_S
    is_warm = not is_3
    while time.monotonic() < end:
        for name in commands(airflow):
            if not processes.is_alive(airflow.state.folder, name):
                log = tail(processes.log_file(airflow.state.folder, name))
                raise StackError(f"{name} ended by itself:\n{log}")
        try:
            health = _get(f"{airflow.url}/api/v2/monitor/health" if is_3 else f"{airflow.url}/api/v1/health")
            if not is_warm:
                # What tasks talk to is built by its first request, which takes longer than a task waits for it.
                _get(f"{airflow.url}/execution/health/ping", timeout_s=START_TIMEOUT_S)
                is_warm = True
            if all(health[name]["status"] == "healthy" for name in wanted):
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.25)
    raise StackError(f"Airflow was not healthy after {START_TIMEOUT_S} s. See log/airflow-*.log.")


def _get(url: str, *, timeout_s: float = 5) -> dict[str, dict[str, str]]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout_s) as answer:
        return json.load(answer)  # type: ignore[no-any-return]

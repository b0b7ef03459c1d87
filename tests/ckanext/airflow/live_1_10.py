"""A real Airflow 1.10.15, and what the factory does at it.

    python -m tests.ckanext.airflow.live_1_10 --python python3.8 [--record]

Run it with the Python of an environment that has CKAN; `--python` is the one for Airflow 1.10, which runs on 3.8 and
older. Installs Airflow into the folder (once), starts it on a free port of loopback, plays every scenario, whose
outcome is asserted, and stops it. With `--record` what it answered becomes the recording that test_experimental.py
plays. It takes about four minutes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from aircan.errors import DagMissing, DagPaused, FactoryUnreachable, RunEnded, SignInRefused
from ckanext.aircan_connector import config
from ckanext.aircan_connector.factories.airflow import Airflow
from ckanext.aircan_connector.factories.base import Capability, State
from stack import ports, processes
from stack.state import PROJECT

from . import record
from .record import HERE, Tape, job_id, options, order, until_over

VERSION = "1.10.15"
SCENARIOS = (
    "health", "good", "twice", "unknown", "broken", "paused", "paused_later", "fails", "cancel", "vanished", "password",
)  # fmt: skip
START_S = 180

MAKE_USER = """
from airflow import models, settings
from airflow.contrib.auth.backends.password_auth import PasswordUser
user = PasswordUser(models.User())
user.username = user.password = "admin"
session = settings.Session()
session.add(user)
session.commit()
"""
FORGET_RUN = """
import sys
from airflow import settings
from airflow.models import DagRun
session = settings.Session()
assert session.query(DagRun).filter(DagRun.run_id == sys.argv[1]).delete() == 1
session.commit()
"""
"""Deletes a run as its button in the pages does; the API has no call for it."""


class Server:
    """Airflow 1.10 in a folder."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder, self.python = folder, python
        self.home = folder / "home"
        self.dags = self.home / "dags"
        self.bin = folder / "venv/bin"
        self.port = ports.choose("Airflow 1.10", 8110)
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings = {
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__AUTH_BACKEND": "airflow.contrib.auth.backends.password_auth",
            "AIRFLOW__API__ENABLE_EXPERIMENTAL_API": "True",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__SCHEDULER__DAG_DIR_LIST_INTERVAL": "5",
            "AIRFLOW__WEBSERVER__WORKERS": "1",
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PYTHONWARNINGS": "ignore",
        }

    def run(self, *command: str | Path) -> None:
        env = {**os.environ, **self.settings}
        done = subprocess.run([str(part) for part in command], env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{command} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")

    def up(self) -> None:
        """Install what is not there yet, and start with an empty database."""
        if not (self.bin / "airflow").exists():
            print("installing")  # noqa: T201
            self.run(self.python, "-m", "venv", "--clear", self.folder / "venv")
            self.run(self.bin / "python", "-m", "pip", "install", "-q", "uv")
            install = (self.bin / "python", "-m", "uv", "pip", "install", "-q", "--python", self.bin / "python")
            self.run(*install, "-r", HERE / "airflow-1.10.txt")
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(HERE / "dags_1_10", self.dags)
        self.run(self.bin / "airflow", "initdb")
        self.run(self.bin / "python", "-c", MAKE_USER)
        serve = ["webserver", "--hostname", "127.0.0.1", "--port", str(self.port)]
        for name, arguments in {"webserver": serve, "scheduler": ["scheduler"]}.items():
            processes.start(self.folder, name, [str(self.bin / "airflow"), *arguments], env=self.settings)
        wait(self.is_ready, START_S)

    def is_ready(self) -> bool:
        """Return whether the scheduler beats and has read the DAGs."""
        try:
            parts = requests.get(f"{self.url}/health", timeout=20).json()
            asked = f"{self.url}/api/experimental/dags/rec_slow/dag_runs"
            known = requests.get(asked, auth=("admin", "admin"), timeout=20).status_code == 200
        except requests.RequestException:
            return False
        return known and parts["scheduler"]["status"] == "healthy"

    def down(self) -> None:
        for name in ("scheduler", "webserver"):
            processes.stop(self.folder, name)


def wait(done: Any, limit_s: float = 90) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(1)


class Stage(record.Stage):
    """The scenarios with what must come of them; what stands outside `tape` is not recorded.

    `options` lets the factory forget which API is there, so that each recording begins with that question.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server.url, server.dags, 1)
        self.server = server

    def raw(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        asked = f"{self.url}/api/experimental{path}"
        return requests.request(method, asked, json=body, auth=("admin", "admin"), timeout=60)

    def runs(self, dag_id: str) -> list[str]:
        return [run["run_id"] for run in self.raw("GET", f"/dags/{dag_id}/dag_runs").json()]

    def health(self, tape: Tape) -> None:
        with tape:
            made = Airflow()
            health = made.health()
        assert health.ok, health.message
        assert made.capabilities == Capability.FIND

    def good(self, tape: Tape) -> None:
        with tape:
            found = Airflow().submit(order("good", "rec_good")).factory_id
            assert Airflow().see(found).state is State.WORKING
            assert until_over(found) is State.SUCCEEDED
            assert Airflow().find(job_id("good"), "rec_good") == found

    def twice(self, tape: Tape) -> None:
        with tape:
            once = Airflow().submit(order("twice", "rec_good"))
            assert Airflow().submit(order("twice", "rec_good")) == once
        assert self.runs("rec_good").count(job_id("twice")) == 1
        until_over(once.factory_id)

    def unknown(self, tape: Tape) -> None:
        """A DAG is deleted with its runs."""
        with tape:
            with pytest.raises(DagMissing):
                Airflow().submit(order("unknown", "nowhere"))
            assert Airflow().see(f"nowhere/{job_id('unknown')}").state is State.GONE

    def broken(self, tape: Tape) -> None:
        """The API has no word of a DAG whose file cannot be read, though its runs are there."""
        file = self.dags / "rec_broken.py"
        file.write_text((self.dags / "recorded.py").read_text().replace('"rec_', '"brk_'))
        try:
            wait(lambda: self.raw("GET", "/dags/brk_good/dag_runs").status_code == 200)
            found = Airflow().submit(order("broken", "brk_good")).factory_id
            until_over(found)
            file.write_text("from airflow import no_such_name  # dag\n")
            options(self.url)
            with tape:
                with pytest.raises(DagMissing):
                    Airflow().submit(order("broken", "brk_good"))
                with pytest.raises(FactoryUnreachable):
                    Airflow().see(found)
        finally:
            file.unlink()

    def paused(self, tape: Tape) -> None:
        with tape, pytest.raises(DagPaused):
            Airflow().submit(order("paused", "rec_paused"))
        assert self.runs("rec_paused") == []

    def paused_later(self, tape: Tape) -> None:
        """A run that was there when its DAG was paused is still ours."""
        body = {"run_id": job_id("paused_later"), "conf": order("paused_later", "rec_paused").to_dict()}
        assert self.raw("POST", "/dags/rec_paused/dag_runs", body).status_code == 200
        with tape:
            found = Airflow().submit(order("paused_later", "rec_paused")).factory_id
            assert Airflow().see(found).state is State.WORKING

    def fails(self, tape: Tape) -> None:
        with tape:
            found = Airflow().submit(order("fails", "rec_fails")).factory_id
            assert until_over(found) is State.FAILED
            assert isinstance(Airflow().see(found).error, RunEnded)

    def cancel(self, tape: Tape) -> None:
        found = Airflow().submit(order("cancel", "rec_slow")).factory_id
        options(self.url)
        with tape:
            Airflow().cancel(found)
            assert Airflow().see(found).state is State.WORKING
        assert until_over(found) is State.SUCCEEDED

    def vanished(self, tape: Tape) -> None:
        found = Airflow().submit(order("vanished", "rec_good")).factory_id
        until_over(found)
        self.server.run(self.server.bin / "python", "-c", FORGET_RUN, job_id("vanished"))
        options(self.url)
        with tape:
            assert Airflow().see(found).state is State.GONE

    def password(self, tape: Tape) -> None:
        """Whether the API was found by asking or named by the option."""
        options(self.url, password="wrong")
        with tape:
            for name in ("auto", "experimental"):
                config.airflow_api = lambda name=name: name
                with pytest.raises(SignInRefused):
                    Airflow().submit(order("password", "rec_good"))


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--python", default="python3.8", help="Python 3.8, for Airflow")
    given.add_argument("--folder", type=Path, default=PROJECT / ".test/airflow-1.10")
    given.add_argument("--record", action="store_true", help="write the recording anew")
    told = given.parse_args()
    folder = told.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "answers.json"
    file.unlink(missing_ok=True)
    server = Server(folder, told.python)
    try:
        server.up()
        record.play(Stage(server), VERSION, server.home, SCENARIOS, file)
    finally:
        server.down()
    if told.record:
        shutil.copy(file, HERE / "recordings" / f"airflow-{VERSION}.json")


if __name__ == "__main__":
    main()

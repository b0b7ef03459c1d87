"""Record what a real Airflow answers to the factory, for `recordings/`.

    python -m tests.ckanext.airflow.record http://127.0.0.1:8080 3.3.2 --dags FOLDER [--scenario NAME]

Airflow must serve the folder `dags` beside this file and the DAG aircan_doctor, have a user admin (password admin, all
rights) and a user viewer (password viewer, who may only look), and a connection as `WORKERS_KEY` says. FOLDER is where
it finds its DAGs: the file of a broken DAG is written there for a moment. What is kept holds no token, no path of the
machine and no host name; see `clean`.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from aircan.contract import Dataset, Order, Resource
from aircan.errors import AircanError
from ckanext.aircan_connector import config
from ckanext.aircan_connector.factories.airflow import Airflow, doctor, signin
from ckanext.aircan_connector.factories.base import State

HERE = Path(__file__).parent
KEY = "key-of-the-recordings-0123456789abcdef"
WORKERS_KEY = "key-of-the-workers-0123456789abcdefghi"
"""Password of the connection aircan_ckan of the recorded Airflow; its extra names a store."""

TOKEN = "TOKEN"
NUMBERS = {
    "good": 1, "twice": 2, "theirs": 3, "unknown": 4, "broken": 5, "paused": 6, "paused_later": 7, "fails": 8,
    "tries": 9, "mapped": 10, "cancel": 11, "cancel_late": 12, "vanished": 13, "password": 14, "bearer": 15,
    "viewer": 16, "params": 17, "health": 18, "renewed": 19, "doctor": 20, "doctor_key": 21,
}  # fmt: skip
"""Every scenario, and the last digits of its job's id."""


def job_id(scenario: str) -> str:
    """Return the id of a scenario's job; it is the same whenever it is recorded."""
    return f"00000000-0000-4000-8000-{NUMBERS[scenario]:012d}"


def order(scenario: str, dag_id: str) -> Order:
    """Return the order of a scenario."""
    return Order(job_id(scenario), "LOAD", Resource("r1", "a.csv"), Dataset("d1", "d", "D"), dag_id=dag_id)


def options(url: str, **changed: str) -> None:
    """Set what the factory reads from CKAN's configuration."""
    given = {"url": url, "api": "auto", "auth": "password", "username": "admin", "password": "admin", "token": ""}
    given |= {"dag_id": "rec_good", "ckan_url": "http://ckan.example", **changed}
    for name, value in given.items():
        setattr(config, f"airflow_{name}", lambda value=value: value)
    config.airflow_timeout_s = lambda: 30
    config.airflow_keys = lambda: (KEY,)
    signin.remembered.cache_clear()


class Tape:
    """Everything that goes to and fro while it is on."""

    def __init__(self, url: str, home: Path) -> None:
        self.url, self.home = url, home
        self.kept: list[dict[str, Any]] = []
        self._send = requests.Session.send

    def __enter__(self) -> Tape:
        tape = self

        def send(session: requests.Session, request: requests.PreparedRequest, **rest: Any) -> requests.Response:
            answer = tape._send(session, request, **{**rest, "stream": False})
            if str(request.url).startswith(tape.url):
                tape.keep(request, answer)
            return answer

        requests.Session.send = send
        return self

    def __exit__(self, *args: object) -> None:
        requests.Session.send = self._send

    def keep(self, request: requests.PreparedRequest, answer: requests.Response) -> None:
        there = urlsplit(str(request.url))
        base = urlsplit(self.url).path
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        body = answer.json() if "json" in kind and answer.text else answer.text
        headers = {name: answer.headers[name] for name in ("Retry-After", "Location") if name in answer.headers}
        self.kept.append(
            {
                "request": {
                    "method": request.method,
                    "path": there.path[len(base) :],
                    "query": dict(parse_qsl(there.query)),
                    "body": json.loads(request.body) if request.body else None,
                    "accept": request.headers["Accept"],
                    "auth": request.headers.get("Authorization", "").partition(" ")[0],
                },
                "answer": {"status": answer.status_code, "kind": kind, "headers": headers, "body": self.clean(body)},
            }
        )

    def clean(self, value: Any) -> Any:
        """Return an answer without secrets, paths and names of the machine."""
        if isinstance(value, dict):
            fixed = {"access_token": TOKEN, "file_token": "FILE", "hostname": "worker", "unixname": "airflow", "pid": 1}
            return {k: fixed[k] if k in fixed and v is not None else self.clean(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.clean(item) for item in value]
        if isinstance(value, str):
            value = value.replace(str(HERE / "dags"), "/opt/airflow/dags").replace(str(self.home), "/opt/airflow")
            value = re.sub(r"/(?:tmp|work|home|root|usr|srv|var)/[\w./-]*/(?=[\w.-]+)", "/opt/lib/", value)
            value = re.sub(rf"\b{re.escape(socket.gethostname())}\b", "worker", value)
            if value.lstrip().lower().startswith("<!doctype html") or "<html" in value[:200].lower():
                return value[:200]
        return value

    def distinct(self) -> list[dict[str, Any]]:
        """Return what was kept, without answers that only said again what the one before had said."""
        out: list[dict[str, Any]] = []
        for item in self.kept:
            same = [old for old in out if old["request"] == item["request"]]
            if not same or same[-1]["answer"] != item["answer"]:
                out.append(item)
        return out


def until_over(factory_id: str, limit_s: float = 240) -> State:
    """Look until the run is over."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        state = Airflow().see(factory_id).state
        if state in (State.SUCCEEDED, State.FAILED, State.GONE):
            return state
        time.sleep(1)
    raise SystemExit(f"{factory_id} is not over")


def caught(call: Callable[[], Any]) -> None:
    """Call, and let the errors of our tree be what was to be recorded."""
    try:
        call()
    except AircanError as exc:
        print("   ", exc.message)  # noqa: T201


class Stage:
    """The scenarios, one method each; what stands outside `tape` is not recorded."""

    def __init__(self, url: str, dags: Path, major: int) -> None:
        self.url, self.dags, self.major = url, dags, major

    def raw(self, method: str, path: str, body: dict[str, Any] | None = None) -> requests.Response:
        """Ask Airflow past the factory."""
        if self.major == 2:
            return requests.request(method, f"{self.url}/api/v1{path}", json=body, auth=("admin", "admin"), timeout=60)
        got = requests.post(f"{self.url}/auth/token", json={"username": "admin", "password": "admin"}, timeout=60)
        headers = {"Authorization": f"Bearer {got.json()['access_token']}"}
        return requests.request(method, f"{self.url}/api/v2{path}", json=body, headers=headers, timeout=60)

    def trigger(self, scenario: str, dag_id: str, conf: dict[str, Any]) -> None:
        body: dict[str, Any] = {"dag_run_id": job_id(scenario), "conf": conf}
        if self.major == 3:
            body["logical_date"] = None
        assert self.raw("POST", f"/dags/{dag_id}/dagRuns", body).status_code == 200

    def health(self, tape: Tape) -> None:
        with tape:
            Airflow().health()

    def good(self, tape: Tape) -> None:
        with tape:
            until_over(Airflow().submit(order("good", "rec_good")).factory_id)

    def twice(self, tape: Tape) -> None:
        with tape:
            Airflow().submit(order("twice", "rec_good"))
            Airflow().submit(order("twice", "rec_good"))

    def theirs(self, tape: Tape) -> None:
        self.trigger("theirs", "rec_good", {"whose": "theirs"})
        with tape:
            caught(lambda: Airflow().submit(order("theirs", "rec_good")))

    def unknown(self, tape: Tape) -> None:
        with tape:
            caught(lambda: Airflow().submit(order("unknown", "nowhere")))

    def broken(self, tape: Tape) -> None:
        file = self.dags / "rec_broken.py"
        file.write_text((self.dags / "recorded.py").read_text().replace("rec_", "brk_"))
        try:
            self.wait(lambda: self.raw("GET", "/dags/brk_good").status_code == 200)
            file.write_text("from airflow import no_such_name  # dag\n")
            self.wait(lambda: self.raw("GET", "/dags/brk_good").json().get("has_import_errors"))
            with tape:
                caught(lambda: Airflow().submit(order("broken", "brk_good")))
        finally:
            file.unlink()

    def wait(self, done: Callable[[], Any]) -> None:
        end = time.monotonic() + 90
        while not done():
            assert time.monotonic() < end
            time.sleep(1)

    def paused(self, tape: Tape) -> None:
        with tape:
            caught(lambda: Airflow().submit(order("paused", "rec_paused")))

    def paused_later(self, tape: Tape) -> None:
        self.trigger("paused_later", "rec_paused", order("paused_later", "rec_paused").to_dict())
        with tape:
            Airflow().submit(order("paused_later", "rec_paused"))
            Airflow().see(f"rec_paused/{job_id('paused_later')}")
        self.raw("PATCH", f"/dags/rec_paused/dagRuns/{job_id('paused_later')}", {"state": "failed"})

    def fails(self, tape: Tape) -> None:
        with tape:
            until_over(Airflow().submit(order("fails", "rec_fails")).factory_id)

    def tries(self, tape: Tape) -> None:
        with tape:
            until_over(Airflow().submit(order("tries", "rec_tries")).factory_id)

    def mapped(self, tape: Tape) -> None:
        self.trigger("mapped", "rec_mapped", {})
        state = lambda: self.raw("GET", f"/dags/rec_mapped/dagRuns/{job_id('mapped')}").json()["state"]  # noqa: E731
        while state() != "success":
            time.sleep(3)
        with tape:
            Airflow().see(f"rec_mapped/{job_id('mapped')}")

    def cancel(self, tape: Tape) -> None:
        with tape:
            found = Airflow().submit(order("cancel", "rec_slow")).factory_id
            while not any(task.state == "running" for task in Airflow().see(found).tasks):
                time.sleep(1)
            Airflow().cancel(found)
            until_over(found)
            Airflow().cancel(found)

    def cancel_late(self, tape: Tape) -> None:
        found = Airflow().submit(order("cancel_late", "rec_good")).factory_id
        until_over(found)
        with tape:
            Airflow().cancel(found)
            Airflow().see(found)

    def vanished(self, tape: Tape) -> None:
        found = Airflow().submit(order("vanished", "rec_good")).factory_id
        until_over(found)
        assert self.raw("DELETE", f"/dags/rec_good/dagRuns/{job_id('vanished')}").status_code == 204
        with tape:
            Airflow().see(found)

    def password(self, tape: Tape) -> None:
        options(self.url, password="wrong")
        with tape:
            caught(lambda: Airflow().submit(order("password", "rec_good")))

    def bearer(self, tape: Tape) -> None:
        options(self.url, auth="bearer", token="nonsense")
        with tape:
            caught(lambda: Airflow().submit(order("bearer", "rec_good")))

    def renewed(self, tape: Tape) -> None:
        """A token that Airflow does not take any more is fetched anew, once."""
        signin.remembered(self.url, "admin").token = "old"
        with tape:
            caught(lambda: Airflow().submit(order("renewed", "rec_good")))

    def viewer(self, tape: Tape) -> None:
        options(self.url, username="viewer", password="viewer")
        with tape:
            caught(lambda: Airflow().submit(order("viewer", "rec_good")))

    def doctor(self, tape: Tape) -> None:
        """The keys are the same; the site cannot be reached."""
        config.airflow_keys = lambda: (WORKERS_KEY,)
        self.examined("doctor", tape)

    def doctor_key(self, tape: Tape) -> None:
        self.examined("doctor_key", tape)

    def examined(self, scenario: str, tape: Tape) -> None:
        doctor.uuid.uuid4 = lambda: uuid.UUID(job_id(scenario))
        with tape:
            for found in Airflow().examine(60):
                print("   ", found)  # noqa: T201

    def params(self, tape: Tape) -> None:
        with tape:
            caught(lambda: Airflow().submit(order("params", "rec_params")))


def play(stage: Stage, version: str, home: Path, scenarios: Iterable[str], file: Path) -> None:
    """Play scenarios and keep in the file what Airflow answered, beside what the file has of others."""
    kept = json.loads(file.read_text())["scenarios"] if file.exists() else {}
    for scenario in scenarios:
        print(scenario)  # noqa: T201
        options(stage.url)
        tape = Tape(stage.url, home)
        getattr(stage, scenario)(tape)
        kept[scenario] = tape.distinct()
        data = {"airflow": version, "recorded": time.strftime("%Y-%m-%d"), "scenarios": kept}
        file.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("url")
    given.add_argument("version")
    given.add_argument("--dags", type=Path, required=True)
    given.add_argument("--home", type=Path, required=True, help="AIRFLOW_HOME, to be kept out of the recordings")
    given.add_argument("--scenario")
    told = given.parse_args()
    stage = Stage(told.url, told.dags, int(told.version[0]))
    file = HERE / "recordings" / f"airflow-{told.version}.json"
    every = [name for name in NUMBERS if not (name == "renewed" and stage.major == 2)]
    play(stage, told.version, told.home, [told.scenario] if told.scenario else every, file)


if __name__ == "__main__":
    main()

"""`make airflow`: a real Airflow 3 beside the demo's CKAN, and one large file through it, followed to its end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from . import airflow, ckan, demo, demo_data, services, venv
from .airflow import Airflow
from .api import Api
from .say import StackError, plain, say
from .site import Site
from .state import State

FACTORY = ("ckanext.aircan_connector.factory", "airflow")
DEADLINE_S = 600
SUBMIT_DEADLINE_S = 30
POLL_S = 0.5


def run(state: State, version: str, *, port: int | None) -> int:
    """Bring up CKAN and Airflow, load the file unless that was done before; 0 when its run is DONE.

    The demo's CKAN hands every new file to Airflow from now on; `make demo` gives it back its own factory.
    """
    beside = Airflow(state)
    with state.lock("up"):
        (folder,) = services.up(state, venv.demo(version))
        site = Site(state, "demo", version)
        if port:
            state.section("ports")[site.web] = port
        site = Site(state, "demo", version, options=(FACTORY, *beside.options().items()))
        ckan.set_up(site, folder)
        ckan.write_env(site)
        airflow.up(beside, ckan_url=site.url)
        ckan.start(site, folder)
        api = Api(site.url, ckan.env(site)["CKAN_API_TOKEN"])
        (published,) = demo.publish(api, folder, state.folder / "files", (demo_data.AIRFLOW,))
    job = _follow(api, _job(api, published)["id"])
    _addresses(site, beside, published, job)
    return int(job["status"] != "DONE")


def _job(api: Api, published: demo.Published) -> dict[str, Any]:
    """Return the run of the file: the one that its upload has started, an earlier good one, or a new one."""
    end = time.monotonic() + SUBMIT_DEADLINE_S
    while published.is_new and time.monotonic() < end:
        if job := demo.newest(api).get(published.resource):
            return job
        time.sleep(POLL_S)
    job = demo.newest(api).get(published.resource)
    if job and job["factory"] == "airflow" and job["status"] not in ("FAILED", "CANCELLED"):
        return job
    return dict(api.call("aircan_submit", resource=published.resource, factory="airflow"))


def _follow(api: Api, job_id: str) -> dict[str, Any]:
    """Print what changes until the run is final, and return it.

    Raises:
        StackError: it was not final in time.
    """
    said: set[str] = set()
    end = time.monotonic() + DEADLINE_S
    while True:
        job: dict[str, Any] = api.call("aircan_job_show", id=job_id)
        for line in _lines(job):
            if line not in said:
                said.add(line)
                say(line)
        if job["status"] in demo.FINAL:
            return job
        if time.monotonic() > end:
            raise StackError(
                f"After {DEADLINE_S} s the run is {job['status']}. See log/worker-*.log and log/airflow-*.log."
            )
        time.sleep(POLL_S)


def _lines(job: dict[str, Any]) -> Iterator[str]:
    info = job["info"]
    if raw := (info.get("factory") or {}).get("raw"):
        yield f"Airflow: {raw}"
    for task in info.get("tasks") or []:
        yield f"{task['status']:9} {task['id']}"
    rows = demo.rows_of(job)
    line = f"{job['status']:9} run {job['id']}"
    if job["status"] == "DONE":
        line += f"  {rows:,} rows in {info['result'].get('seconds') or 0:.1f} s"
    if job["status"] == "FAILED":
        line += f"  {demo.why(job)}"
    yield line


def _addresses(site: Site, beside: Airflow, published: demo.Published, job: dict[str, Any]) -> None:
    there = (job["info"].get("factory") or {}).get("url") or beside.url
    plain(f"\nCKAN      {site.url}/dataset/{published.dataset}/actions/runs/{job['id']}")
    plain(f"user      {ckan.ADMIN}")
    plain(f"password  {ckan.PASSWORD}")
    plain(f"\nAirflow   {there}")
    plain(f"user      {airflow.USER}")
    plain(f"password  {beside.password}")
    plain("\nEvery new file goes to Airflow now; `make demo` goes back to CKAN's own worker.    To stop: make down")

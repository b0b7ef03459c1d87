"""`make demo`: a running site with real data in it, and a table of what happened to every file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import ckan, demo_data, services, venv
from .api import Api
from .say import StackError, plain, say
from .site import Site
from .state import State

ORGANISATION = "aircan-demo"
RUNS_DEADLINE_S = 900
SUBMIT_DEADLINE_S = 30
POLL_S = 0.5
FINAL = {"DONE", "FAILED", "CANCELLED"}


@dataclass(frozen=True)
class Published:
    """A file of the demo on the site; new when this run of the demo uploaded it."""

    file: demo_data.File
    dataset: str
    resource: str
    is_new: bool


def run(state: State, version: str, *, port: int | None) -> int:
    """Bring the demo up; 0 when only the files that are broken on purpose failed."""
    site = Site(state, "demo", version)
    with state.lock("up"):
        (folder,) = services.up(state, venv.demo(version))
        if port:
            state.section("ports")[site.web] = port
        ckan.set_up(site, folder)
        ckan.write_env(site)
        ckan.start(site, folder)
        api = Api(site.url, ckan.env(site)["CKAN_API_TOKEN"])
        published = list(publish(api, folder, state.folder / "files", demo_data.DATASETS))
    jobs = _wait(api, published)
    _table(site, published, jobs)
    plain(f"\nCKAN {version}    {site.url}")
    plain(f"user      {ckan.ADMIN}")
    plain(f"password  {ckan.PASSWORD}")
    plain(f"\nFor scripts: . {site.env_file}    To stop: make down")
    return int(any(not _is_as_meant(item, jobs.get(item.resource)) for item in published))


def publish(api: Api, folder: Path, files: Path, datasets: Iterable[demo_data.Dataset]) -> Iterator[Published]:
    """Create what is not there yet: organisation, datasets, resources. The uploads submit the jobs by themselves.

    Args:
        api: of the site.
        folder: the demo's environment, which has the files.
        files: where unpacked and changed files are kept.
        datasets: what to publish.
    """
    packages = next(folder.glob("lib/python3*/site-packages"))
    if api.find("organization_show", id=ORGANISATION) is None:
        api.call("organization_create", name=ORGANISATION, title="AirCan's demo")
    for dataset in datasets:
        shown = api.find("package_show", id=dataset.name)
        if shown is None:
            words = {"name": dataset.name, "title": dataset.title, "notes": dataset.notes}
            shown = api.call("package_create", owner_org=ORGANISATION, **words)
        there = {resource["name"]: resource for resource in shown["resources"]}
        for file in dataset.files:
            is_new = file.title not in there
            if is_new:
                path = demo_data.make(file, packages, files)
                say(f"uploading {file.file_name} ({path.stat().st_size:,} bytes)")
                fields = {"package_id": dataset.name, "name": file.title, "format": file.format}
                there[file.title] = api.upload("resource_create", path, **fields)
            yield Published(file, dataset.name, there[file.title]["id"], is_new)


def _wait(api: Api, published: list[Published]) -> dict[str, dict[str, Any]]:
    """Follow the runs until each is final; return the newest job of each resource by the resource's id.

    A run that failed though its file is sound (its worker was killed, say) is tried again once.
    """
    begin = time.monotonic()
    _submit_forgotten(api, published)
    told: dict[str, str] = {}
    retried: set[str] = set()
    while True:
        jobs = newest(api)
        active = [item for item in published if not _is_final(jobs.get(item.resource))]
        for item in published:
            job = jobs.get(item.resource)
            if job is None:
                continue
            _tell(item, job, told, is_news=bool(active) or bool(told))
            if job["status"] == "FAILED" and not item.file.is_broken and item.resource not in retried:
                retried.add(item.resource)
                say(f"trying {item.file.file_name} again: {why(job)}")
                api.call("aircan_job_retry", id=job["id"])
                active.append(item)
        if not active:
            return jobs
        if any(item.resource not in jobs for item in active) and time.monotonic() > begin + SUBMIT_DEADLINE_S:
            names = ", ".join(item.file.file_name for item in active if item.resource not in jobs)
            raise StackError(f"No run was submitted for {names}. See log/web-*.log.")
        if time.monotonic() > begin + RUNS_DEADLINE_S:
            names = ", ".join(item.file.file_name for item in active)
            raise StackError(f"After {RUNS_DEADLINE_S} s these have no final run: {names}. See log/worker-*.log.")
        time.sleep(POLL_S)


def _submit_forgotten(api: Api, published: list[Published]) -> None:
    """Submit files of an earlier demo that have no run: that one was stopped, or ran without AirCan."""
    jobs = newest(api)
    for item in published:
        if not item.is_new and item.resource not in jobs:
            api.call("aircan_submit", resource=item.resource)


def newest(api: Api) -> dict[str, dict[str, Any]]:
    """Return the newest run of each resource, by the resource's id."""
    jobs: dict[str, dict[str, Any]] = {}
    for job in api.call("aircan_job_list", limit=100)["results"]:
        jobs.setdefault(job["resource"], job)
    return jobs


def _is_final(job: dict[str, Any] | None) -> bool:
    return job is not None and job["status"] in FINAL


def _is_as_meant(item: Published, job: dict[str, Any] | None) -> bool:
    return job is not None and job["status"] == ("FAILED" if item.file.is_broken else "DONE")


def _tell(item: Published, job: dict[str, Any], told: dict[str, str], *, is_news: bool) -> None:
    """Print a line when something changed since the last one; nothing when all was final from the start."""
    rows = rows_of(job)
    line = f"{job['status']:9} {item.file.file_name}" + (f"  {rows:,} rows" if rows else "")
    if job["status"] == "FAILED":
        line += f"  {why(job)}"
    if is_news and told.get(item.resource) != line:
        say(line)
        told[item.resource] = line


def rows_of(job: dict[str, Any]) -> int:
    """Return how many rows a run has loaded so far."""
    part = job["info"].get("result") or job["info"].get("progress") or {}
    return int(part.get("rows") or 0)


def why(job: dict[str, Any]) -> str:
    """Return the reason that a failed run gives."""
    error = job["info"].get("error") or {}
    return str(error.get("message") or error.get("code") or "no reason given")


def _table(site: Site, published: list[Published], jobs: dict[str, dict[str, Any]]) -> None:
    lines = [("resource", "format", "rows", "seconds", "status", "run")]
    for item in published:
        job = jobs[item.resource]
        result = job["info"].get("result") or {}
        rows = f"{result['rows']:,}" if result.get("rows") is not None else "-"
        seconds = f"{result['seconds']:.1f}" if result.get("seconds") is not None else "-"
        status = job["status"] + (" (on purpose)" if item.file.is_broken and job["status"] == "FAILED" else "")
        address = f"{site.url}/dataset/{item.dataset}/actions/runs/{job['id']}"
        lines.append((item.file.file_name, item.file.format, rows, seconds, status, address))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    plain()
    for line in lines:
        cells = [
            cell.rjust(width) if column in (2, 3) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        plain("  ".join(cells).rstrip())

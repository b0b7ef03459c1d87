"""What the pages show: a dataset's runs and one run, gathered by calls of actions as dicts for the templates."""

from __future__ import annotations

import itertools
from typing import Any

import ckantoolkit as tk
from ckan.lib.helpers import Page

from aircan import recipes
from aircan.status import ACTIVE, Status

from . import config, downloads, form

PER_PAGE = 20
"""Runs on a page of the list."""

MAX_LOG = 200
"""Newest lines of the log on a run's page; all are in the download."""

MAX_REJECTS = 100
"""Refused rows on a run's page; all that were kept are in the download."""


def read(id: str) -> dict[str, Any]:
    """Return the dataset; who may not read it learns as much as on CKAN's own page of it."""
    try:
        dataset: dict[str, Any] = tk.get_action("package_show")({"for_view": True}, {"id": id})
        tk.check_access("aircan_job_list", {}, {"dataset": dataset["id"]})
    except tk.NotAuthorized:
        if config.reveals_private_datasets():
            raise
        raise tk.ObjectNotFound from None
    return dataset


def read_run(id: str, job_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return (dataset, run); a run of another dataset is not found."""
    dataset = read(id)
    job = tk.get_action("aircan_job_show")({}, {"id": job_id})
    if job["dataset"] != dataset["id"]:
        raise tk.ObjectNotFound
    return dataset, job


def url(endpoint: str, dataset: dict[str, Any], **more: Any) -> str:
    """Return the address of a page of a dataset."""
    where = {"package_type": dataset["type"] or "dataset", "id": dataset["name"]}
    return str(tk.url_for(f"aircan_connector.{endpoint}", **where, **more))


def elsewhere(dataset: dict[str, Any], package_type: str, id: str) -> bool:
    """Return whether a page of the dataset was asked for under another address than its own."""
    return (package_type, id) != (dataset["type"] or "dataset", dataset["name"])


def _may_edit(dataset: dict[str, Any]) -> bool:
    try:
        tk.check_access("aircan_submit", {}, {"dataset": dataset["id"]})
    except tk.NotAuthorized:
        return False
    return True


def list_context(dataset: dict[str, Any]) -> dict[str, Any]:
    """Return what the list of runs shows, as the address filters it."""
    asked = tk.request.args
    statuses = [status.value for status in Status]
    resources = {resource["id"]: resource for resource in dataset["resources"]}
    filters = {
        "resource": asked.get("resource") if asked.get("resource") in resources else None,
        "status": asked.get("status") if asked.get("status") in statuses else None,
        "job_type": asked.get("job_type") if asked.get("job_type") in recipes.MENU else None,
        "who": "me" if asked.get("who") == "me" and not tk.current_user.is_anonymous else None,
    }
    chosen = {name: value for name, value in filters.items() if value}
    number = tk.h.get_page_number(asked)
    wanted: dict[str, Any] = {name: value for name, value in chosen.items() if name != "who"}
    if "who" in chosen:
        wanted["user"] = tk.current_user.id
    wanted.update(dataset=dataset["id"], limit=PER_PAGE, offset=PER_PAGE * (number - 1))
    found = tk.get_action("aircan_job_list")({}, wanted)
    page = Page(
        found["results"],
        page=number,
        item_count=found["count"],
        items_per_page=PER_PAGE,
        presliced_list=True,
        url=lambda page, **_: url("actions", dataset, page=page, **chosen),
    )
    return {
        "pkg_dict": dataset,
        "dataset_type": dataset["type"] or "dataset",
        "jobs": found["results"],
        "page": page,
        "chosen": chosen,
        "resources": resources,
        "statuses": statuses,
        "job_types": sorted(recipes.MENU),
        "may_edit": _may_edit(dataset),
        "active": any(Status(job["status"]) in ACTIVE for job in found["results"]),
        "live_url": url("live_actions", dataset, page=number, **chosen),
    }


def _events(job: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]] | None:
    """Return (log, refused rows), or None for a reader who does not see them."""
    try:
        events = tk.get_action("aircan_job_events")({}, {"id": job["id"], "limit": MAX_LOG, "newest": True})
        refused = list(itertools.islice(downloads.rejects(job["id"]), MAX_REJECTS))
    except tk.NotAuthorized:
        return None
    return events, refused


def _newest(job: dict[str, Any], limit: int = 1, **filters: Any) -> list[dict[str, Any]]:
    wanted = {"dataset": job["dataset"], "resource": job["resource"], "limit": limit, **filters}
    results: list[dict[str, Any]] = tk.get_action("aircan_job_list")({}, wanted)["results"]
    return results


def _standing(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the run whose rows the table shows now, if it was one of ours."""
    done = _newest(job, status=Status.DONE.value, job_type="LOAD")
    return done[0] if done else None


def found_last(dataset: dict[str, Any], resource_id: str) -> dict[str, Any]:
    """Return the facts of the newest load of a file that came to know it, {} when there was none.

    Beside the facts of its result: "columns", and what its error lists ("sheets", "members").
    """
    found: dict[str, Any] = {}
    for job in _newest({"dataset": dataset["id"], "resource": resource_id}, limit=5, job_type="LOAD"):
        result, error = job["info"].get("result") or {}, job["info"].get("error") or {}
        if facts := {**(error.get("facts") or {}), **result}:
            found = {"columns": [field["id"] for field in result.get("fields") or ()], **facts}
        if result.get("format"):
            break
    return found


def resource_of(dataset: dict[str, Any], resource_id: str) -> dict[str, Any]:
    """Return a resource of a dataset. Raises ObjectNotFound."""
    for resource in dataset["resources"]:
        if resource["id"] == resource_id:
            return dict(resource)
    raise tk.ObjectNotFound


def settings_context(dataset: dict[str, Any], resource: dict[str, Any]) -> dict[str, Any]:
    """Return what the page of a file's settings shows, as they are kept now."""
    kept = tk.get_action("aircan_settings_show")({}, {"resource": resource["id"]})
    return {
        "pkg_dict": dataset,
        "dataset_type": dataset["type"] or "dataset",
        "resource": resource,
        "kept": kept,
        "sections": form.sections(kept["params"], found_last(dataset, resource["id"]), {}),
        "errors": {},
    }


def _ahead(job: dict[str, Any]) -> dict[str, Any] | None:
    """Return the run of the same file that a waiting run waits for."""
    if job["status"] != Status.WAITING.value:
        return None
    running = _newest(job, status=Status.RUNNING.value, job_type=job["job_type"])
    return running[0] if running else None


def run_context(dataset: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Return what a run's page shows to its reader."""
    seen = _events(job)
    log_lines, refused = seen or ([], [])
    told_twice = (job["info"].get("error") or {}).get("message")
    log_lines = [e for e in log_lines if e["level"] != "info" or not told_twice or e["message"] != told_twice]
    level = tk.request.args.get("level")
    if level == "warning":
        log_lines = [event for event in log_lines if event["level"] in ("warning", "error")]
    return {
        "pkg_dict": dataset,
        "dataset_type": dataset["type"] or "dataset",
        "job": job,
        "resource": next((r for r in dataset["resources"] if r["id"] == job["resource"]), None),
        "details": seen is not None,
        "events": log_lines,
        "level": level,
        "rejects": refused,
        "others": [other for other in _newest(job, limit=6) if other["id"] != job["id"]][:5],
        "standing": _standing(job),
        "ahead": _ahead(job),
        "may_edit": _may_edit(dataset),
        "active": Status(job["status"]) in ACTIVE,
        "live_url": url("live_run", dataset, job_id=job["id"], **({"level": level} if level else {})),
    }

"""What a factory shows of a run, as lines for the page of a run: its own tasks, states and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aircan.errors import N_
from aircan.status import Status

MOST_PARTS = 10
"""Copies of a mapped task that get a line of their own; the others are only counted."""

STATES: dict[str, str] = {
    "": N_("not yet due"),
    "none": N_("not yet due"),
    "scheduled": N_("about to be queued"),
    "queued": N_("waits for a worker"),
    "running": N_("running"),
    "success": N_("done"),
    "failed": N_("failed"),
    "restarting": N_("starts again"),
    "up_for_retry": N_("failed, is tried again"),
    "up_for_reschedule": N_("waits"),
    "deferred": N_("waits"),
    "awaiting_input": N_("waits for a person"),
    "upstream_failed": N_("not run, as one before it failed"),
    "skipped": N_("left out"),
    "removed": N_("no longer in the DAG"),
}
"""State of a run or a task at a factory -> its word; another state is shown as it is."""

_LOOKS = {
    "running": Status.RUNNING,
    "restarting": Status.RUNNING,
    "success": Status.DONE,
    "failed": Status.FAILED,
    "upstream_failed": Status.CANCELLED,
    "skipped": Status.CANCELLED,
    "removed": Status.CANCELLED,
}
_UNWELL = ("failed", "up_for_retry")
_ORDER = list(STATES)


def shown(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the page shows of a job's run at its factory; None for a factory that shows nothing.

    Tasks stand in the order in which they began; those that have not begun stand behind.
    {"state", "dag", "queued", "started", "ended", "seen", "url", "error", "left_out", "tasks": [line]}, where a line is
    {"id", "index", "state", "look", "tries", "started", "ended", "parts", "count"}: a mapped task is one line with
    `parts` copies and `count` [(state, copies)], behind which those that are not well have lines of their own.
    """
    told = job["info"].get("factory")
    if not told:
        return None
    tasks = told.get("tasks") or []
    names = dict.fromkeys(task["id"] for task in sorted(tasks, key=lambda task: task["started"] or "~"))
    lines = [line for name in names for line in _lines([task for task in tasks if task["id"] == name])]
    return {
        "state": told.get("raw") or "",
        "dag": (job["factory_id"] or "").partition("/")[0],
        **{name: told.get(name) or None for name in ("queued", "started", "ended", "seen", "url")},
        "error": told.get("error") if job["status"] == Status.WAITING.value else None,
        "left_out": sum((told.get("count") or {}).values()) - len(tasks),
        "tasks": lines,
    }


def look(state: str) -> str:
    """Return the status of ours whose icon goes with a state."""
    return _LOOKS.get(state, Status.WAITING).value


def _lines(tasks: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of one task: itself, or all of its copies together and those of them that are not well."""
    if tasks[0].get("index") is None:
        return [_line(task) for task in tasks]
    counts: dict[str, int] = {}
    for task in tasks:
        counts[task["state"]] = counts.get(task["state"], 0) + 1
    ended = [task["ended"] for task in tasks]
    both = {
        "id": tasks[0]["id"],
        "state": _worst(counts),
        "tries": max(task["tries"] for task in tasks),
        "started": min((task["started"] for task in tasks if task["started"]), default=""),
        "ended": max(ended) if all(ended) else "",
    }
    unwell = [_line(task) for task in tasks if task["state"] in _UNWELL]
    told = {"parts": len(tasks), "count": sorted(counts.items(), key=lambda one: _place(one[0]))}
    return [{**_line(both), **told}, *unwell[:MOST_PARTS]]


def _line(task: Mapping[str, Any]) -> dict[str, Any]:
    return {"index": None, "parts": 0, "count": [], **task, "look": look(task["state"])}


def _worst(counts: Mapping[str, int]) -> str:
    """Return the state that says most about many tasks: what failed, else what is under way, else what waits."""
    looks = [Status.FAILED, Status.RUNNING, Status.WAITING, Status.CANCELLED, Status.DONE]
    return min(counts, key=lambda state: (looks.index(Status(look(state))), _place(state)))


def _place(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else len(_ORDER)

"""Rows as plain dicts for the API and the pages: ISO 8601 times with zone, nothing that its reader may not see."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .factories.base import Capability, Factory

_OPEN_INFO = ("name", "tasks", "progress")
_OPEN_RESULT = ("rows", "rejected", "bytes", "seconds")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def job(row: Mapping[str, Any], *, whole: bool = True, link: bool = False) -> dict[str, Any]:
    """Return a job: every column, the address of its page at the factory only with `link`.

    Not whole: without persons, error details, parameters, messages, and what the factory shows.
    """
    plain = {name: _plain(value) for name, value in row.items()}
    info = row["info"]
    if whole:
        if info.get("factory") and not link:
            plain["info"] = {**info, "factory": {**info["factory"], "url": ""}}
        return plain
    shown = {name: info[name] for name in _OPEN_INFO if name in info}
    shown["tasks"] = [{**task, "message": ""} for task in info.get("tasks") or []]
    if result := info.get("result"):
        shown["result"] = {name: result[name] for name in _OPEN_RESULT if name in result}
    return {**plain, "user": None, "factory_id": None, "info": shown}


def setting(row: Mapping[str, Any], *, whole: bool = True) -> dict[str, Any]:
    """Return the settings of a resource: resource, params, updated, user; not whole: without the person."""
    plain = {name: _plain(value) for name, value in row.items()}
    return plain if whole else {**plain, "user": None}


def receipt(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a factory gets back for a report."""
    return {name: _plain(row[name]) for name in ("id", "factory_id", "status", "updated")}


def event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event: id, time, task, level, message, data."""
    return {name: _plain(value) for name, value in row.items() if name != "job"}


def factory(made: Factory, default: bool) -> dict[str, Any]:
    """Return a factory with its health; asks it, so this takes a moment."""
    health = made.health()
    return {
        "name": made.name,
        "title": made.title,
        "default": default,
        "capabilities": [c.name.lower() for c in Capability if c and c in made.capabilities and c.name],
        "healthy": health.ok,
        "message": health.message,
    }

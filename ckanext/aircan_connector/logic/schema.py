"""What the actions take: a schema each, of the same name."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

from aircan.status import Status

from .. import model
from . import validators

MAX_LIMIT = 100
"""Most jobs in one answer."""

MAX_EVENTS = 1000
"""Most events in one answer."""


def _v(*names: str) -> list[Any]:
    return [getattr(validators, n) if n.startswith("aircan_") else tk.get_validator(n) for n in names]


def _one_of(words: list[str]) -> Any:
    return tk.get_validator("one_of")(words)


def _text() -> list[Any]:
    return _v("ignore_empty", "unicode_safe")


def _page(default: int, most: int) -> list[Any]:
    return [tk.get_validator("default")(default), validators.aircan_between(1, most)]


def aircan_submit() -> dict[str, Any]:
    """Return the schema of `aircan_submit`."""
    return {
        "resource": _text(),
        "resource_id": _text(),
        "dataset": _text(),
        "job_type": [tk.get_validator("default")("LOAD"), *_v("aircan_job_type")],
        "dag_id": _text(),
        "factory": _v("ignore_empty", "aircan_factory_name"),
        "params": _v("ignore_empty", "aircan_json_object", "aircan_params"),
    }


def aircan_status_update() -> dict[str, Any]:
    """Return the schema of `aircan_status_update`."""
    told = [s.value for s in Status if s is not Status.WAITING]
    return {
        "job_id": _text(),
        "factory_id": _text(),
        "status": [*_v("not_empty", "unicode_safe"), _one_of(told)],
        "message": _text(),
        "task": _v("ignore_empty", "aircan_task"),
        "progress": _v("ignore_empty", "aircan_json_object"),
        "result": _v("ignore_empty", "aircan_json_object"),
        "error": _v("ignore_empty", "aircan_json_object"),
        "token": _v("not_empty", "unicode_safe"),
    }


def aircan_job_show() -> dict[str, Any]:
    """Return the schema of `aircan_job_show`."""
    return {"id": _v("not_empty", "unicode_safe")}


aircan_job_cancel = aircan_job_retry = aircan_job_show


def aircan_job_list() -> dict[str, Any]:
    """Return the schema of `aircan_job_list`."""
    return {
        "dataset": _text(),
        "resource": _text(),
        "user": _text(),
        "status": [*_text(), _one_of([s.value for s in Status])],
        "job_type": _text(),
        "q": _text(),
        "limit": _page(20, MAX_LIMIT),
        "offset": [tk.get_validator("default")(0), *_v("natural_number_validator")],
        "order": [tk.get_validator("default")("created desc"), _one_of(sorted(model.ORDERS))],
    }


def aircan_job_events() -> dict[str, Any]:
    """Return the schema of `aircan_job_events`."""
    return {
        "id": _v("not_empty", "unicode_safe"),
        "after": [tk.get_validator("default")(0), *_v("natural_number_validator")],
        "limit": _page(100, MAX_EVENTS),
        "rejects": [tk.get_validator("default")(False), *_v("boolean_validator")],
        "newest": [tk.get_validator("default")(False), *_v("boolean_validator")],
    }


def aircan_job_latest() -> dict[str, Any]:
    """Return the schema of `aircan_job_latest`."""
    return {"dataset": _v("not_empty", "unicode_safe")}


def aircan_settings_show() -> dict[str, Any]:
    """Return the schema of `aircan_settings_show`."""
    return {"resource": _v("not_empty", "unicode_safe")}


def aircan_settings_update() -> dict[str, Any]:
    """Return the schema of `aircan_settings_update`."""
    return {
        "resource": _v("not_empty", "unicode_safe"),
        "params": _v("not_missing", "aircan_json_object", "aircan_settings"),
    }


def aircan_factory_list() -> dict[str, Any]:
    """Return the schema of `aircan_factory_list`."""
    return {}

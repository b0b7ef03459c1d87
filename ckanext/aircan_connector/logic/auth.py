"""Who may: editors of a dataset submit, cancel, retry and see runs whole; readers see status and times.

Runs of a deleted dataset are for sysadmins, whom CKAN lets through before any of this is asked.
Every function takes the dataset's id in `data_dict`, which the actions put there.
"""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model as ckan_model

_No = {"success": False}


def _dataset(data_dict: dict[str, Any]) -> Any:
    dataset = ckan_model.Package.get(data_dict.get("dataset") or "")
    return dataset if dataset is not None and dataset.state != "deleted" else None


def _edits(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    dataset = _dataset(data_dict)
    if dataset is None:
        return {**_No, "msg": tk._("The dataset is deleted or does not exist.")}
    try:
        tk.check_access("package_update", _fresh(context), {"id": dataset.id})
    except tk.NotAuthorized:
        return {**_No, "msg": tk._("Only those who may edit the dataset may do this.")}
    return {"success": True}


def _reads(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    dataset = _dataset(data_dict)
    if dataset is None:
        return {**_No, "msg": tk._("The dataset is deleted or does not exist.")}
    try:
        tk.check_access("package_show", _fresh(context), {"id": dataset.id})
    except tk.NotAuthorized:
        return {**_No, "msg": tk._("You may not read this dataset.")}
    return {"success": True}


def _fresh(context: Any) -> dict[str, Any]:
    # No cached package, and no ignore_auth of a caller: the question is about the user.
    kept = ("user", "auth_user_obj", "model", "session")
    return {name: context[name] for name in kept if name in context}


def aircan_submit(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Editors of the dataset."""
    return _edits(context, data_dict)


def aircan_job_cancel(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Editors of the dataset."""
    return _edits(context, data_dict)


def aircan_job_retry(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Editors of the dataset."""
    return _edits(context, data_dict)


def aircan_job_details(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Editors of the dataset: error details, log, persons."""
    return _edits(context, data_dict)


@tk.auth_allow_anonymous_access
def aircan_job_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Readers of the dataset."""
    return _reads(context, data_dict)


@tk.auth_allow_anonymous_access
def aircan_job_list(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Readers of the dataset; without a dataset, everybody who is logged in, about datasets of their own."""
    if data_dict.get("dataset"):
        return _reads(context, data_dict)
    return {"success": bool(context.get("auth_user_obj") or context.get("user"))}


@tk.auth_allow_anonymous_access
def aircan_job_latest(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Readers of the dataset."""
    return _reads(context, data_dict)


@tk.auth_allow_anonymous_access
def aircan_job_events(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Those who see the run whole; the action decides by `aircan_job_details`."""
    return _reads(context, data_dict)


@tk.auth_allow_anonymous_access
def aircan_settings_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Readers of the dataset."""
    return _reads(context, data_dict)


def aircan_settings_update(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Editors of the dataset."""
    return _edits(context, data_dict)


@tk.auth_allow_anonymous_access
def aircan_status_update(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Whoever holds the run token, which the action compares."""
    return {"success": True}


def aircan_factory_list(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Sysadmins, whom CKAN lets through before this is asked."""
    return {**_No, "msg": tk._("Only sysadmins may look at the factories.")}

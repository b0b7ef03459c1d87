"""From a user's save to `aircan_submit`: which resources changed, whether they are due, and not before the commit.

CKAN says that a resource changed while the save is not committed yet, so changes are noted on the
session and submitted after the commit. Nothing here may fail or delay a save: every entrance
catches everything.
"""

from __future__ import annotations

import logging
import threading
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model as ckan_model

from aircan.text.declared import ARCHIVES, ending

from . import config, interfaces, jobs, model, settings

log = logging.getLogger(__name__)

_NOTED = "aircan_noted"
"""Key in a session's `info`: resource id -> what happened, not committed yet."""

_committed = threading.local()
"""What this thread committed and nobody submitted yet; a session may be gone right after its commit."""

TABLE_TYPES = frozenset({"datastore", "tabledesigner"})
"""`url_type`s of resources whose rows live in the DataStore only; there is no file to load."""


def note(entity: Any, operation: Any) -> None:
    """Remember on the session that a resource has a new file or is gone; called before the commit."""
    try:
        if not isinstance(entity, ckan_model.Resource):
            return
        word = _what_happened(entity, str(operation))
        if word:
            session = sa.orm.object_session(entity) or ckan_model.Session()
            session.info.setdefault(_NOTED, {})[entity.id] = word
    except Exception:
        log.exception("A change could not be noted", extra={"action": "trigger_failed"})


def _what_happened(resource: Any, operation: str) -> str:
    if operation == "deleted" or resource.state == "deleted":
        return "gone"
    if operation == "new" or getattr(resource, "url_changed", False):
        return "changed"
    return ""


def _due() -> dict[str, str]:
    if not hasattr(_committed, "due"):
        _committed.due = {}
    due: dict[str, str] = _committed.due
    return due


def committed(session: Any) -> None:
    """Turn what was noted into what is due; called after each commit, those of savepoints too."""
    noted = session.info.get(_NOTED)
    if noted and not session.in_nested_transaction():
        _due().update(session.info.pop(_NOTED))


def rolled_back(session: Any) -> None:
    """Forget what was noted: it never happened."""
    session.info.pop(_NOTED, None)


def listen() -> None:
    """Listen to CKAN's sessions; called once at start."""
    for event, listener in (("after_commit", committed), ("after_rollback", rolled_back)):
        if not sa.event.contains(ckan_model.Session, event, listener):
            sa.event.listen(ckan_model.Session, event, listener)


def flush(*_args: Any, context: Any = None, **_kwargs: Any) -> None:
    """Submit what is due, in the name of the user of `context`; called when an action has succeeded."""
    due = _due()
    while due:
        resource_id, word = due.popitem()
        try:
            _submit(resource_id, (context or {}).get("user")) if word == "changed" else _gone(resource_id)
        except Exception:
            log.exception("Resource %s was saved but not submitted", resource_id, extra={"action": "trigger_failed"})


def _submit(resource_id: str, user: str | None) -> None:
    resource = ckan_model.Resource.get(resource_id)
    dataset = resource and ckan_model.Package.get(resource.package_id)
    if resource is None or dataset is None or not config.submit_on_change():
        return
    if not is_due(resource) or not interfaces.may_load(_told(resource, _OF_RESOURCE), _told(dataset, _OF_DATASET)):
        return
    context = {"ignore_auth": True, "user": user or "", "aircan_by_hook": True}
    tk.get_action("aircan_submit")(context, {"resource": resource_id})


_OF_RESOURCE = ("id", "url", "url_type", "format", "mimetype", "name", "package_id")
_OF_DATASET = ("id", "name", "title", "type", "private", "owner_org")


def _told(entity: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Return what other extensions are told; CKAN's own `as_dict` would read tags, groups and more."""
    return {name: getattr(entity, name) for name in names}


def is_due(resource: Any) -> bool:
    """Return whether a resource's file is of a format that starts a run by itself.

    Of an archive nothing is known but its name: it counts when that says what is in it, as towns.csv.zip does. Any
    other may be a shapefile, or pictures.
    """
    if resource.state != "active" or not resource.url or resource.url_type in TABLE_TYPES:
        return False
    name = resource.url.rpartition("/")[2].partition("?")[0].lower()
    declared = (resource.format or name.rpartition(".")[2]).lower()
    said = {declared, (resource.mimetype or "").lower()}
    if declared in ARCHIVES and (inner := ending(name).split(".")[1:-1]):
        said.add(inner[0])
    return bool(said & config.submit_formats())


def _gone(resource_id: str) -> None:
    forget(resource=resource_id)
    settings.forget(resource_id)


def forget(*, resource: str | None = None, dataset: str | None = None) -> None:
    """Cancel the active jobs of a resource or dataset that was deleted; their hidden tables go with them."""
    with model.begin() as connection:
        active = model.active_jobs(connection, resource=resource, dataset=dataset)
    for job in active:
        jobs.cancel(job["id"], "The resource was deleted.")


def dataset_deleted(dataset_id: str) -> None:
    """Cancel what runs for a deleted dataset; called before the commit, by CKAN's order of things."""
    try:
        forget(dataset=dataset_id)
    except Exception:
        log.exception("Runs of dataset %s could not be cancelled", dataset_id, extra={"action": "trigger_failed"})

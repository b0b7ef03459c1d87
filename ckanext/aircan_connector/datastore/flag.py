"""What CKAN itself must know of a new table: that the resource has one, and its default views.

The only module here that uses CKAN's own database.
"""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model


def mark_active(resource_id: str) -> None:
    """Set `datastore_active` of a resource, if it is not set, in the way this version of CKAN does.

    2.12 patches the resource, which fires the hooks of other extensions; before, it was one UPDATE.
    """
    resource = model.Resource.get(resource_id)
    if resource is None or resource.state != model.State.ACTIVE or resource.extras.get("datastore_active"):
        return
    if tk.check_ckan_version(min_version="2.12"):
        tk.get_action("resource_patch")(_site_user(), {"id": resource_id, "datastore_active": True})
        return
    from ckanext.datastore.logic.action import set_datastore_active_flag

    set_datastore_active_flag({"model": model}, {"resource_id": resource_id}, True)


def default_views(resource_id: str) -> None:
    """Make the views that a resource with a table gets by default; those that it has stay.

    Does nothing when the resource was deleted.
    """
    found = model.Resource.get(resource_id)
    if found is None or found.state != model.State.ACTIVE:
        return
    dataset = tk.get_action("package_show")(_site_user(), {"id": found.package_id})
    for resource in dataset["resources"]:
        if resource["id"] == resource_id:
            tk.get_action("resource_create_default_resource_views")(
                _site_user(), {"resource": resource, "package": dataset, "create_datastore_views": True}
            )


def _site_user() -> dict[str, Any]:
    """Return a context that acts as the site itself, so that no person's activity is made."""
    name = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    return {"ignore_auth": True, "user": name}

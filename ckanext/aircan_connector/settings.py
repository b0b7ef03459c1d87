"""What is kept with a file for its next runs: the table of settings, and how they join with a submit.

CKAN's own fields of a resource are not used: its edit form drops those that it does not know. Imports
only `model`; what a value may be is the library's business (`aircan.params`), asked by the schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model as ckan_model
from sqlalchemy.dialects.postgresql import JSONB, insert

from . import model


class Setting(tk.BaseModel):  # type: ignore[misc]
    """The settings of one resource: parameters that every LOAD of it begins with."""

    __tablename__ = "aircan_connector_setting"

    resource = sa.Column(sa.Text, primary_key=True)
    params = sa.Column(JSONB, nullable=False, server_default="{}")
    updated = sa.Column(sa.DateTime(timezone=True), nullable=False)
    user = sa.Column(sa.Text)


SETTING = Setting.__table__

APPLIES_TO = "LOAD"
"""The type of job that settings are parameters of."""


def get(resource: str) -> dict[str, Any]:
    """Return {"resource", "params", "updated", "user"}; without settings, `params` is {} and the rest None."""
    with model.begin() as connection:
        row = connection.execute(sa.select(*SETTING.c).where(SETTING.c.resource == resource)).mappings().first()
    return dict(row) if row else {"resource": resource, "params": {}, "updated": None, "user": None}


def put(resource: str, params: Mapping[str, Any], user: str | None) -> dict[str, Any]:
    """Replace the settings of a resource, {} removes them; return them as `get` does."""
    if not params:
        forget(resource)
        return get(resource)
    values = {"params": dict(params), "updated": model.now(), "user": user}
    statement = insert(SETTING).values(resource=resource, **values)
    with model.begin() as connection:
        connection.execute(statement.on_conflict_do_update(index_elements=["resource"], set_=values))
    return get(resource)


def forget(resource: str) -> None:
    """Remove the settings of a resource."""
    with model.begin() as connection:
        connection.execute(sa.delete(SETTING).where(SETTING.c.resource == resource))


def sweep() -> int:
    """Remove the settings of resources that are gone for good, however they went; return how many."""
    resource = sa.inspect(ckan_model.Resource).local_table
    there = sa.select(resource.c.id).where(resource.c.id == SETTING.c.resource, resource.c.state != "deleted")
    with model.begin() as connection:
        return int(connection.execute(sa.delete(SETTING).where(~there.exists())).rowcount)


def merged(resource: str, job_type: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run: the settings of its resource, and what was given with the submit over them."""
    kept = get(resource)["params"] if job_type == APPLIES_TO else {}
    return {**kept, **given}

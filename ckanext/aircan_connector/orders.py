"""What a factory is asked to do, made from a job's row and what CKAN knows of its resource now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ckan import model as ckan_model

from aircan.contract import Dataset, Order, Resource
from aircan.errors import SourceMissing
from aircan.frictionless import slug, without_login
from aircan.steps.convert import PART_BYTES

from . import config
from .datastore.dictionary import type_overrides
from .interfaces import changed_order


def make(job: Mapping[str, Any]) -> Order:
    """Return the order of a job. Raises SourceMissing when its resource was deleted meanwhile."""
    resource = ckan_model.Resource.get(job["resource"])
    dataset = ckan_model.Package.get(job["dataset"])
    if resource is None or dataset is None or "deleted" in (resource.state, dataset.state):
        raise SourceMissing("the resource or its dataset is deleted", name=job["info"].get("name") or job["resource"])
    title = resource.name or urlsplit(without_login(resource.url or "")).path.rpartition("/")[2]
    order = Order(
        job_id=job["id"],
        job_type=job["job_type"],
        resource=Resource(
            id=resource.id,
            name=slug(title, resource.id),
            title=title,
            path=resource.url or "",
            format=resource.format or "",
            mediatype=resource.mimetype or "",
            size_bytes=resource.size if resource.url_type == "upload" else None,
            url_type=resource.url_type or "",
            types=type_overrides(resource.id),
        ),
        dataset=Dataset(id=dataset.id, name=dataset.name, title=dataset.title or ""),
        params=bounded(job["info"].get("params") or {}, defaults()),
        dag_id=job["dag_id"] or "",
        site_url=config.site_url(),
    )
    return changed_order(order)


BOUNDS = ("load_connections", "threads", "memory_mb", "max_size_bytes", "max_rejects_kept", "part_bytes")
"""Parameters of which a submit may ask for less than the site's options say, and gets no more."""


def bounded(asked: Mapping[str, Any], site: Mapping[str, Any]) -> dict[str, Any]:
    """Return the site's parameters with those of a submit laid over them, within the site's bounds.

    A value that is no number stays as it is, to be refused where the order is read.
    """
    params = {**site, **asked}
    for name in BOUNDS:
        given = asked.get(name)
        try:
            wanted = int(given)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            continue
        if not isinstance(given, bool):
            unlimited = name == "max_size_bytes" and wanted == 0
            params[name] = site[name] if unlimited else min(wanted, site[name])
    return params


def defaults() -> dict[str, Any]:
    """Return the site's parameters of a load, which those of a submit are laid over."""
    return {
        "max_reject_share": config.max_reject_share(),
        "publish": config.publish().value,
        "load_connections": config.load_connections(),
        "threads": config.load_threads(),
        "memory_mb": config.load_memory_mb(),
        "max_size_bytes": config.max_size_bytes(),
        "max_rejects_kept": config.max_rejects_kept(),
        "part_bytes": min(PART_BYTES, config.max_body_bytes()),
    }

"""What a factory is asked to do, made from a job's row and what CKAN knows of its resource now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckan import model as ckan_model

from aircan.contract import Dataset, Order, Resource
from aircan.errors import SourceMissing

from . import config
from .datastore.dictionary import type_overrides
from .interfaces import changed_order


def make(job: Mapping[str, Any]) -> Order:
    """Return the order of a job. Raises SourceMissing when its resource was deleted meanwhile."""
    resource = ckan_model.Resource.get(job["resource"])
    dataset = ckan_model.Package.get(job["dataset"])
    if resource is None or dataset is None or "deleted" in (resource.state, dataset.state):
        raise SourceMissing("the resource or its dataset is deleted", name=job["info"].get("name") or job["resource"])
    order = Order(
        job_id=job["id"],
        job_type=job["job_type"],
        resource=Resource(
            id=resource.id,
            name=resource.name or "",
            path=resource.url or "",
            format=resource.format or "",
            mediatype=resource.mimetype or "",
            url_type=resource.url_type or "",
            types=type_overrides(resource.id),
        ),
        dataset=Dataset(id=dataset.id, name=dataset.name, title=dataset.title or ""),
        params={**defaults(), **(job["info"].get("params") or {})},
        dag_id=job["dag_id"] or "",
        site_url=config.site_url(),
    )
    return changed_order(order)


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
    }

"""`IAircan`: what other extensions may do with a run. An exception in one never breaks a job."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from ckan.plugins import Interface, PluginImplementations

from aircan.contract import Order
from aircan.errors import PublishVetoed

log = logging.getLogger(__name__)


class IAircan(Interface):
    """Look into the runs of AirCan and change them.

    Implement with `implements(IAircan, inherit=True)`, and only the methods that you need. All but
    `aircan_may_load` are called from a background worker.
    """

    def aircan_may_load(self, resource: dict[str, Any], dataset: dict[str, Any]) -> bool:
        """Return False to keep a new or changed file from starting a run by itself.

        Args:
            resource: id, url, url_type, format, mimetype, name, package_id.
            dataset: id, name, title, type, private, owner_org.
        """
        return True

    def aircan_change_order(self, order: dict[str, Any]) -> dict[str, Any]:
        """Return the order, changed: say, `order["resource"]["headers"]` for a download, or `order["params"]`.

        `order` is `Order.to_dict()`. `job_id`, `job_type` and the resource's id cannot be changed.
        """
        return order

    def aircan_before_publish(self, table: dict[str, Any]) -> str | None:
        """Look at the new table before it is published; return a sentence to refuse it, else None.

        Args:
            table: {"job_id", "resource_id", "table" (name of the hidden table), "fields", "rows", "write"
                (replace, append, upsert or delete: what the rows of the hidden table will do)}.
        """
        return None

    def aircan_after_final(self, job: dict[str, Any]) -> None:
        """Act after a job is DONE, FAILED or CANCELLED; `job` is its row as a dict."""


def _each(method: str, *args: Any) -> Iterator[Any]:
    for plugin in PluginImplementations(IAircan):
        try:
            yield getattr(plugin, method)(*args)
        except Exception:
            log.exception("%s of plugin %s failed", method, plugin, extra={"action": "plugin_failed"})


def may_load(resource: dict[str, Any], dataset: dict[str, Any]) -> bool:
    """Return whether every extension lets this file start a run."""
    return all(answer is not False for answer in _each("aircan_may_load", resource, dataset))


def changed_order(order: Order) -> Order:
    """Return the order as the extensions want it."""
    for plugin in PluginImplementations(IAircan):
        try:
            secret = {"path": order.resource.path, "headers": dict(order.resource.headers)}
            resource = {**order.resource.to_dict(), **secret}
            data = {**order.to_dict(), "resource": resource}
            new = Order.from_dict(plugin.aircan_change_order(data))
            if (new.job_id, new.job_type, new.resource.id) == (order.job_id, order.job_type, order.resource.id):
                order = new
            else:
                log.error("Plugin %s changed whose order it is; ignored", plugin, extra={"action": "plugin_refused"})
        except Exception:
            log.exception("aircan_change_order of plugin %s failed", plugin, extra={"action": "plugin_failed"})
    return order


def before_publish(table: Mapping[str, Any]) -> None:
    """Ask every extension. Raises PublishVetoed with the first refusal."""
    for answer in _each("aircan_before_publish", dict(table)):
        if answer:
            raise PublishVetoed(reason=str(answer))


def after_final(job: Mapping[str, Any]) -> None:
    """Tell every extension that a job is final."""
    for _ in _each("aircan_after_final", dict(job)):
        pass

"""The plugin `aircan_connector`: introduces the extension to CKAN. No rules here."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import plugins as p
from ckan.lib.plugins import DefaultTranslation

from . import checks, gateway_views, triggers, views


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.validators
@tk.blanket.helpers
@tk.blanket.blueprints([views.blueprint, gateway_views.blueprint])
@tk.blanket.cli
@tk.blanket.config_declarations
class AircanConnectorPlugin(DefaultTranslation, p.SingletonPlugin):  # type: ignore[misc]
    """Turns a new or changed file into a run that everybody can see."""

    p.implements(p.IConfigurer)
    p.implements(p.IConfigurable)
    p.implements(p.ITranslation)
    p.implements(p.ISignal)
    p.implements(p.IDomainObjectModification)
    p.implements(p.IResourceController, inherit=True)
    p.implements(p.IPackageController, inherit=True)

    def update_config(self, config: Any) -> None:
        """Add templates and assets."""
        tk.add_template_directory(config, "templates")
        tk.add_resource("assets", "aircan_connector")

    def configure(self, config: Any) -> None:
        """Say in the log what would keep runs from working, and listen to saves."""
        triggers.listen()
        checks.log_findings()

    def get_signal_subscriptions(self) -> dict[Any, Any]:
        """Submit what is due whenever an action has succeeded: the end of package_create and its like."""
        return {tk.signals.action_succeeded: [triggers.flush]}

    def notify(self, entity: Any, operation: Any) -> None:
        """Note a resource that changes, before the commit."""
        triggers.note(entity, operation)

    def after_resource_create(self, context: Any, resource: dict[str, Any]) -> None:
        """Submit what is due: the save is committed."""
        triggers.flush(context=context)

    def after_resource_update(self, context: Any, resource: dict[str, Any]) -> None:
        """Submit what is due: the save is committed."""
        triggers.flush(context=context)

    def after_dataset_delete(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        """Cancel the runs of a deleted dataset."""
        triggers.dataset_deleted(pkg_dict["id"])

"""Plain messages at start, and a site that starts whatever is wrong."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model

from ckanext.aircan_connector import background, checks
from ckanext.aircan_connector.datastore import health

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db"),
]


def wrong() -> dict[str, str]:
    return {finding.name: finding.message for finding in checks.findings() if not finding.ok}


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("load.publish", "soon", "complete"),
        ("load.max_reject_percent", "101", "0 to 100"),
        ("load.max_reject_percent", "many", "0 to 100"),
        ("load.connections", 0, "1 to 16"),
        ("load.threads", 0, "1 to 256"),
        ("load.memory_mb", 63, "64 or more"),
        ("load.work_memory_mb", -1, "0, or 1 or more"),
        ("load.max_size_bytes", 0, "above 0"),
        ("load.time_limit_s", 0, "above 0"),
        ("reconcile.lease_s", 5, "30"),
        ("show_details_to", "all", "editors or readers"),
    ],
)
def test_wrong_option_is_named_with_what_it_may_be(monkeypatch, ckan_config, option, value, words):
    monkeypatch.setitem(ckan_config, f"ckanext.aircan_connector.{option}", value)
    message = wrong()["options"]
    assert f"ckanext.aircan_connector.{option}" in message
    assert words in message


@pytest.mark.ckan_config("ckanext.aircan_connector.factory", "steel")
def test_unknown_factory_names_those_there_are():
    assert "steel" in wrong()["factory"]
    assert "local" in wrong()["factory"]


def test_no_datastore(monkeypatch):
    monkeypatch.setattr(checks.p, "plugin_loaded", lambda name: False)
    assert "ckan.plugins" in wrong()["datastore"]


def test_no_worker_and_no_redis(monkeypatch, clean_queues):
    assert "ckan jobs worker" in wrong()["factory"]
    monkeypatch.setattr(background.config, "redis_url", lambda: "redis://127.0.0.1:1/0")
    assert "Redis" in wrong()["factory"]


def test_tables_missing():
    with ckan_model.meta.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE aircan_connector_job RENAME TO aircan_connector_job_away"))
    try:
        assert "ckan db upgrade -p aircan_connector" in wrong()["tables"]
    finally:
        with ckan_model.meta.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE aircan_connector_job_away RENAME TO aircan_connector_job"))


def test_findings_are_logged_as_warnings(caplog, monkeypatch):
    monkeypatch.setattr(background.config, "redis_url", lambda: "redis://127.0.0.1:1/0")
    monkeypatch.setattr(checks.log, "disabled", False)  # migrations of CKAN disable every logger
    checks.log_findings()
    assert "AirCan: Redis does not answer" in caplog.text


def test_outdated_permissions_are_named(monkeypatch):
    """The functions that `ckan datastore set-permissions` makes are looked for."""
    assert "datastore" not in wrong()
    monkeypatch.setattr(health, "_FUNCTIONS", ("function_of_a_later_ckan()",))
    assert "set-permissions" in wrong()["datastore"]

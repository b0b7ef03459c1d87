"""An order: what a submit may ask for (less than the site's options say, never more), its form, and no secret in it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ckan import plugins as p
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from aircan.contract import VERSION, Order
from ckanext.aircan_connector import config, factories, interfaces, jobs, orders
from ckanext.aircan_connector.interfaces import IAircan

SITE = {
    "load_connections": 2,
    "threads": 2,
    "memory_mb": 64,
    "max_size_bytes": 1000,
    "max_rejects_kept": 10,
    "part_bytes": 2 << 20,
}


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ({}, SITE),
        ({"load_connections": 1, "max_size_bytes": 10}, {**SITE, "load_connections": 1, "max_size_bytes": 10}),
        ({"load_connections": 16, "threads": 256, "memory_mb": 1 << 20}, SITE),
        ({"threads": "256"}, SITE),
        ({"part_bytes": 64 << 20}, SITE),
        ({"max_size_bytes": 0}, SITE),
        ({"max_rejects_kept": 0}, {**SITE, "max_rejects_kept": 0}),
        ({"max_rejects_kept": 10**9}, SITE),
        ({"threads": None}, {**SITE, "threads": None}),
        ({"threads": "many"}, {**SITE, "threads": "many"}),
        ({"threads": True}, {**SITE, "threads": True}),
        ({"delimiter": ";"}, {**SITE, "delimiter": ";"}),
    ],
)
def test_a_submit_stays_within_the_sites_bounds(asked, got):
    assert orders.bounded(asked, SITE) == got


SCHEMA = Path(__file__).parents[2] / "docs" / f"order-{VERSION}.schema.json"
LINK = "https://reader:geheim123@files.example.org/a%20b.csv?year=2024"

in_ckan = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.ckan_config("ckanext.aircan_connector.submit.on_change", False),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]


def in_a_ckan(test):
    """Let a test run in a CKAN with our plugin."""
    for mark in in_ckan:
        test = mark(test)
    return test


@in_a_ckan
@pytest.mark.parametrize(("limit", "size"), [(2 << 20, 2 << 20), ((2 << 20) - 1, (2 << 20) - 1), (10_000_000, 2 << 20)])
def test_a_part_is_no_larger_than_a_body_may_be(monkeypatch, limit, size):
    monkeypatch.setattr(config, "max_body_bytes", lambda: limit)
    assert orders.defaults()["part_bytes"] == size
    assert orders.bounded({"part_bytes": 64 << 20}, orders.defaults())["part_bytes"] == size


def order_of(resource, dataset, **options):
    """Return the order of a run of this resource, as it is handed over."""
    job = jobs.submit(resource=resource["id"], dataset=dataset["id"], user=None, name="x", mark="m", **options)
    return orders.make(job)


def wrong(order):
    """Return what the schema says against an order."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(order)]


@in_a_ckan
def test_the_order_of_an_upload_is_as_its_schema_says(upload):
    dataset = ckan_factories.Dataset()
    resource = upload(dataset["id"], b"code,day\n007,2024-05-13\n", name="Größen (täglich)")
    helpers.call_action(
        "datastore_create",
        resource_id=resource["id"],
        force=True,
        fields=[{"id": "code", "type": "text", "info": {"type_override": "text"}}],
    )
    params = {"delimiter": ";", "key": ["code"], "write": "upsert"}
    order = order_of(resource, dataset, params=params, dag_id="aircan_load")
    told = order.to_dict()
    assert (told["contract"], told["dag_id"], told["params"]["key"]) == (VERSION, "aircan_load", ["code"])
    assert told["resource"] == {
        "id": resource["id"],
        "name": "grossen-taglich",
        "title": "Größen (täglich)",
        "path": "a.csv",
        "format": "CSV",
        "mediatype": "text/csv",
        "bytes": 24,
        "url_type": "upload",
        "schema": {"fields": [{"name": "code", "type": "string"}]},
    }
    assert told["dataset"] == {"id": dataset["id"], "name": dataset["name"], "title": dataset["title"]}
    assert Order.from_dict(json.loads(json.dumps(told))) == order
    assert wrong(told) == []


@in_a_ckan
@pytest.mark.parametrize("name", ["", "Rows"])
def test_the_order_of_a_link_is_as_its_schema_says_and_keeps_the_login_here(name):
    dataset = ckan_factories.Dataset()
    resource = ckan_factories.Resource(package_id=dataset["id"], url=LINK, format="", name=name)
    order = order_of(resource, dataset)
    told = order.to_dict()
    assert order.resource.path == LINK
    assert told["resource"]["path"] == "https://files.example.org/a%20b.csv?year=2024"
    assert told["resource"]["title"] == (name or "a%20b.csv")
    assert wrong(told) == []


class WithHeader(p.SingletonPlugin):
    p.implements(IAircan, inherit=True)

    def aircan_change_order(self, order):
        order["resource"]["headers"] = {"X-Api-Key": "geheim456"}
        return order


def secrets_of(configuration):
    """Return what no order may hold: keys, passwords, tokens, addresses of databases."""
    words = ("key", "password", "secret", "token", "sqlalchemy", "_url", ".url", "salt")
    public = {str(configuration[name]) for name in ("ckan.site_url", "ckan.root_path") if configuration.get(name)}
    found = {
        str(value)
        for name, value in configuration.items()
        if any(word in name for word in words) and len(str(value)) > 7
    }
    return found - public


@in_a_ckan
@pytest.mark.ckan_config("ckanext.aircan_connector.airflow.key", "key-of-airflow")
@pytest.mark.ckan_config("ckanext.aircan_connector.airflow.previous_key", "previous-key-of-airflow")
@pytest.mark.ckan_config("ckanext.aircan_connector.airflow.password", "password-of-airflow")
@pytest.mark.ckan_config("ckanext.aircan_connector.airflow.token", "token-of-airflow")
@pytest.mark.ckan_config("ckan.site_url", "http://you:geheim789@test.ckan.net")
def test_no_order_holds_a_key_a_token_or_a_password(ckan_config, monkeypatch):
    dataset = ckan_factories.Dataset()
    user = ckan_factories.SysadminWithToken()
    resource = ckan_factories.Resource(package_id=dataset["id"], url=LINK)
    monkeypatch.setattr(interfaces, "PluginImplementations", lambda interface: [WithHeader()])
    order = order_of(resource, dataset)
    assert order.resource.headers == {"X-Api-Key": "geheim456"}
    assert order.resource.path == LINK
    written = json.dumps(order.to_dict()) + json.dumps(order.to_dict(), ensure_ascii=False)
    secrets = secrets_of(ckan_config) | {user["token"], "geheim", factories.get("local").keys()[0], "reader:", "you:"}
    assert {"key-of-airflow", "password-of-airflow", config.datastore_write_url()} <= secrets
    assert [secret for secret in secrets if secret in written] == []

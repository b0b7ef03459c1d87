"""CKAN knows of a table that we loaded as it does of one made through the API."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan import model
from ckan.tests import factories, helpers

from ckanext.aircan_connector.datastore import flag, health


@pytest.fixture
def patches(monkeypatch) -> list[str]:
    """Ids of the resources that resource_patch was called for."""
    seen: list[str] = []
    original = tk.get_action

    def spy(name):
        if name == "resource_patch":
            return lambda context, data: (seen.append(data["id"]), original(name)(context, data))[1]
        return original(name)

    monkeypatch.setattr(flag.tk, "get_action", spy)
    return seen


def test_the_flag_is_set_once_and_as_this_version_does(resource, patches):
    flag.mark_active(resource)
    assert helpers.call_action("resource_show", id=resource)["datastore_active"] is True
    flag.mark_active(resource)
    assert patches == ([resource] if tk.check_ckan_version(min_version="2.12") else [])


def test_nothing_else_of_the_resource_changes(resource):
    before = helpers.call_action("resource_show", id=resource)
    flag.mark_active(resource)
    after = helpers.call_action("resource_show", id=resource)
    moving = {"datastore_active", "metadata_modified"}
    assert {k: v for k, v in after.items() if k not in moving} == {k: v for k, v in before.items() if k not in moving}


def test_a_deleted_resource_is_left_alone():
    flag.mark_active("no-such-resource")


def test_default_views_are_those_of_a_table_and_made_once(load, resource, ckan_config):
    from .conftest import fields

    ckan_config["ckan.views.default_views"] = ["datatables_view"]
    load(resource, fields(a="text"), [["x"]])
    flag.mark_active(resource)
    flag.default_views(resource)
    flag.default_views(resource)
    views = helpers.call_action("resource_view_list", id=resource)
    assert [view["view_type"] for view in views] == ["datatables_view"]


def test_a_private_dataset_is_no_hindrance():
    organisation = factories.Organization()
    dataset = factories.Dataset(owner_org=organisation["id"], private=True)
    resource = factories.Resource(package_id=dataset["id"])
    flag.mark_active(resource["id"])
    flag.default_views(resource["id"])
    assert model.Resource.get(resource["id"]).extras["datastore_active"] is True


def test_a_datastore_that_is_set_up_has_no_problems():
    assert health.problems() == []


def test_an_unreachable_datastore_is_a_sentence(monkeypatch):
    from ckanext.aircan_connector import config

    monkeypatch.setattr(config, "datastore_write_url", lambda: "postgresql://u:geheim@127.0.0.1:1/x")
    (sentence,) = health.problems()
    assert "ckan.datastore.write_url" in sentence
    assert "geheim" not in sentence


def test_a_function_that_is_missing_is_a_sentence(query):
    query("ALTER FUNCTION populate_full_text_trigger() RENAME TO gone")
    try:
        (sentence,) = health.problems()
    finally:
        query("ALTER FUNCTION gone() RENAME TO populate_full_text_trigger")
    assert "set-permissions" in sentence

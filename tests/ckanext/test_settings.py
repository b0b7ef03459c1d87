"""What is kept with a file for its next runs: who may change it, what may be in it, and where it goes."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from ckanext.aircan_connector import orders, reconcile, settings

from .conftest import row_of

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]


def act(action, /, **data):
    return helpers.call_action(action, **data)


@pytest.fixture
def dataset():
    """A dataset with a file that starts no run by itself."""
    return ckan_factories.Dataset(resources=[{"url": "http://example.org/a.dat", "format": "DAT", "name": "a"}])


@pytest.fixture
def resource(dataset):
    return dataset["resources"][0]["id"]


def keep(resource, **params):
    return act("aircan_settings_update", resource=resource, params=params)


class TestKept:
    def test_none_at_first(self, resource):
        assert act("aircan_settings_show", resource=resource) == {
            "resource": resource, "params": {}, "updated": None, "user": None,
        }  # fmt: skip

    def test_kept_with_who_and_when(self, resource):
        user = ckan_factories.Sysadmin()
        context = {"user": user["name"], "ignore_auth": False}
        kept = helpers.call_action("aircan_settings_update", context, resource=resource, params={"delimiter": ";"})
        assert (kept["params"], kept["user"]) == ({"delimiter": ";"}, user["id"])
        assert act("aircan_settings_show", resource=resource) == kept
        assert kept["updated"].endswith("+00:00")

    def test_an_update_replaces(self, resource):
        keep(resource, delimiter=";", header_rows=2)
        assert keep(resource, strip=True)["params"] == {"strip": True}

    def test_nothing_clears(self, resource):
        keep(resource, delimiter=";")
        assert keep(resource)["params"] == {}
        assert act("aircan_settings_show", resource=resource)["updated"] is None

    def test_survive_the_edit_form(self, dataset, resource):
        """CKAN's form sends back the fields that it knows and drops the others."""
        keep(resource, delimiter=";")
        act("resource_update", id=resource, url="http://example.org/b.dat", format="DAT", name="b")
        assert act("aircan_settings_show", resource=resource)["params"] == {"delimiter": ";"}


class TestRefused:
    @pytest.mark.parametrize(
        ("params", "words"),
        [
            ({"header_rows": 4}, "header_rows must be a whole number from 0 to 3"),
            ({"delimiter": ";", "encoding": "utf-88"}, "encoding must be the name of an encoding"),
            ({"depth": 1}, "depth cannot be kept"),
            ({"load_connections": 2}, "load_connections cannot be kept"),
        ],
    )
    def test_named(self, resource, params, words):
        keep(resource, strip=True)
        with pytest.raises(tk.ValidationError) as caught:
            keep(resource, **params)
        assert words in caught.value.error_dict["params"][0]
        assert act("aircan_settings_show", resource=resource)["params"] == {"strip": True}

    @pytest.mark.parametrize("params", ["[]", "{", 7, None])
    def test_no_object(self, resource, params):
        with pytest.raises(tk.ValidationError) as caught:
            act("aircan_settings_update", resource=resource, params=params)
        assert list(caught.value.error_dict) == ["params"]

    def test_without_params_nothing_is_cleared(self, resource):
        keep(resource, strip=True)
        with pytest.raises(tk.ValidationError):
            act("aircan_settings_update", resource=resource)
        assert act("aircan_settings_show", resource=resource)["params"] == {"strip": True}

    @pytest.mark.parametrize("action", ["aircan_settings_show", "aircan_settings_update"])
    def test_unknown_resource(self, action):
        with pytest.raises(tk.ObjectNotFound):
            act(action, resource="nowhere", params={})


class TestWho:
    @pytest.mark.parametrize(
        ("who", "may_see", "may_change"),
        [("reader", False, False), ("member", True, False), ("editor", True, True), ("other", False, False)],
    )
    def test_of_a_private_dataset(self, people, who, may_see, may_change):
        dataset = ckan_factories.Dataset(
            owner_org=people["organisation"]["id"],
            private=True,
            resources=[{"url": "http://example.org/a.dat", "format": "DAT"}],
        )
        given = {"resource": dataset["resources"][0]["id"], "params": {}}
        allowed = {"aircan_settings_show": may_see, "aircan_settings_update": may_change}
        for action, may in allowed.items():
            try:
                tk.get_action(action)({"user": people[who]["name"]}, dict(given))
                assert may, action
            except tk.NotAuthorized:
                assert not may, action

    def test_a_reader_does_not_see_the_person(self, people):
        dataset = ckan_factories.Dataset(
            owner_org=people["organisation"]["id"], resources=[{"url": "http://example.org/a.dat", "format": "DAT"}]
        )
        given = {"resource": dataset["resources"][0]["id"]}
        tk.get_action("aircan_settings_update")(
            {"user": people["editor"]["name"]}, {**given, "params": {"strip": True}}
        )
        seen = tk.get_action("aircan_settings_show")({"user": people["reader"]["name"]}, dict(given))
        assert (seen["params"], seen["user"]) == ({"strip": True}, None)


class TestUsed:
    def test_site_then_settings_then_call(self, resource):
        keep(resource, delimiter=";", max_reject_share=0.5)
        job = act("aircan_submit", resource=resource, params={"delimiter": "|"})
        assert job["info"]["params"] == {"delimiter": "|", "max_reject_share": 0.5}
        params = orders.make(row_of(job["id"])).params
        assert (params["delimiter"], params["max_reject_share"]) == ("|", 0.5)
        assert params["max_rejects_kept"] == orders.defaults()["max_rejects_kept"]

    def test_of_this_resource_only(self, resource):
        other = ckan_factories.Resource(url="http://example.org/c.dat", format="DAT")
        keep(other["id"], delimiter=";")
        assert act("aircan_submit", resource=resource)["info"]["params"] == {}

    def test_a_changed_file_uses_them(self, dataset):
        made = ckan_factories.Resource(package_id=dataset["id"], url="http://example.org/a.csv", format="CSV")
        keep(made["id"], delimiter=";")
        act("resource_update", id=made["id"], url="http://example.org/b.csv", format="CSV")
        newest = act("aircan_job_list", resource=made["id"])["results"][0]
        assert newest["info"]["params"] == {"delimiter": ";"}

    def test_a_retry_takes_those_of_now_under_what_was_given(self, resource):
        keep(resource, delimiter=";", strip=True)
        job = act("aircan_submit", resource=resource, params={"header_rows": 2})
        act("aircan_job_cancel", id=job["id"])
        keep(resource, delimiter="|", header_rows=1)
        again = act("aircan_job_retry", id=job["id"])
        assert again["info"]["params"] == {"delimiter": "|", "header_rows": 2}

    def test_new_settings_supersede_a_run_that_waits(self, resource):
        first = act("aircan_submit", resource=resource)
        keep(resource, delimiter=";")
        second = act("aircan_submit", resource=resource)
        assert second["id"] != first["id"]
        assert row_of(first["id"])["status"] == "CANCELLED"


class TestGone:
    def test_with_the_resource(self, resource):
        keep(resource, delimiter=";")
        act("resource_delete", id=resource)
        assert settings.get(resource)["params"] == {}

    def test_when_the_dataset_is_saved_without_it(self, dataset, resource):
        keep(resource, delimiter=";")
        act("package_patch", id=dataset["id"], resources=[])
        assert settings.get(resource)["params"] == {}

    def test_not_with_a_dataset_that_can_be_restored(self, dataset, resource):
        keep(resource, delimiter=";")
        act("package_delete", id=dataset["id"])
        reconcile.reconcile()
        assert settings.get(resource)["params"] == {"delimiter": ";"}

    def test_with_a_dataset_that_is_purged(self, dataset, resource):
        keep(resource, delimiter=";")
        act("dataset_purge", id=dataset["id"])
        reconcile.reconcile()
        assert settings.get(resource)["params"] == {}

    def test_reconcile_counts_what_others_left(self, resource):
        keep(resource, delimiter=";")
        settings.put("went-long-ago", {"delimiter": ";"}, None)
        assert reconcile.reconcile()["settings_deleted"] == 1
        assert settings.get(resource)["params"] == {"delimiter": ";"}

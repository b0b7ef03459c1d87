"""From a save to a job: one after the commit, none for a title, and a save that never fails."""

from __future__ import annotations

import io
import socket
import time

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from ckanext.aircan_connector import background, jobs, model
from ckanext.aircan_connector.datastore import flag

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

CSV = b"a,b\n1,2\n"


def all_jobs(**filters):
    with model.begin() as connection:
        return model.list_jobs(connection, filters, order="created asc", limit=100, offset=0)[1]


def act(action, /, **data):
    return helpers.call_action(action, {"user": ckan_factories.Sysadmin()["name"]}, **data)


class TestNewFile:
    def test_upload_by_resource_create_makes_one_job(self, upload):
        resource = upload(ckan_factories.Dataset()["id"], CSV)
        (job,) = all_jobs()
        assert (job["resource"], job["status"], job["factory"]) == (resource["id"], "WAITING", "local")

    def test_link_by_resource_create_makes_one_job(self):
        dataset = ckan_factories.Dataset()
        act("resource_create", package_id=dataset["id"], url="http://example.org/a.csv", format="csv")
        assert len(all_jobs()) == 1

    def test_package_create_makes_a_job_for_each_file(self):
        links = [{"url": f"http://example.org/{n}.csv", "format": "CSV"} for n in range(3)]
        dataset = ckan_factories.Dataset(resources=links)
        assert {job["resource"] for job in all_jobs()} == {r["id"] for r in dataset["resources"]}

    def test_package_update_with_one_more_file_makes_one_job(self):
        dataset = ckan_factories.Dataset(resources=[{"url": "http://example.org/1.csv", "format": "CSV"}])
        resources = [*dataset["resources"], {"url": "http://example.org/2.csv", "format": "CSV"}]
        act("package_update", **{**dataset, "resources": resources})
        assert len(all_jobs()) == 2

    def test_package_patch_and_revise_with_a_changed_link_make_one_job_each(self):
        dataset = ckan_factories.Dataset(resources=[{"url": "http://example.org/1.csv", "format": "CSV"}])
        first = dataset["resources"][0]
        act("package_patch", id=dataset["id"], resources=[{**first, "url": "http://example.org/2.csv"}])
        assert [job["status"] for job in all_jobs()] == ["CANCELLED", "WAITING"]
        act("package_revise", match={"id": dataset["id"]}, update={"resources": [{"url": "http://example.org/3.csv"}]})
        assert [job["status"] for job in all_jobs()] == ["CANCELLED", "CANCELLED", "WAITING"]

    def test_same_file_name_again_makes_a_new_job(self, upload):
        dataset = ckan_factories.Dataset()
        resource = upload(dataset["id"], CSV)
        before = all_jobs()[0]["fingerprint"]
        file = FileStorage(io.BytesIO(CSV + b"3,4\n"), "a.csv")
        act("resource_update", id=resource["id"], url="a.csv", format="CSV", upload=file)
        assert [job["status"] for job in all_jobs()] == ["CANCELLED", "WAITING"]
        assert all_jobs()[1]["fingerprint"] != before

    def test_the_user_who_saved_is_the_one_who_asked(self):
        user = ckan_factories.Sysadmin()
        dataset = ckan_factories.Dataset()
        link = {"package_id": dataset["id"], "url": "http://example.org/a.csv", "format": "CSV"}
        helpers.call_action("resource_create", {"user": user["name"]}, **link)
        assert all_jobs()[0]["user"] == user["id"]


class TestNoNewFile:
    @pytest.fixture
    def resource(self):
        dataset = ckan_factories.Dataset(resources=[{"url": "http://example.org/1.csv", "format": "CSV", "name": "x"}])
        for job in all_jobs():
            jobs.cancel(job["id"], "settled")
        return dataset["resources"][0]

    def test_changed_name_makes_no_job(self, resource):
        act("resource_patch", id=resource["id"], name="other", description="words")
        assert len(all_jobs()) == 1

    def test_changed_dataset_title_makes_no_job(self, resource):
        act("package_patch", id=resource["package_id"], title="Another title")
        assert len(all_jobs()) == 1

    def test_dropped_sibling_makes_no_job(self, resource):
        extra = act("resource_create", package_id=resource["package_id"], url="http://example.org/2.csv", format="CSV")
        assert len(all_jobs()) == 2
        act("resource_delete", id=extra["id"])
        assert len(all_jobs()) == 2

    def test_our_own_flip_of_datastore_active_makes_no_job(self, resource):
        flag.mark_active(resource["id"])
        assert ckan_model.Resource.get(resource["id"]).extras.get("datastore_active") is True
        assert len(all_jobs()) == 1

    def test_datastore_create_by_the_api_makes_no_job(self, resource):
        act("datastore_create", resource_id=resource["id"], force=True, fields=[{"id": "a", "type": "text"}])
        assert len(all_jobs()) == 1

    @pytest.mark.parametrize("given", [{"format": "PDF"}, {"format": "", "url": "http://example.org/a.pdf"}])
    def test_other_formats_make_no_job(self, resource, given):
        act("resource_create", package_id=resource["package_id"], **{"url": "http://example.org/x", **given})
        assert len(all_jobs()) == 1

    @pytest.mark.parametrize(
        ("name", "format_", "starts"),
        [
            ("towns.csv.zip", "ZIP", True),
            ("Towns.GeoJSON.gz", "", True),
            ("towns.xlsx.xz?key=1.2", "xz", True),
            ("towns.pdf.zip", "ZIP", False),
            ("towns.zip", "ZIP", False),
            ("towns.shp.zip", "ZIP", False),
            ("towns.csv.zip", "SHP", False),
            ("csv.zip", "ZIP", False),
        ],
    )
    def test_an_archive_makes_a_job_when_its_name_says_what_is_in_it(self, resource, name, format_, starts):
        link = f"http://example.org/{name}"
        act("resource_create", package_id=resource["package_id"], url=link, format=format_)
        assert len(all_jobs()) == 1 + starts

    @pytest.mark.ckan_config("ckanext.aircan_connector.submit.formats", "xml")
    def test_formats_are_configurable(self):
        link = "http://example.org/a"
        ckan_factories.Dataset(resources=[{"url": link, "format": "CSV"}, {"url": link + "b", "format": "XML"}])
        assert len(all_jobs()) == 1

    @pytest.mark.ckan_config("ckanext.aircan_connector.submit.on_change", False)
    def test_switched_off(self):
        ckan_factories.Dataset(resources=[{"url": "http://example.org/1.csv", "format": "CSV"}])
        assert all_jobs() == []

    def test_rolled_back_save_makes_no_job(self, resource):
        row = ckan_model.Resource.get(resource["id"])
        row.url = "http://example.org/never.csv"
        row.url_changed = True
        ckan_model.Session.flush()
        ckan_model.Session.rollback()
        act("package_show", id=resource["package_id"])
        assert len(all_jobs()) == 1


class TestGone:
    @pytest.fixture
    def resource(self):
        dataset = ckan_factories.Dataset(resources=[{"url": "http://example.org/1.csv", "format": "CSV"}])
        return dataset["resources"][0]

    def test_deleted_resource_cancels_its_job(self, resource):
        act("resource_delete", id=resource["id"])
        assert [job["status"] for job in all_jobs()] == ["CANCELLED"]

    def test_resource_dropped_by_package_update_cancels_its_job(self, resource):
        act("package_patch", id=resource["package_id"], resources=[])
        assert [job["status"] for job in all_jobs()] == ["CANCELLED"]

    def test_deleted_dataset_cancels_its_jobs(self, resource):
        act("package_delete", id=resource["package_id"])
        assert [job["status"] for job in all_jobs()] == ["CANCELLED"]

    def test_purged_dataset_cancels_its_jobs(self, resource):
        act("dataset_purge", id=resource["package_id"])
        assert [job["status"] for job in all_jobs()] == ["CANCELLED"]


class TestSaveNeverFails:
    """Whatever is wrong with us, the user's save succeeds and does not wait: a save without an end fails here."""

    def save(self):
        dataset = ckan_factories.Dataset()
        start = time.monotonic()
        resource = act("resource_create", package_id=dataset["id"], url="http://example.org/a.csv", format="CSV")
        assert act("resource_show", id=resource["id"])["url"] == "http://example.org/a.csv"
        return time.monotonic() - start

    def test_redis_refuses(self, monkeypatch):
        monkeypatch.setattr(background.config, "redis_url", lambda: "redis://127.0.0.1:1/0")
        assert self.save() < 30
        (job,) = all_jobs()
        assert (job["status"], job["factory_id"]) == ("WAITING", None)

    def test_redis_does_not_answer(self, monkeypatch):
        """A server that accepts and is silent costs the save the time-out, not more."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
            monkeypatch.setattr(background.config, "redis_url", lambda: url)
            assert self.save() < 30
        assert all_jobs()[0]["status"] == "WAITING"

    @pytest.mark.ckan_config("ckanext.aircan_connector.factory", "no_such_factory")
    def test_unknown_factory(self, queue):
        self.save()
        queue()
        (job,) = all_jobs()
        assert job["status"] == "FAILED"
        assert job["info"]["error"]["code"] == "factory_unavailable"

    def test_tables_missing(self):
        with ckan_model.meta.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE aircan_connector_job RENAME TO aircan_connector_job_away"))
        try:
            self.save()
            assert ckan_model.Session.query(ckan_model.Resource).count() == 1
        finally:
            with ckan_model.meta.engine.begin() as connection:
                connection.execute(sa.text("ALTER TABLE aircan_connector_job_away RENAME TO aircan_connector_job"))

    def test_submit_itself_breaks(self, monkeypatch):
        def broken(**kwargs):
            raise RuntimeError("a defect")

        monkeypatch.setattr(jobs, "submit", broken)
        self.save()
        assert all_jobs() == []

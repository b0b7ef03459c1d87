"""Rows that are added to a table, changed or deleted in it, through the whole way: submit, queue, worker, page."""

from __future__ import annotations

import io

import ckantoolkit as tk
import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from ckanext.aircan_connector import model, words
from ckanext.aircan_connector.datastore import flag, janitor

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore datatables_view aircan_connector"),
    pytest.mark.ckan_config("ckan.views.default_views", "datatables_view"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]

CSV = b"id,name,day\n1,Ana,2024-05-13\n2,Ben,2024-05-14\n3,Cleo,2024-05-31\n"


@pytest.fixture
def resource(upload, queue):
    """A resource whose file is loaded."""
    found = upload(ckan_factories.Dataset()["id"], CSV)["id"]
    queue()
    return found


@pytest.fixture
def change(queue):
    """Upload another file with these settings kept, and return the job that loaded it."""

    def run(resource, data, **params):
        helpers.call_action("aircan_settings_update", resource=resource, params=params)
        file = FileStorage(io.BytesIO(data), "a.csv")
        helpers.call_action("resource_update", id=resource, url="a.csv", format="CSV", upload=file)
        queue()
        return newest(resource)

    return run


def newest(resource):
    with model.begin() as connection:
        return model.newest_job(connection, resource, "LOAD")


def names(resource):
    return [r["name"] for r in helpers.call_action("datastore_search", resource_id=resource, sort="_id")["records"]]


def said(job):
    return {one["code"]: words.by_code(words.WARNINGS, one) for one in job["info"].get("warnings") or ()}


def refused(job):
    events = helpers.call_action("aircan_job_events", id=job["id"], rejects=True)
    return [words.by_code(words.REJECTS, one) for event in events for one in event["data"]["rejects"]]


def test_append(resource, change):
    job = change(resource, b"name,id\nDora,4\nEmil,x\nFay,6\n", write="append", max_reject_share=0.5)
    assert names(resource) == ["Ana", "Ben", "Cleo", "Dora", "Fay"]
    assert (job["status"], job["info"]["result"]["rows"], job["info"]["result"]["rejected"]) == ("DONE", 2, 1)
    assert job["info"]["result"]["written"] == {
        "total": 5, "added": 2, "changed": 0, "same": 0, "deleted": 0, "absent": 0,
    }  # fmt: skip
    assert "day" in said(job)["columns_left_empty"]
    assert [orphan for orphan in janitor.orphans([]) if orphan.job_id == job["id"]] == []


def test_upsert_and_what_its_log_says(resource, change):
    job = change(resource, b"id,name\n2,Bo\n7,Gus\n", write="upsert", key=["id"])
    assert names(resource) == ["Ana", "Bo", "Cleo", "Gus"]
    told = [t["message"] for t in job["info"]["tasks"] if t["id"] == "publish"]
    assert told == ["1 rows added, 1 changed, 0 deleted; the table holds 4 rows."]
    assert words._found_again(words._MESSAGES, told[0]) == told[0]


def test_delete(resource, change):
    job = change(resource, b"id,why\n2,gone\n", write="delete", key=["id"])
    assert names(resource) == ["Ana", "Cleo"]
    assert "why" in said(job)["columns_ignored"]


def test_keys_that_are_not_unique_are_named_by_their_lines(resource, change):
    job = change(resource, b"id,name\n8,H\n,I\n8,J\n", write="upsert", key=["id"])
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "key_not_unique")
    assert (job["info"]["error"]["line"], job["info"]["error"]["facts"]["count"]) == (3, 2)
    assert refused(job) == ["The key is empty.", "The key 8 is in line 2 already."]
    assert words.error(job["info"]["error"])["sentence"] == (
        "The key (id) does not name each row once: the key is empty in line 3. Rows in question: 2."
    )
    assert names(resource) == ["Ana", "Ben", "Cleo"]


def test_a_reload_says_what_it_changes(resource, change):
    job = change(resource, b"id,nom,extra\n1,Ana,x\n2a,Ben,y\n")
    assert job["status"] == "DONE"
    assert said(job) == {
        "type_changed": "The type of the column id was: number. Now it is: text. The reason: 2a in line 3.",
        "columns_added": "Columns that are new in the table: nom, extra.",
        "columns_removed": "Columns that are no longer in the table, nor in its data dictionary: name, day.",
        "column_renamed": "Was the column name renamed to nom? If so, copy what its data dictionary said: "
        "it did not come along.",
    }


def test_a_reload_may_be_kept_from_changing_types(resource, change):
    job = change(resource, b"id,name,day\n1,Ana,2024-05-13\n2a,Ben,soon\n", on_type_change="fail")
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "types_changed")
    assert words.error(job["info"]["error"])["sentence"] == (
        "The file would change the types of these columns: id, day. "
        "The first: id from numeric to text because of 2a in line 3."
    )
    assert names(resource) == ["Ana", "Ben", "Cleo"]


def test_an_append_that_ckan_cannot_be_told_of_is_not_offered_again(resource, change, monkeypatch):
    def broken(_resource_id):
        raise RuntimeError("no search index")

    monkeypatch.setattr(flag, "default_views", broken)
    job = change(resource, b"id,name\n4,Dora\n", write="append")
    assert (job["status"], len(names(resource))) == ("DONE", 4)
    assert "would be added twice" in said(job)["metadata_unsaved"]


class TestSubmit:
    """A wrong word is refused where it is said."""

    @pytest.mark.parametrize(
        "params",
        [
            {"write": "overwrite"},
            {"write": "upsert"},
            {"write": "delete", "key": []},
            {"write": "upsert", "key": "id"},
            {"key": ["id"]},
            {"write": "append", "key": ["id"]},
            {"on_type_change": "ask"},
        ],
    )
    def test_wrong_parameters(self, resource, params):
        with pytest.raises(tk.ValidationError, match="params"):
            helpers.call_action("aircan_submit", resource=resource, params=params)

    def test_settings_may_hold_the_key_for_a_submit(self, resource, queue):
        helpers.call_action("aircan_settings_update", resource=resource, params={"key": ["id"]})
        helpers.call_action("aircan_submit", resource=resource, params={"write": "upsert"})
        queue()
        assert newest(resource)["info"]["result"]["written"]["same"] == 3

    def test_settings_cannot_lack_it(self, resource):
        with pytest.raises(tk.ValidationError, match="key"):
            helpers.call_action("aircan_settings_update", resource=resource, params={"write": "upsert"})

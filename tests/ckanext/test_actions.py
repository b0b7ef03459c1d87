from __future__ import annotations

from datetime import datetime

import ckantoolkit as tk
import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from aircan.contract import Report
from aircan.keys import run_token
from aircan.status import Status
from ckanext.aircan_connector import factories, jobs

from .conftest import row_of

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]


def act(action, /, **data):
    return helpers.call_action(action, **data)


def token(job_id):
    return run_token(factories.get("local").keys()[0], job_id)


def tell(job_id, **data):
    return act("aircan_status_update", **{"job_id": job_id, "status": "RUNNING", "token": token(job_id), **data})


def errors(action, /, **data):
    with pytest.raises(tk.ValidationError) as caught:
        act(action, **data)
    return caught.value.error_dict


@pytest.fixture
def dataset():
    """A dataset with a file that starts no run by itself."""
    return ckan_factories.Dataset(resources=[{"url": "http://example.org/a.dat", "format": "DAT", "name": "a"}])


@pytest.fixture
def resource(dataset):
    return dataset["resources"][0]["id"]


class TestSubmit:
    def test_returns_the_job(self, dataset, resource):
        job = act("aircan_submit", resource=resource)
        columns = "id factory_id job_type created updated dataset resource user status info"
        assert set(columns.split()) <= set(job)
        assert (job["status"], job["job_type"], job["factory"]) == ("WAITING", "LOAD", "local")
        assert (job["dataset"], job["resource"]) == (dataset["id"], resource)
        assert datetime.fromisoformat(job["created"]).utcoffset() is not None

    def test_resource_id_is_accepted(self, resource):
        assert act("aircan_submit", resource_id=resource)["resource"] == resource

    @pytest.mark.parametrize("key", ["id", "name"])
    def test_dataset_is_checked(self, dataset, resource, key):
        assert act("aircan_submit", resource=resource, dataset=dataset[key])["id"]

    def test_wrong_dataset(self, resource):
        other = ckan_factories.Dataset()
        assert other["name"] in errors("aircan_submit", resource=resource, dataset=other["name"])["dataset"][0]

    def test_missing_resource(self):
        assert "resource" in errors("aircan_submit")

    def test_unknown_resource(self):
        with pytest.raises(tk.ObjectNotFound, match="nowhere"):
            act("aircan_submit", resource="nowhere")

    @pytest.mark.parametrize(
        ("given", "where", "words"),
        [
            ({"job_type": "DANCE"}, "job_type", "LOAD"),
            ({"factory": "steel"}, "factory", "local"),
            ({"params": "{"}, "params", "JSON"),
            ({"params": "[1]"}, "params", "object"),
            ({"params": {"max_reject_share": 2}}, "params", "0 to 1"),
            ({"params": {"publish": "soon"}}, "params", "complete"),
            ({"params": {"delimiter": "ab"}}, "params", "one character"),
        ],
    )
    def test_bad_input_says_what_may_be(self, resource, given, where, words):
        assert words in errors("aircan_submit", resource=resource, **given)[where][0]

    def test_params_as_text_or_object(self, resource):
        first = act("aircan_submit", resource=resource, params='{"delimiter": ";"}')
        assert first["info"]["params"] == {"delimiter": ";"}
        assert act("aircan_submit", resource=resource, params={"delimiter": ";"})["id"] == first["id"]

    def test_is_not_for_get(self, app):
        answer = app.get("/api/3/action/aircan_submit?resource=x", status=400)
        assert "POST" in answer.get_data(as_text=True)


class TestStatusUpdate:
    def test_report_with_token(self, resource):
        job = act("aircan_submit", resource=resource)
        answer = tell(job["id"], message="working", task={"id": "fetch", "status": "RUNNING"}, progress={"rows": 1})
        assert answer["status"] == "RUNNING"
        info = row_of(job["id"])["info"]
        assert (info["message"], info["progress"], info["tasks"][0]["id"]) == ("working", {"rows": 1}, "fetch")

    def test_by_factory_id(self, resource):
        job = act("aircan_submit", resource=resource)
        jobs.handed_over(job["id"], "f1")
        assert act("aircan_status_update", factory_id="f1", status="DONE", token=token(job["id"]))["status"] == "DONE"

    def test_task_may_be_a_name(self, resource):
        job = act("aircan_submit", resource=resource)
        tell(job["id"], task="fetch")
        assert row_of(job["id"])["info"]["tasks"][0]["status"] == "RUNNING"

    @pytest.mark.parametrize("wrong", ["", "x", "0" * 64, None])
    def test_wrong_token(self, resource, wrong):
        job = act("aircan_submit", resource=resource)
        with pytest.raises((tk.NotAuthorized, tk.ValidationError)):
            act("aircan_status_update", job_id=job["id"], status="DONE", token=wrong)
        assert row_of(job["id"])["status"] == "WAITING"

    def test_token_of_another_job(self, dataset, resource):
        job = act("aircan_submit", resource=resource)
        with pytest.raises(tk.NotAuthorized):
            act("aircan_status_update", job_id=job["id"], status="DONE", token=token("another"))

    def test_unknown_job_is_answered_like_a_wrong_token(self, resource):
        job = act("aircan_submit", resource=resource)
        answers = []
        for job_id in (job["id"], "no-such-job"):
            with pytest.raises(tk.NotAuthorized) as caught:
                act("aircan_status_update", job_id=job_id, status="DONE", token="f" * 64)
            answers.append(str(caught.value))
        assert answers[0] == answers[1]

    def test_late_report_is_answered_normally(self, resource):
        job = act("aircan_submit", resource=resource)
        tell(job["id"], status="DONE")
        assert tell(job["id"], status="FAILED")["status"] == "DONE"

    @pytest.mark.parametrize("status", ["WAITING", "done", "PENDING", ""])
    def test_other_words_are_refused(self, resource, status):
        job = act("aircan_submit", resource=resource)
        assert "status" in errors("aircan_status_update", job_id=job["id"], status=status, token=token(job["id"]))

    def test_over_http_without_a_user(self, app, resource):
        job = act("aircan_submit", resource=resource)
        body = {"job_id": job["id"], "status": "RUNNING", "token": token(job["id"])}
        answer = app.post("/api/3/action/aircan_status_update", json=body, status=200)
        assert answer.json["result"]["status"] == "RUNNING"
        app.post("/api/3/action/aircan_status_update", json={**body, "token": "f" * 64}, status=403)

    def test_the_token_is_nowhere(self, resource, caplog):
        job = act("aircan_submit", resource=resource)
        tell(job["id"], status="DONE", message="words")
        kept = str(row_of(job["id"])) + str(act("aircan_job_events", id=job["id"])) + caplog.text
        assert token(job["id"]) not in kept


class TestLook:
    def test_list_pages_and_filters(self, resource):
        ids = [act("aircan_submit", resource=resource, params={"delimiter": c})["id"] for c in ",;|"]
        found = act("aircan_job_list", resource=resource)
        assert (found["count"], [job["id"] for job in found["results"]]) == (3, ids[::-1])
        assert act("aircan_job_list", resource=resource, limit=1, offset=1)["results"][0]["id"] == ids[1]
        assert act("aircan_job_list", resource=resource, order="created asc")["results"][0]["id"] == ids[0]
        assert act("aircan_job_list", resource=resource, status="WAITING")["count"] == 1
        assert act("aircan_job_list", resource=resource, job_type="OTHER")["count"] == 0
        assert act("aircan_job_list", q=ids[0][:8])["count"] >= 1
        assert act("aircan_job_list", q="100%_")["count"] == 0

    def test_list_by_dataset_name(self, dataset, resource):
        act("aircan_submit", resource=resource)
        assert act("aircan_job_list", dataset=dataset["name"])["count"] == 1

    @pytest.mark.parametrize(
        "bad", [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"offset": -1}, {"order": "id; drop"}]
    )
    def test_list_refuses(self, bad):
        assert list(errors("aircan_job_list", **bad)) == list(bad)

    def test_list_of_an_unknown_dataset(self):
        with pytest.raises(tk.ObjectNotFound):
            act("aircan_job_list", dataset="nowhere")

    def test_show_unknown(self):
        with pytest.raises(tk.ObjectNotFound):
            act("aircan_job_show", id="nothing")

    def test_reading_actions_answer_get(self, app, resource):
        job = act("aircan_submit", resource=resource)
        for path in (f"aircan_job_show?id={job['id']}", f"aircan_job_list?resource={resource}"):
            app.get(f"/api/3/action/{path}", status=200, headers={"Authorization": sysadmin_token()})

    def test_events_in_order_and_after(self, resource):
        job = act("aircan_submit", resource=resource)
        for word in "abc":
            tell(job["id"], message=word)
        events = act("aircan_job_events", id=job["id"])
        assert [event["message"] for event in events][-3:] == ["a", "b", "c"]
        later = act("aircan_job_events", id=job["id"], after=events[-2]["id"])
        assert [event["message"] for event in later] == ["c"]
        assert len(act("aircan_job_events", id=job["id"], limit=1)) == 1


class TestCancelAndRetry:
    def test_cancel(self, resource):
        job = act("aircan_submit", resource=resource)
        assert act("aircan_job_cancel", id=job["id"])["status"] == "CANCELLED"
        assert "CANCELLED" in errors("aircan_job_cancel", id=job["id"])["id"][0]

    def test_retry_is_a_new_job(self, resource):
        job = act("aircan_submit", resource=resource, params={"delimiter": ";"})
        assert "WAITING" in errors("aircan_job_retry", id=job["id"])["id"][0]
        jobs.report(job["id"], Report(Status.FAILED))
        again = act("aircan_job_retry", id=job["id"])
        assert again["id"] != job["id"]
        assert (again["retry_of"], again["status"]) == (job["id"], "WAITING")
        assert again["info"]["params"] == {"delimiter": ";"}
        assert row_of(job["id"])["status"] == "FAILED"

    def test_retry_of_a_deleted_resource(self, resource):
        job = act("aircan_submit", resource=resource)
        act("aircan_job_cancel", id=job["id"])
        act("resource_delete", id=resource)
        assert "id" in errors("aircan_job_retry", id=job["id"])


def test_factory_list():
    (local,) = [f for f in act("aircan_factory_list") if f["name"] == "local"]
    assert local["default"] is True
    assert "cancel" in local["capabilities"]
    assert local["healthy"] is False
    assert "ckan jobs worker" in local["message"]


def sysadmin_token():
    user = ckan_factories.Sysadmin()
    return act("api_token_create", user=user["name"], name="t")["token"]

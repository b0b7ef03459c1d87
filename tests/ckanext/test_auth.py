"""Who may do and see what: every action x every kind of person x every state of a dataset."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan import model as ckan_model
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from aircan.contract import Report
from aircan.errors import FileEmpty
from aircan.status import Status
from ckanext.aircan_connector import jobs

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

EVERYBODY = ["anonymous", "reader", "other", "member", "editor", "admin", "sysadmin"]
EDITORS = {"editor", "admin", "sysadmin"}
READERS_OF_PRIVATE = EDITORS | {"member"}
ALLOWED = {
    ("read", "public"): set(EVERYBODY),
    ("read", "private"): READERS_OF_PRIVATE,
    ("read", "deleted"): {"sysadmin"},
    ("edit", "public"): EDITORS,
    ("edit", "private"): EDITORS,
    ("edit", "deleted"): {"sysadmin"},
}
SECRET = "the-secret-detail"


@pytest.fixture
def scene(people):
    """A function: state of a dataset -> (call an action as a person, a FAILED job of that dataset)."""

    def make(state: str):
        dataset = ckan_factories.Dataset(
            owner_org=people["organisation"]["id"],
            private=state == "private",
            resources=[{"url": "http://example.org/a.csv", "format": "CSV", "name": "a"}],
        )
        resource = dataset["resources"][0]["id"]
        job = jobs.submit(
            resource=resource, dataset=dataset["id"], user=people["editor"]["id"], name="a", mark="other",
            params={"delimiter": ";"},
        )  # fmt: skip
        jobs.report(job["id"], Report(Status.RUNNING, message=SECRET))
        jobs.fail(job["id"], FileEmpty(SECRET))
        if state == "deleted":
            helpers.call_action("package_delete", id=dataset["id"])
        return dataset["id"], resource, job["id"]

    return make


def call(people, person, action, **data):
    """Call an action with its checks, as a person."""
    user = "" if person == "anonymous" else people[person]["name"]
    context = {"user": user, "ignore_auth": False}
    if person == "anonymous":
        context["auth_user_obj"] = None
    return tk.get_action(action)(context, data)


def outcome(people, person, action, **data):
    try:
        call(people, person, action, **data)
    except tk.NotAuthorized:
        return "refused"
    except (tk.ValidationError, tk.ObjectNotFound):
        return "allowed"
    return "allowed"


@pytest.mark.parametrize("state", ["public", "private", "deleted"])
@pytest.mark.parametrize(
    ("action", "needs"),
    [
        ("aircan_submit", "edit"),
        ("aircan_job_cancel", "edit"),
        ("aircan_job_retry", "edit"),
        ("aircan_job_events", "edit"),
        ("aircan_job_show", "read"),
        ("aircan_job_list", "read"),
    ],
)
def test_who_may(scene, people, action, needs, state):
    dataset, resource, job = scene(state)
    data = {"aircan_submit": {"resource": resource}, "aircan_job_list": {"dataset": dataset}}.get(action, {"id": job})
    allowed = {person for person in EVERYBODY if outcome(people, person, action, **data) == "allowed"}
    assert allowed == ALLOWED[needs, state]


@pytest.mark.parametrize("person", EVERYBODY)
def test_who_sees_what_of_a_public_run(scene, people, person):
    dataset, _, job = scene("public")
    shown = call(people, person, "aircan_job_show", id=job)
    (listed,) = [j for j in call(people, person, "aircan_job_list", dataset=dataset)["results"] if j["id"] == job]
    for seen in (shown, listed):
        assert seen["status"] == "FAILED"
        assert seen["finished"]
        assert (SECRET in str(seen)) == (person in EDITORS)
        assert ("error" in seen["info"]) == (person in EDITORS)
        assert ("params" in seen["info"]) == (person in EDITORS)
        assert (seen["user"] is not None) == (person in EDITORS)


@pytest.mark.ckan_config("ckanext.aircan_connector.show_details_to", "readers")
def test_option_opens_details_to_readers(scene, people):
    _, _, job = scene("public")
    assert call(people, "anonymous", "aircan_job_show", id=job)["info"]["error"]["code"] == "file_empty"
    assert call(people, "reader", "aircan_job_events", id=job)


@pytest.mark.ckan_config("ckanext.aircan_connector.show_details_to", "readers")
def test_option_opens_nothing_of_a_private_dataset(scene, people):
    _, _, job = scene("private")
    assert outcome(people, "reader", "aircan_job_show", id=job) == "refused"
    assert outcome(people, "other", "aircan_job_events", id=job) == "refused"


def test_list_of_everything(scene, people):
    """Sysadmins see all; editors the runs of their organisations' datasets; others nothing; anonymous is refused."""
    for state in ("public", "private", "deleted"):
        scene(state)
    counts = {person: call(people, person, "aircan_job_list")["count"] for person in EVERYBODY if person != "anonymous"}
    alive = counts["editor"]
    assert counts == {
        "reader": 0, "other": 0, "member": 0, "editor": alive, "admin": alive, "sysadmin": counts["sysadmin"],
    }  # fmt: skip
    assert 0 < alive < counts["sysadmin"]
    assert outcome(people, "anonymous", "aircan_job_list") == "refused"


def test_reader_cannot_search_what_is_hidden(scene, people):
    """A filter by user or words would tell what the answer leaves out."""
    dataset, _, _ = scene("public")
    everything = call(people, "reader", "aircan_job_list", dataset=dataset)["count"]
    assert call(people, "reader", "aircan_job_list", dataset=dataset, q=SECRET)["count"] == everything
    assert call(people, "reader", "aircan_job_list", dataset=dataset, user="nobody")["count"] == everything


@pytest.mark.parametrize("person", EVERYBODY)
def test_factories_are_for_sysadmins(people, person):
    assert (outcome(people, person, "aircan_factory_list") == "allowed") == (person == "sysadmin")


def test_purged_dataset_leaves_runs_to_sysadmins(scene, people):
    dataset, _, job = scene("public")
    helpers.call_action("dataset_purge", id=dataset)
    ckan_model.Session.remove()
    assert {p for p in EVERYBODY if outcome(people, p, "aircan_job_show", id=job) == "allowed"} == {"sysadmin"}


def named(people, who, dag_id):
    """Submit a run of a DAG as a person; return the job's DAG."""
    dataset = ckan_factories.Dataset(
        owner_org=people["organisation"]["id"], resources=[{"url": "http://example.org/a.csv", "format": "CSV"}]
    )
    context = {"user": people[who]["name"], "ignore_auth": False}
    wanted = {"resource": dataset["resources"][0]["id"], "dag_id": dag_id}
    return tk.get_action("aircan_submit")(context, wanted)["dag_id"]


@pytest.mark.ckan_config("ckanext.aircan_connector.submit.dags", "theirs another")
@pytest.mark.parametrize(("who", "dag_id"), [("editor", "theirs"), ("admin", "another"), ("sysadmin", "anything")])
def test_a_dag_that_may_be_named(people, who, dag_id):
    assert named(people, who, dag_id) == dag_id


@pytest.mark.parametrize("who", ["editor", "admin"])
def test_editors_cannot_start_any_dag_of_a_shared_airflow(people, who):
    with pytest.raises(tk.NotAuthorized, match="anything"):
        named(people, who, "anything")

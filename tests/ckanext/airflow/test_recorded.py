"""What real Airflows answered (3.3.2 and 2.11.2), and what the factory makes of it.

The player holds every request against Airflow's published OpenAPI, and every recorded answer too.
"""

from __future__ import annotations

import pytest

from aircan.errors import DagBroken, DagMissing, DagPaused, RightMissing, RunRefused, SignInRefused
from ckanext.aircan_connector import factories
from ckanext.aircan_connector.factories.airflow import signin
from ckanext.aircan_connector.factories.base import Capability, State

from .record import KEY, job_id

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins"),
]

COPIES = 101
"""As in dags/recorded.py."""

BOTH = pytest.mark.parametrize("version", ["3.3.2", "2.11.2"])


def airflow():
    return factories.get("airflow")


def states(found: str, most: int = 40) -> list[State]:
    """Look until the run is over; return the states in their order, each once in a row."""
    seen: list[State] = []
    for _ in range(most):
        state = airflow().see(found).state
        seen += [] if seen[-1:] == [state] else [state]
        if state in (State.SUCCEEDED, State.FAILED, State.GONE):
            return seen
    raise AssertionError(seen)


@BOTH
def test_a_run_is_queued_worked_on_and_a_success(playing, order, version):
    playing(version, "good")
    handed = airflow().submit(order("good", "rec_good"))
    assert handed.factory_id == f"rec_good/{job_id('good')}"
    assert handed.here is False
    assert states(handed.factory_id)[-1] is State.SUCCEEDED
    seen = airflow().see(handed.factory_id)
    assert seen.raw == "success"
    assert sorted((task.id, task.state, task.tries, task.index) for task in seen.tasks) == [
        ("first", "success", 1, None),
        ("second", "success", 1, None),
    ]
    assert seen.started < seen.ended
    assert all(task.started and task.ended for task in seen.tasks)


def test_queued_since_is_known_of_airflow_3(playing, order):
    playing("3.3.2", "good")
    seen = airflow().see(f"rec_good/{job_id('good')}")
    assert seen.queued < seen.started or not seen.started


@pytest.mark.parametrize(
    ("version", "path"), [("3.3.2", "/dags/rec_good/runs/{id}"), ("2.11.2", "/dags/rec_good/grid?dag_run_id={id}")]
)
def test_the_page_of_the_run(playing, version, path):
    player = playing(version, "good")
    seen = airflow().see(f"rec_good/{job_id('good')}")
    assert seen.url == player.url + path.format(id=job_id("good"))


@BOTH
def test_the_order_is_the_conf_and_holds_no_secret(playing, order, version):
    player = playing(version, "good")
    airflow().submit(order("good", "rec_good"))
    body = next(item["body"] for item in player.asked if item["path"].endswith("/dagRuns"))
    assert body["dag_run_id"] == body["conf"]["job_id"] == job_id("good")
    assert body["conf"]["dag_id"] == "rec_good"
    assert body["conf"]["site_url"] == "http://ckan.example"
    assert KEY not in str(body)
    assert ("logical_date" in body) is (version == "3.3.2")


@BOTH
def test_the_dag_of_the_options_is_taken_where_the_order_names_none(playing, order, version):
    playing(version, "good")
    assert airflow().submit(order("good")).factory_id.startswith("rec_good/")


@BOTH
def test_sent_twice_it_runs_once(playing, order, version):
    player = playing(version, "twice")
    once = airflow().submit(order("twice", "rec_good"))
    assert airflow().submit(order("twice", "rec_good")) == once
    assert len(player.paths("POST")) >= 2


@BOTH
def test_a_run_of_this_id_that_is_not_ours_is_refused(playing, order, version):
    playing(version, "theirs")
    with pytest.raises(RunRefused, match="not this site's"):
        airflow().submit(order("theirs", "rec_good"))


@BOTH
def test_unknown_dag(playing, order, version):
    playing(version, "unknown")
    with pytest.raises(DagMissing, match="nowhere"):
        airflow().submit(order("unknown", "nowhere"))


@BOTH
def test_dag_with_an_import_error_says_which(playing, order, version):
    playing(version, "broken")
    with pytest.raises(DagBroken, match="cannot import name 'no_such_name'"):
        airflow().submit(order("broken", "brk_good"))


@BOTH
def test_paused_dag_is_not_asked_to_run(playing, order, version):
    player = playing(version, "paused")
    with pytest.raises(DagPaused):
        airflow().submit(order("paused", "rec_paused"))
    assert not [path for path in player.paths("POST") if path.endswith("dagRuns")]


@BOTH
def test_dag_paused_after_the_hand_over_still_has_the_run(playing, order, version):
    playing(version, "paused_later")
    handed = airflow().submit(order("paused_later", "rec_paused"))
    seen = airflow().see(handed.factory_id)
    assert seen.state is State.QUEUED
    assert isinstance(seen.error, DagPaused)


@BOTH
def test_failed_run_names_task_try_and_reason_and_shows_its_last_lines(playing, order, version):
    playing(version, "fails")
    handed = airflow().submit(order("fails", "rec_fails"))
    assert states(handed.factory_id)[-1] is State.FAILED
    seen = airflow().see(handed.factory_id)
    assert seen.error.facts["task"] == "load"
    assert seen.error.facts["tries"] == 1
    assert seen.error.facts["reason"] == "ValueError: the file has no rows"
    assert any("the file has no rows" in line for line in seen.log)
    assert "the file has no rows" in seen.error.detail
    assert {task.id: task.state for task in seen.tasks} == {"load": "failed", "publish": "upstream_failed"}


def test_what_looks_like_a_token_in_a_log_is_hidden(playing, order):
    player = playing("3.3.2", "fails")
    assert "5" * 64 in str(player.tape)
    handed = airflow().submit(order("fails", "rec_fails"))
    states(handed.factory_id)
    seen = airflow().see(handed.factory_id)
    assert any("X-AirCan-Token***" in line for line in seen.log)
    assert "5" * 64 not in str(seen)


@BOTH
def test_second_try_is_seen(playing, order, version):
    playing(version, "tries")
    handed = airflow().submit(order("tries", "rec_tries"))
    tries = set()
    for _ in range(40):
        seen = airflow().see(handed.factory_id)
        tries |= {(task.tries, task.state) for task in seen.tasks}
    assert seen.state is State.SUCCEEDED
    assert {(1, "up_for_retry"), (2, "success")} <= tries


@BOTH
def test_all_copies_of_a_mapped_task_are_read_page_by_page(playing, version):
    player = playing(version, "mapped")
    seen = airflow().see(f"rec_mapped/{job_id('mapped')}")
    assert sorted(task.index for task in seen.tasks) == list(range(COPIES))
    assert len([path for path in player.paths("GET") if path.endswith("taskInstances")]) == 2


@BOTH
def test_cancel_ends_the_run_and_its_tasks(playing, order, version):
    player = playing(version, "cancel")
    handed = airflow().submit(order("cancel", "rec_slow"))
    while not any(task.state == "running" for task in airflow().see(handed.factory_id).tasks):
        pass
    airflow().cancel(handed.factory_id)
    assert states(handed.factory_id)[-1] is State.FAILED
    assert {task.state for task in airflow().see(handed.factory_id).tasks} <= {"failed", "skipped", "upstream_failed"}
    airflow().cancel(handed.factory_id)
    assert len(player.paths("PATCH")) == 1


@BOTH
def test_cancel_leaves_a_success_alone(playing, version):
    player = playing(version, "cancel_late")
    airflow().cancel(f"rec_good/{job_id('cancel_late')}")
    assert player.paths("PATCH") == []


@BOTH
def test_deleted_run_is_gone(playing, version):
    playing(version, "vanished")
    assert airflow().see(f"rec_good/{job_id('vanished')}").state is State.GONE
    airflow().cancel(f"rec_good/{job_id('vanished')}")


@BOTH
def test_wrong_password(playing, order, version):
    playing(version, "password", password="wrong")
    with pytest.raises(SignInRefused) as caught:
        airflow().submit(order("password", "rec_good"))
    assert caught.value.facts["reason"]
    assert "wrong user name or password" in str(caught.value) or "Invalid credentials" in str(caught.value)


@BOTH
def test_bad_token(playing, order, version):
    playing(version, "bearer", auth="bearer", token="nonsense")
    with pytest.raises(SignInRefused):
        airflow().submit(order("bearer", "rec_good"))


def test_token_that_has_run_out_is_fetched_anew_once(playing, order):
    player = playing("3.3.2", "renewed")
    signin.remembered(player.url, "admin").token = "old"
    airflow().submit(order("renewed", "rec_good"))
    assert player.paths("POST").count("/auth/token") == 1
    assert [item["secret"] for item in player.asked if item["auth"]] == ["old", "TOKEN", "TOKEN"]


@BOTH
def test_token_and_version_are_asked_for_once_in_a_process(playing, order, version):
    player = playing(version, "good")
    airflow().submit(order("good", "rec_good"))
    before = len(player.asked)
    airflow().see(f"rec_good/{job_id('good')}")
    later = [item["path"] for item in player.asked[before:]]
    assert not [path for path in later if path.endswith(("version", "token"))]


@BOTH
def test_user_who_may_only_look(playing, order, version):
    playing(version, "viewer", username="viewer", password="viewer")
    with pytest.raises(RightMissing, match="to start runs"):
        airflow().submit(order("viewer", "rec_good"))


@BOTH
def test_dag_that_does_not_take_the_order_says_why(playing, order, version):
    playing(version, "params")
    with pytest.raises(RunRefused, match="'LOAD' is not one of"):
        airflow().submit(order("params", "rec_params"))


@BOTH
def test_healthy(playing, version):
    playing(version, "health")
    made = airflow()
    health = made.health()
    assert health.ok, health.message
    assert health.facts == {"version": version}
    assert made.capabilities == Capability.CANCEL | Capability.LOGS | Capability.TASKS | Capability.FIND


@BOTH
def test_a_run_is_found_by_the_id_of_its_job(playing, version):
    playing(version, "good")
    assert airflow().find(job_id("good"), "") == f"rec_good/{job_id('good')}"


@BOTH
def test_a_run_that_never_arrived_is_not_found(playing, version):
    playing(version, "vanished")
    assert airflow().find(job_id("vanished"), "rec_good") is None


@BOTH
def test_version_said_by_the_option_is_not_asked_for(playing, order, version):
    player = playing(version, "good", api="v2" if version[0] == "3" else "v1")
    airflow().submit(order("good", "rec_good"))
    assert not [path for path in player.paths("GET") if path.endswith("version")]

"""What the page of a run shows of a factory: for those who may, as words, and folded where there is much."""

from __future__ import annotations

from typing import Any

import pytest

from aircan.contract import Report
from aircan.errors import DagPaused, RunFailed
from aircan.status import Status
from ckanext.aircan_connector import atfactory, dictize, helpers, jobs
from ckanext.aircan_connector.factories.base import BAD, Seen, SeenTask, State

from .conftest import row_of
from .test_views import scene  # noqa: F401 - a fixture

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_redis"),
]

URL = "https://airflow.inside.example/dags/aircan_load/runs/x"
AT = ["2026-11-21T10:00:00+00:00", "2026-11-21T10:00:07+00:00", "2026-11-21T10:01:07+00:00"]


def task(name: str, state: str, index: int | None = None, tries: int = 1) -> SeenTask:
    ended = AT[2] if state in ("success", "failed") else ""
    return SeenTask(name, state, index, tries, AT[1] if tries else "", ended)


def seen(state: State = State.WORKING, raw: str = "running", **more: Any) -> Seen:
    tasks = (
        task("fetch", "success"),
        task("convert", "success", tries=2),
        *(task("load", "success", n) for n in range(30)),
        task("load", "up_for_retry", 30, tries=3),
        task("load", "running", 31),
        task("publish", "", tries=0),
    )
    return Seen(state, raw, **{"tasks": tasks, "queued": AT[0], "started": AT[1], "url": URL, **more})


@pytest.fixture
def it(scene):  # noqa: F811
    """A run that Airflow works on."""
    made = scene()
    jobs.seen(made.job["id"], seen())
    return made


def lines(what: Seen) -> dict[str, dict[str, Any]]:
    job = {"info": {"factory": what.to_dict(AT[2])}, "factory_id": "aircan_load/x", "status": "RUNNING"}
    return {f"{line['id']}{line['index'] if line['index'] is not None else ''}": line for line in shown(job)["tasks"]}


def shown(job: dict[str, Any]) -> dict[str, Any]:
    found = atfactory.shown(job)
    assert found
    return found


def test_a_factory_that_shows_nothing_has_no_section(scene):  # noqa: F811
    made = scene()
    assert atfactory.shown(dictize.job(row_of(made.job["id"]))) is None
    assert "At the factory" not in made.text(made.run, "sysadmin")


def test_many_copies_of_a_task_are_one_line_and_those_that_are_not_well_have_their_own():
    told = lines(seen())
    assert list(told) == ["fetch", "convert", "load", "load30", "publish"]
    assert (told["load"]["parts"], told["load"]["look"], told["load"]["tries"]) == (32, "RUNNING", 3)
    assert told["load"]["count"] == [("running", 1), ("success", 30), ("up_for_retry", 1)]
    assert (told["load"]["started"], told["load"]["ended"]) == (AT[1], "")
    assert told["load30"]["look"] == "WAITING"


@pytest.mark.parametrize(("bad", "told"), [(0, 1), (9, 10), (10, 11), (11, 11)])
def test_no_more_copies_are_listed_than_a_person_reads(bad, told):
    tasks = tuple(task("load", "failed" if n < bad else "success", n) for n in range(50))
    assert len(lines(seen(tasks=tasks))) == told


def test_a_state_of_tomorrow_is_shown_as_it_is():
    assert lines(seen(tasks=(task("fetch", "pondering"),)))["fetch"]["look"] == "WAITING"
    assert helpers.aircan_factory_state("pondering") == "pondering"


def test_every_state_that_gets_into_the_log_has_a_word():
    assert set(BAD) <= set(atfactory.STATES)


def test_tasks_that_are_only_counted_are_told():
    many = tuple(task("load", "success", n) for n in range(250))
    job = {"info": {"factory": seen(tasks=many).to_dict(AT[2])}, "factory_id": "d/r", "status": "DONE"}
    assert shown(job)["left_out"] == 50


@pytest.mark.parametrize(
    ("who", "sees", "link"),
    [("anonymous", False, False), ("member", False, False), ("editor", True, False), ("sysadmin", True, True)],
)
def test_who_sees_what_the_factory_shows(it, who, sees, link):
    page = it.text(it.run, who)
    assert ("At the factory local" in page) is sees
    assert ("up_for_retry" in page or "failed, is tried again" in page) is sees
    assert (URL in page) is link


@pytest.mark.ckan_config("ckanext.aircan_connector.show_details_to", "readers")
def test_readers_who_see_details_do_not_see_where_the_factory_is(it):
    page = it.text(it.run, "anonymous")
    assert "At the factory local" in page
    assert "airflow.inside.example" not in page
    shown_job = it.app.get(f"/api/3/action/aircan_job_show?id={it.job['id']}").json["result"]
    assert shown_job["info"]["factory"]["url"] == ""


def test_the_page_tells_states_times_and_tries(it):
    page = it.text(it.run)
    for text in (
        "<dt>State there</dt><dd>running</dd>",
        "<dd>7 s</dd>",
        "load × 32",
        "30 done",
        '<th scope="row">load[30]</th>',
    ):
        assert text in page, text


def test_why_a_run_waits_at_the_factory_is_said_while_it_waits(scene):  # noqa: F811
    made = scene()
    paused = DagPaused(factory="airflow", dag_id="aircan_load")
    jobs.seen(made.job["id"], seen(State.QUEUED, "queued", tasks=(), started="", error=paused))
    sentence = "The DAG aircan_load is paused at the factory airflow"
    assert f'alert alert-warning aircan-error"><p class="aircan-first">{sentence}' in made.text(made.run)
    jobs.report(made.job["id"], Report(Status.RUNNING))
    assert "alert alert-warning aircan-error" not in made.text(made.run)


def test_the_log_of_the_task_that_failed_is_on_the_page(scene):  # noqa: F811
    made = scene()
    failed = RunFailed("last line", factory="airflow", task="load[3]", tries=2, reason="MemoryError")
    jobs.seen(
        made.job["id"],
        seen(State.FAILED, "failed", tasks=(task("load", "failed", 3, tries=2),), error=failed, log=("MemoryError",)),
    )
    jobs.fail(made.job["id"], failed)
    page = made.text(made.run)
    for text in ("in the task load[3], try 2: MemoryError", "Try 2 of the task load[3]: failed."):
        assert text in page, text
    assert "MemoryError" not in made.text(made.run, "reader")


def test_tasks_stand_in_the_order_in_which_they_began():
    """Airflow names mapped tasks last."""
    began = {"fetch": AT[0], "publish": AT[2], "report": "", "load": AT[1]}
    tasks = tuple(SeenTask(name, "success", 0 if name == "load" else None, 1, at) for name, at in began.items())
    assert list(lines(seen(tasks=tasks))) == ["fetch", "load", "publish", "report"]

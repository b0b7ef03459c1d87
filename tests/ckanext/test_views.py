"""The pages: who sees what, at which address, and what stands there."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model as ckan_model
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from aircan.contract import Field, Report, Task, Type
from aircan.errors import FactoryUnavailable, RowsRefused
from aircan.status import Status
from ckanext.aircan_connector import background, config, jobs, model

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_redis"),
]

EVERYBODY = ["anonymous", "reader", "other", "member", "editor", "admin", "sysadmin"]
EDITORS = {"editor", "admin", "sysadmin"}
SEES = {
    "public": set(EVERYBODY),
    "private": EDITORS | {"member"},
    "deleted": {"sysadmin"},
}
SECRET = "cells-of-a-secret-row"
REFUSED = RowsRefused(SECRET, rejected=2, rows=20, limit_percent=5, line=4211, first="14 cells, header has 19")
REJECTS = [
    {"line": 4211, "code": "cells", "field": "", "value": "", "facts": {"cells": 14, "columns": 19}, "text": SECRET},
    {"line": 4300, "code": "value", "field": "year", "value": "=<script>x", "facts": {}, "text": "a,b"},
]


class Scene:
    """A dataset of the organisation of `people`, with a resource, and a client that asks as anybody."""

    def __init__(self, app: Any, people: dict[str, Any], state: str = "public") -> None:
        self.app, self.people = app, people
        self.headers: dict[str, dict[str, str]] = {"anonymous": {}}
        self.dataset = ckan_factories.Dataset(
            owner_org=people["organisation"]["id"],
            private=state == "private",
            resources=[{"url": "http://example.org/a.csv", "format": "CSV", "name": "a.csv"}],
        )
        self.resource = self.dataset["resources"][0]["id"]
        with model.begin() as connection:
            connection.execute(model.JOB.delete())
        self.job = self.submit()
        self.base = f"/dataset/{self.dataset['name']}/actions"
        self.run = f"{self.base}/runs/{self.job['id']}"
        self.state = state

    def submit(self, **kwargs: Any) -> dict[str, Any]:
        given = {"dataset": self.dataset["id"], "user": self.people["editor"]["id"], "name": "a.csv", "mark": "m"}
        return jobs.submit(resource=self.resource, **{**given, **kwargs})

    def end(self) -> None:
        if self.state == "deleted":
            helpers.call_action("package_delete", id=self.dataset["id"])

    def fail(self) -> None:
        jobs.report(self.job["id"], Report(Status.RUNNING, task=Task("load", Status.RUNNING)))
        jobs.report(self.job["id"], Report(Status.RUNNING, result={"rejects": REJECTS, "rejected": 2}))
        jobs.fail(self.job["id"], REFUSED)

    def done(self, **result: Any) -> None:
        jobs.report(self.job["id"], Report(Status.RUNNING))
        jobs.report(self.job["id"], Report(Status.DONE, result=result))

    def as_(self, who: str) -> dict[str, str]:
        if who not in self.headers:
            context = {"ignore_auth": True, "user": self.people[who]["name"]}
            made = tk.get_action("api_token_create")(context, {"user": self.people[who]["name"], "name": "t"})
            self.headers[who] = {"Authorization": made["token"]}
        return self.headers[who]

    def get(self, path: str, who: str = "editor", **kwargs: Any) -> Any:
        return self.app.get(path, headers=self.as_(who), follow_redirects=False, **kwargs)

    def post(self, path: str, who: str = "editor", **kwargs: Any) -> Any:
        return self.app.post(path, headers=self.as_(who), follow_redirects=False, **kwargs)

    def text(self, path: str, who: str = "editor") -> str:
        answer = self.get(path, who)
        assert answer.status_code == 200
        return visible(answer.body)


def visible(html: str) -> str:
    """Return a page with every run of blanks as one blank."""
    return re.sub(r"\s+", " ", html)


@pytest.fixture
def scene(app, people):
    def make(state: str = "public") -> Scene:
        return Scene(app, people, state)

    return make


@pytest.mark.parametrize("state", ["public", "private", "deleted"])
def test_who_sees_which_page(scene, state):
    it = scene(state)
    it.fail()
    it.end()
    for who in EVERYBODY:
        reads, edits = who in SEES[state], who in SEES[state] & EDITORS
        for path in ("", f"/runs/{it.job['id']}", "/live", f"/runs/{it.job['id']}/live", f"/runs/{it.job['id']}/line"):
            status = it.get(it.base + path, who).status_code
            assert status == (200 if reads else 404), (who, path)
        for path in ("/rejects.csv", "/log.txt"):
            status = it.get(it.run + path, who).status_code
            expected = 200 if edits else 404 if not reads else 302 if who == "anonymous" else 403
            assert status == expected, (who, path)


@pytest.mark.parametrize("state", ["public", "private", "deleted"])
@pytest.mark.parametrize("button", ["submit", "retry", "cancel"])
def test_who_may_press_which_button(scene, state, button):
    it = scene(state)
    if button == "retry":
        it.fail()
    it.end()
    path = f"{it.base}/submit" if button == "submit" else f"{it.run}/{button}"
    for who in [who for who in EVERYBODY if who not in EDITORS]:
        expected = 403 if who in SEES[state] else 404
        assert it.post(path, who, data={"resource": it.resource}).status_code == expected, who
    assert it.post(path, "sysadmin", data={"resource": it.resource}).status_code == 302


@pytest.mark.ckan_config("ckan.auth.reveal_private_datasets", True)
def test_where_private_datasets_are_revealed_the_login_is_shown(scene):
    it = scene("private")
    assert it.get(it.run, "reader").status_code == 403
    answer = it.get(it.run, "anonymous")
    assert answer.status_code == 302
    assert "/user/login" in answer.headers["Location"]


@pytest.mark.parametrize("who", ["anonymous", "reader", "member"])
def test_a_reader_sees_status_and_times_only(scene, who):
    it = scene()
    it.fail()
    for path in (it.base, it.run, it.run + "/live"):
        page = it.text(path, who)
        assert "FAILED" in page
        assert "<time datetime" in page
        for hidden in (SECRET, "do not fit", it.people["editor"]["name"], "Run again", "script&gt;x", "/submit"):
            assert hidden not in page, (path, hidden)


@pytest.mark.ckan_config("ckanext.aircan_connector.show_details_to", "readers")
def test_the_option_opens_the_run_to_readers_but_not_its_buttons(scene):
    it = scene()
    it.fail()
    page = it.text(it.run, "anonymous")
    assert "Correct the rows listed below" in page
    assert "Run again" not in page


def test_a_failed_run_says_what_where_what_to_do_and_what_the_table_shows(scene):
    it = scene()
    it.done(rows=336776)
    earlier, it.job = it.job, it.submit()
    it.fail()
    page = it.text(f"{it.base}/runs/{it.job['id']}")
    assert "2 of 20 rows do not fit the table, first in line 4,211: 14 cells, header has 19." in page
    assert "Correct the rows listed below and upload the file again." in page
    assert "The table still shows the 336,776 rows of" in page
    assert "14 cells, but the header has 19." in page
    assert f"/runs/{earlier['id']}" in page
    assert "&lt;script&gt;x" in page
    assert "<script>x" not in page


def test_a_done_run_shows_rows_columns_types_and_warnings(scene):
    it = scene()
    fields = [Field("dep_time", "dep time", Type.NUMERIC, nulls=8255), Field("zip", "zip")]
    it.done(rows=12345, rejected=0, fields=[f.to_dict() for f in fields], bytes=3_000_000)
    page = it.text(it.run)
    for seen in ("12,345", "dep_time", "dep time", "number", "8,255", "2.8 MiB", "Run again"):
        assert seen in page, seen


def test_a_running_run_shows_how_far_it_is_and_can_be_cancelled(scene):
    it = scene()
    progress = {"rows": 61, "bytes": 61, "total_bytes": 100}
    jobs.report(it.job["id"], Report(Status.RUNNING, task=Task("load", Status.RUNNING), progress=progress))
    page = it.text(it.run)
    assert 'aria-valuenow="61"' in page
    assert "/cancel" in page
    assert "Run again" not in page
    assert 'data-aircan-state="active"' in page
    assert it.post(f"{it.run}/cancel").status_code == 302
    assert "CANCELLED" in it.text(it.run)
    assert 'data-aircan-state="final"' in it.text(it.run + "/live")


def test_a_run_that_waits_says_for_whom(scene):
    it = scene()
    jobs.report(it.job["id"], Report(Status.RUNNING))
    behind = it.submit(mark="newer")
    page = it.text(f"{it.base}/runs/{behind['id']}")
    assert "It waits for an earlier run of the same file" in page
    assert it.job["id"] in page


def test_run_again_leads_to_the_new_run(scene):
    it = scene()
    it.fail()
    answer = it.post(f"{it.run}/retry")
    new = answer.headers["Location"].rsplit("/", 1)[1]
    assert jobs.get(new)["retry_of"] == it.job["id"]


def test_cancelling_too_late_says_so(scene):
    it = scene()
    it.fail()
    assert it.post(f"{it.run}/cancel").status_code == 302
    assert jobs.get(it.job["id"])["status"] == "FAILED"


def test_submit_refuses_a_resource_of_another_dataset(scene):
    it, other = scene(), scene()
    it.post(f"{it.base}/submit", data={"resource": other.resource})
    with model.begin() as connection:
        count, _ = model.list_jobs(connection, {"resource": other.resource}, order="created desc", limit=9, offset=0)
    assert count == 1


def test_a_run_is_only_found_under_its_own_dataset(scene):
    one = scene()
    two = Scene(one.app, one.people)
    one.job = one.submit()
    path = f"{two.base}/runs/{one.job['id']}"
    for way in (path, f"{path}/live", f"{path}/log.txt", f"{path}/rejects.csv"):
        assert one.get(way, "sysadmin").status_code == 404
    assert one.post(f"{path}/cancel", "sysadmin").status_code == 404
    assert jobs.get(one.job["id"])["status"] == "WAITING"


def test_addresses_by_id_and_by_organisation_lead_to_the_page(scene):
    it = scene()
    org = it.people["organisation"]["name"]
    name, ident = it.dataset["name"], it.dataset["id"]
    for path, there in [
        (f"/dataset/{ident}/actions", it.base),
        (f"/dataset/{ident}/actions/runs/{it.job['id']}", it.run),
        (f"/@{org}/{name}/actions", it.base),
        (f"/@{org}/{ident}/actions/runs/{it.job['id']}", it.run),
    ]:
        answer = it.get(path)
        assert answer.status_code == 302
        assert answer.headers["Location"].replace(config.site_url(), "") == there
    assert it.get(f"/@{org}/nothing-here/actions").status_code == 404


def test_what_is_not_a_type_of_dataset_is_left_to_others(scene):
    it = scene()
    for other in ("nonsense", "organization", "group", "user"):
        assert it.get(f"/{other}/{it.dataset['name']}/actions").status_code == 404


def test_a_dataset_that_does_not_exist_is_not_found(scene):
    it = scene()
    assert it.get("/dataset/nothing-here/actions").status_code == 404
    assert it.get(f"{it.base}/runs/nothing-here").status_code == 404


def test_the_list_filters_by_type(scene):
    it = scene()
    with model.begin() as connection:
        other = {**it.job, "id": "another-type", "job_type": "ANOTHER", "status": "DONE"}
        connection.execute(model.JOB.insert().values(**other))
    assert "another-type" in it.text(it.base)
    only = it.text(f"{it.base}?job_type=LOAD")
    assert 'name="job_type"' in only
    assert "another-type" not in only
    assert it.job["id"] in only


def test_the_list_filters_by_status_resource_and_person(scene):
    it = scene()
    it.fail()
    new = it.submit(user=None)
    assert new["id"] in it.text(it.base)
    assert it.job["id"] in it.text(it.base)
    only = it.text(f"{it.base}?status=FAILED")
    assert it.job["id"] in only
    assert new["id"] not in only
    assert new["id"] not in it.text(f"{it.base}?who=me&resource={it.resource}")
    assert "No run matches this filter." in it.text(f"{it.base}?status=DONE")
    assert new["id"] in it.text(f"{it.base}?status=nonsense&resource=nonsense&job_type=nonsense")


def test_the_list_has_pages_that_keep_the_filter(scene):
    it = scene()
    for number in range(21):
        it.fail()
        it.job = it.submit(mark=str(number))
    page = it.text(f"{it.base}?status=FAILED")
    assert "21 runs" in page
    assert re.search(r'href="[^"]*/actions\?[^"]*page=2', page)
    assert "status=FAILED" in re.search(r'href="([^"]*page=2[^"]*)"', page).group(1)
    assert page.count("data-aircan-status") >= 20
    assert it.get(f"{it.base}?page=x").status_code in (200, 400)


def test_without_runs_the_list_says_what_will_appear(scene):
    it = scene()
    with model.begin() as connection:
        connection.execute(model.JOB.delete())
    assert "Nothing has run yet." in it.text(it.base)
    assert "/actions/submit" in it.text(it.base)
    assert "/actions/submit" not in it.text(it.base, "anonymous")


def test_the_dataset_and_the_resource_page_show_the_newest_run(scene):
    it = scene()
    resource_page = f"/dataset/{it.dataset['name']}/resource/{it.resource}"
    assert "1 active" in it.text(f"/dataset/{it.dataset['name']}")
    it.fail()
    for who, sentence in [("editor", True), ("anonymous", False)]:
        page = it.text(f"/dataset/{it.dataset['name']}", who)
        assert "1 failed" in page
        assert it.run in page
        page = it.text(resource_page, who)
        assert ("do not fit the table" in page) is sentence
        assert it.run in page


def test_a_page_of_the_dataset_makes_one_call_for_its_badges(scene, monkeypatch):
    it = scene()
    calls = []
    latest = model.latest_jobs
    monkeypatch.setattr(model, "latest_jobs", lambda *args: calls.append(args) or latest(*args))
    it.text(f"/dataset/{it.dataset['name']}")
    assert len(calls) == 1


def test_core_pages_live_without_our_tables(scene):
    it = scene()
    with ckan_model.meta.engine.begin() as connection:
        model.JobEvent.__table__.drop(connection)
        model.Job.__table__.drop(connection)
    try:
        assert it.get(f"/dataset/{it.dataset['name']}").status_code == 200
    finally:
        with ckan_model.meta.engine.begin() as connection:
            model.Job.__table__.create(connection)
            model.JobEvent.__table__.create(connection)


def test_refused_rows_can_be_downloaded_and_are_no_formulas(scene):
    it = scene()
    it.fail()
    answer = it.get(f"{it.run}/rejects.csv")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert rows[0] == ["line", "column", "reason", "value", "text of the row"]
    assert rows[1] == ["4211", "", "14 cells, but the header has 19.", "", SECRET]
    assert rows[2][3] == "'=<script>x"


def test_the_log_can_be_downloaded_and_is_text(scene):
    it = scene()
    it.fail()
    answer = it.get(f"{it.run}/log.txt")
    assert answer.mimetype == "text/plain"
    lines = answer.get_data(as_text=True).splitlines()
    assert "Submitted." in lines[0]
    assert "do not fit" in lines[-1]
    assert f"[{SECRET}]" in lines[-1]


def test_the_log_shows_warnings_and_errors_alone_if_asked(scene):
    it = scene()
    it.fail()
    assert "Submitted." in it.text(it.run)
    assert "Submitted." not in it.text(f"{it.run}?level=warning")


def test_looking_at_a_silent_run_has_its_factory_asked_and_does_not_wait(scene, monkeypatch):
    it = scene()
    asked = []
    monkeypatch.setattr(background, "enqueue_refresh", asked.append)
    it.text(it.run)
    assert asked == []
    long_ago = model.now() - timedelta(seconds=config.lease_s() + 1)
    with model.begin() as connection:
        connection.execute(model.JOB.update().values(last_report=long_ago))
    it.text(it.run)
    it.text(it.run + "/live")
    assert asked == [it.job["id"]]
    it.text(it.run + "/live?ask=1")
    assert asked == [it.job["id"]] * 2

    def unavailable(job_id: str) -> None:
        raise FactoryUnavailable(factory="local")

    monkeypatch.setattr(background, "enqueue_refresh", unavailable)
    assert it.get(it.run).status_code == 200


class TestSettings:
    @pytest.mark.parametrize("who", EVERYBODY)
    def test_for_editors_alone(self, scene, who):
        s = scene()
        path = f"{s.base}/settings/{s.resource}"
        expected = 200 if who in EDITORS else 302 if who == "anonymous" else 403
        assert s.get(path, who).status_code == expected
        answer = s.post(path, who, data={"delimiter": ";"})
        kept = helpers.call_action("aircan_settings_show", resource=s.resource)["params"]
        if who in EDITORS:
            assert (answer.status_code, kept) == (302, {"delimiter": ";"})
        else:
            assert (answer.status_code in (302, 403), kept) == (True, {})

    def test_shows_what_was_found_and_what_is_kept(self, scene):
        s = scene()
        s.done(rows=1, delimiter=";", encoding="cp1252", format="csv", fields=[Field("a", "a").to_dict()])
        helpers.call_action("aircan_settings_update", resource=s.resource, params={"header_line": 4})
        text = s.text(f"{s.base}/settings/{s.resource}")
        assert 'placeholder="found last time: semicolon (;)"' in text
        assert 'placeholder="found last time: cp1252"' in text
        assert re.search(r'name="header_line" value="4"', text)

    def test_saves_and_loads_again(self, scene):
        s = scene()
        s.done(rows=1)
        answer = s.post(f"{s.base}/settings/{s.resource}", data={"header_rows": "2", "load": "1"})
        newest = helpers.call_action("aircan_job_list", resource=s.resource)["results"][0]
        assert newest["id"] != s.job["id"]
        assert newest["info"]["params"] == {"header_rows": 2}
        assert answer.headers["Location"].endswith(newest["id"])

    def test_says_what_is_wrong_at_its_field_and_keeps_the_rest(self, scene):
        s = scene()
        answer = s.post(f"{s.base}/settings/{s.resource}", data={"skip_lines": "two", "encoding": "cp1252"})
        text = visible(answer.body)
        assert 'name="skip_lines" value="two"' in text
        assert 'name="encoding" value="cp1252"' in text
        assert "This must be a whole number, 0 or more." in text
        assert helpers.call_action("aircan_settings_show", resource=s.resource)["params"] == {}

    def test_a_resource_of_another_dataset_is_not_found(self, scene):
        s = scene()
        other = ckan_factories.Resource(url="http://example.org/c.dat", format="DAT")
        for answer in (s.get, s.post):
            assert answer(f"{s.base}/settings/{other['id']}").status_code == 404

    def test_behind_the_organisation(self, scene):
        s = scene()
        path = f"/@{s.people['organisation']['name']}/{s.dataset['name']}/actions/settings/{s.resource}"
        assert s.get(path).headers["Location"].endswith(f"{s.base}/settings/{s.resource}")

    def test_a_run_that_a_setting_helps_leads_there(self, scene):
        s = scene()
        s.fail()
        href = f'href="{s.base}/settings/{s.resource}"'
        assert s.text(s.run).count(href) == 2  # the button, and beside what is wrong
        assert href in s.text(s.base)
        assert href not in s.text(s.run, "reader")

    def test_a_run_that_no_setting_helps_does_not(self, scene):
        s = scene()
        jobs.fail(s.job["id"], FactoryUnavailable(factory="local"))
        assert "aircan-change" not in s.text(s.run)


class TestButtonsOfTheList:
    @pytest.mark.parametrize("who", ["anonymous", "reader", "member", "editor"])
    def test_for_editors_alone(self, scene, who):
        s = scene()
        path = s.get(s.base, who).body
        assert (f'formaction="{s.run}/cancel"' in path) == (who in EDITORS)
        assert ('<form method="post" id="aircan-rows">' in path) == (who in EDITORS)

    def test_what_can_be_done_depends_on_the_status(self, scene):
        s = scene()
        s.fail()
        failed = s.text(s.base)
        assert f'formaction="{s.run}/retry"' in failed
        assert "/cancel" not in failed
        jobs.submit(resource=s.resource, dataset=s.dataset["id"], user=None, name="a.csv", mark="n")
        assert s.text(s.base).count("formaction=") == 2

    def test_nothing_for_a_run_that_is_done(self, scene):
        s = scene()
        s.done(rows=1)
        assert "formaction=" not in s.text(s.base)

    def test_two_answers_of_a_living_list_are_equal(self, scene):
        """A token in the list would make it look changed at each look, and the open page would look all the time."""
        s = scene()
        ago = re.compile(r"<time.*?</time>")
        first, second = (ago.sub("", s.text(f"{s.base}/live")) for _ in range(2))
        assert first == second

"""The CSRF check of our POST views, which holds even where CKAN's own is got round (CVE-2026-41255)."""

from __future__ import annotations

import re

import pytest
from ckan.tests import factories as ckan_factories

from ckanext.aircan_connector import jobs

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.ckan_config("WTF_CSRF_ENABLED", True),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_redis"),
]

TOKEN = re.compile(r'name="_csrf_token"[^>]*value="([^"]+)"')
BUTTONS = ["submit", "cancel", "retry", "settings"]


@pytest.fixture
def site(app):
    """A client that is logged in as a sysadmin by session, the addresses of our buttons, and the resource."""
    sysadmin = ckan_factories.Sysadmin(password="a long password")
    dataset = ckan_factories.Dataset(resources=[{"url": "http://example.org/a.csv", "name": "a"}])
    resource = dataset["resources"][0]["id"]
    job = jobs.submit(resource=resource, dataset=dataset["id"], user=None, name="a", mark="m")
    client = app.test_client()
    form = client.get("/user/login").get_data(as_text=True)
    said = {"login": sysadmin["name"], "password": "a long password", "_csrf_token": TOKEN.search(form).group(1)}
    assert client.post("/user/login", data=said, follow_redirects=False).status_code == 302
    base = f"/dataset/{dataset['name']}/actions"
    paths = {name: f"{base}/runs/{job['id']}/{name}" for name in ("cancel", "retry")}
    paths.update(submit=f"{base}/submit", settings=f"{base}/settings/{resource}", page=f"{base}/runs/{job['id']}")
    return app, client, paths, resource, job


@pytest.mark.parametrize("button", BUTTONS)
def test_a_session_without_a_token_is_refused(site, button):
    _, client, paths, resource, job = site
    answer = client.post(paths[button], data={"resource": resource}, follow_redirects=False)
    assert answer.status_code == 400
    assert jobs.get(job["id"])["status"] == "WAITING"


@pytest.mark.parametrize("button", BUTTONS)
def test_also_after_somebody_anonymous_has_asked_for_the_same_view(site, button):
    app, client, paths, resource, job = site
    stranger = app.test_client()
    for ask in (stranger.get, stranger.post):
        assert ask(paths[button], follow_redirects=False).status_code in (302, 403, 404, 405)
    answer = client.post(paths[button], data={"resource": resource}, follow_redirects=False)
    assert answer.status_code == 400
    assert jobs.get(job["id"])["status"] == "WAITING"


def test_the_form_of_the_page_carries_the_token(site):
    _, client, paths, _, job = site
    page = client.get(paths["page"]).get_data(as_text=True)
    form = page[page.index(paths["cancel"]) :]
    answer = client.post(paths["cancel"], data={"_csrf_token": TOKEN.search(form).group(1)}, follow_redirects=False)
    assert answer.status_code == 302
    assert jobs.get(job["id"])["status"] == "CANCELLED"


def test_who_comes_with_an_api_token_needs_none(site):
    app, _, paths, _, job = site
    owner = ckan_factories.SysadminWithToken()
    client = app.test_client()
    headers = {"Authorization": owner["token"]}
    assert client.post(paths["cancel"], headers=headers, follow_redirects=False).status_code == 302
    assert jobs.get(job["id"])["status"] == "CANCELLED"

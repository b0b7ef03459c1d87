"""Fixtures of the tests that run inside CKAN, with a real PostgreSQL, Redis and Solr."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from ckan import model as ckan_model
from ckan import plugins as p
from ckan.lib import app_globals
from ckan.lib import jobs as ckan_jobs
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from passlib.hash import pbkdf2_sha512
from werkzeug.datastructures import FileStorage

from aircan.status import Status
from ckanext.aircan_connector import config, jobs, model, settings

from . import loaded


@pytest.fixture
def with_plugins(ckan_config):
    """The plugins of this test's configuration, loaded anew only if the test before had others."""
    loaded.plugins()


@pytest.fixture(autouse=True)
def _only_plugins_asked_for(request):
    """A test that asks for no plugins meets none."""
    if "with_plugins" not in request.fixturenames:
        loaded.no_plugins()


@pytest.fixture
def make_app(ckan_config):
    """Return a client of CKAN's application, made anew only if this test's configuration differs."""
    app_globals._CONFIG_CACHE.clear()
    return loaded.client


@pytest.fixture(autouse=True, scope="session")
def _quick_declarations():
    """CKAN reads the declarations of all options with each load of plugins; libyaml needs a tenth of the time."""
    slow = yaml.SafeLoader
    yaml.SafeLoader = getattr(yaml, "CSafeLoader", slow)
    yield
    yaml.SafeLoader = slow


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords():
    """Users are made for nearly every test; CKAN's 25,000 rounds for each password are not what is tested."""
    rounds = pbkdf2_sha512.default_rounds
    pbkdf2_sha512.default_rounds = 1
    yield
    pbkdf2_sha512.default_rounds = rounds


@pytest.fixture
def clean_db(with_plugins, migrate_db_for):
    """Empty tables, ours and those of the DataStore included.

    Ours are made once: a migration for each test would take most of its time.
    """
    loaded.empty_tables()
    if p.plugin_loaded("datastore"):
        loaded.empty_datastore()
    there = sa.inspect(ckan_model.meta.engine).get_table_names()
    for plugin, table in (("activity", "activity"), ("aircan_connector", settings.SETTING.name)):
        if p.plugin_loaded(plugin) and table not in there:
            with loaded.same_connections():
                migrate_db_for(plugin)


@pytest.fixture
def clean_queues():
    """Empty background queues; CKAN 2.10 has no fixture of this name."""
    for found in ckan_jobs.get_all_queues():
        found.empty()
        found.delete()


@pytest.fixture
def queue(clean_queues, with_test_worker):
    """Our background queue, empty at the start; call it to work off what is in it."""

    def work() -> None:
        ckan_jobs.Worker([config.queue()]).work(burst=True)

    return work


@pytest.fixture
def submit():
    """Submit a job for resources that need not exist."""

    def make(resource: str = "r1", mark: str = "m1", **kwargs: Any) -> dict[str, Any]:
        given = {"dataset": "d1", "user": None, "name": "a.csv", **kwargs}
        return jobs.submit(resource=resource, mark=mark, **given)

    return make


class People(dict[str, Any]):
    """Users of every kind around an organisation: word -> user dict; each is made when it is first asked for."""

    def __missing__(self, word: str) -> dict[str, Any]:
        self[word] = made = self._make(word)
        return made

    def _make(self, word: str) -> dict[str, Any]:
        if word == "organisation":
            return ckan_factories.Organization()
        if word == "sysadmin":
            return ckan_factories.Sysadmin()
        made = ckan_factories.User()
        if word == "other":
            ckan_factories.Organization(users=[{"name": made["name"], "capacity": "editor"}])
        elif word in ("member", "editor", "admin"):
            given = {"id": self["organisation"]["id"], "username": made["name"], "role": word}
            helpers.call_action("organization_member_create", **given)
        else:
            assert word == "reader", f"nobody is called {word}"
        return made


@pytest.fixture
def people():
    """Users of every kind around a dataset of one organisation."""
    return People()


@pytest.fixture
def upload():
    """Create a resource with an uploaded file, as the API and the web page do."""

    def make(dataset: str, data: bytes, filename: str = "a.csv", user: str | None = None, **kwargs: Any) -> Any:
        given = {"package_id": dataset, "format": "CSV", "name": filename, "url": filename, **kwargs}
        file = FileStorage(io.BytesIO(data), filename)
        context = {"user": user or ckan_factories.Sysadmin()["name"], "ignore_auth": True}
        return helpers.call_action("resource_create", context, upload=file, **given)

    return make


def soon(condition: Callable[[], Any], seconds: float = 60) -> Any:
    """Return the first true answer; fail when there is none in a time that is far longer than it ever takes."""
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f"it did not happen in {seconds} s"
        time.sleep(0.02)
    return answer


def row_of(job_id: str) -> dict[str, Any]:
    """Return a job's row, or fail."""
    row = jobs.get(job_id)
    assert row is not None
    return row


def force(job_id: str, status: Status) -> None:
    """Put a job into a status past the rules, to test moves out of it."""
    with ckan_model.meta.engine.begin() as connection:
        connection.execute(model.JOB.update().where(model.JOB.c.id == job_id).values(status=status.value))

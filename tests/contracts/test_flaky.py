"""A whole load over a way that cuts connections: nothing is lost, nothing is there twice."""

from __future__ import annotations

import io
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from aircan.contract import Publish, Report, Write, Writing, Written
from aircan.ports import never
from aircan.remote import HttpSink, HttpSource, HttpTell
from aircan.status import Status
from aircan.steps.fetch import fetch
from ckanext.aircan_connector import jobs
from tests.ckanext.datastore.conftest import fields, part, parts

from .conftest import IN_CKAN, Site
from .flaky import FlakyWay

pytestmark = IN_CKAN

FIELDS = fields(k="text", n="numeric")


@pytest.fixture(params=[1, 10, 14])
def way(request, served):
    """A way to CKAN on which connections are cut; which, the seed decides."""
    made = FlakyWay(served, seed=request.param)
    yield made
    made.close()


@pytest.fixture
def site(way, gateway, monkeypatch):
    """Sinks whose every request takes this way."""

    def sink(job_id, resource):
        way_of_job = gateway(job_id, way.url)
        way_of_job.ask = _one_by_one(way_of_job)
        return HttpSink(way_of_job)

    return Site(sink, monkeypatch)


def _one_by_one(gateway):
    """Give each request a connection of its own, so that many of them are cut."""
    ask = gateway.ask

    def asked(method, path, told=None, **options):
        headers = {**(options.pop("headers", None) or {}), "Connection": "close"}
        return ask(method, path, told, headers=headers, **options)

    return asked


@pytest.mark.parametrize("writing", [Writing(), Writing(Write.APPEND)], ids=["replace", "append"])
def test_every_row_arrives_once(site, way, query, writing):
    resource = site.resource()
    first = site.sink(resource)
    first.begin(FIELDS)
    first.put(part([["old", 0]]))
    first.publish(rows=1, when=Publish.SEARCHABLE)
    sink = site.sink(resource)
    sink.begin(FIELDS, writing)
    pieces = parts([[f"w{i} " + "x" * 200, i] for i in range(6000)], 500)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(sink.put, pieces))
    total = 6000 + (writing.mode is Write.APPEND)
    assert sink.publish(rows=6000, when=Publish.SEARCHABLE) == Written(total, 6000)
    assert query(f'SELECT count(*), count(DISTINCT k), sum(n) FROM "{resource}"') == [(total, total, sum(range(6000)))]
    assert sum(way.cut.values()) > 0


def test_a_file_arrives_whole_and_reports_are_heard(way, gateway, tmp_path):
    data = random.Random(7).randbytes(1_500_000)
    dataset = ckan_factories.Dataset()["id"]
    resource = helpers.call_action(
        "resource_create",
        {"ignore_auth": True},
        package_id=dataset,
        url="a.bin",
        format="CSV",
        name="a",
        upload=FileStorage(io.BytesIO(data), "a.bin"),
    )
    job = jobs.submit(resource=resource["id"], dataset=dataset, user=None, name="a", mark="m")
    assert jobs.handed_over(job["id"], "elsewhere")
    door = gateway(job["id"], way.url)
    for at in range(5):
        folder = tmp_path / str(at)
        folder.mkdir()
        fetched = fetch(HttpSource(door), folder, limit_bytes=None, stop=never())
        assert fetched.path.read_bytes() == data
        HttpTell(door)(Report(Status.RUNNING, message=f"fetched {at}"))
        door.close()
    assert sum(way.cut.values()) > 0

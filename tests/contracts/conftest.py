"""Fixtures of the contract suites: every sink there is, each over a real CKAN, with a look from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ckan import model as ckan_model
from ckan.tests import factories as ckan_factories

from aircan.contract import Report
from aircan.remote import Gateway, HttpSink
from aircan.remote.patience import Waiting
from aircan.status import Status
from ckanext.aircan_connector import factories, interfaces, jobs
from ckanext.aircan_connector.datastore.sink import DirectSink
from tests.ckanext import serving
from tests.ckanext.conftest import (  # noqa: F401 - fixtures
    _quick_declarations,
    _quick_passwords,
    clean_db,
    clean_queues,
    make_app,
    queue,
    with_plugins,
)
from tests.ckanext.datastore.conftest import database, query  # noqa: F401 - fixtures

IN_CKAN = [
    pytest.mark.ckan_config("ckan.plugins", "datastore datatables_view aircan_connector"),
    pytest.mark.ckan_config("ckan.views.default_views", ""),
    pytest.mark.ckan_config("ckanext.aircan_connector.submit.on_change", False),
    pytest.mark.usefixtures("clean_db", "clean_queues", "with_request_context"),
]
"""Marks of a module whose tests need CKAN."""

Veto = Callable[[dict[str, Any]], None]


class Site:
    """A CKAN in which sinks of one kind write.

    Args:
        sink: returns a sink for a job's id and its resource.
    """

    def __init__(self, sink: Callable[[str, str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self._sink, self._monkeypatch = sink, monkeypatch
        self._jobs: dict[str, str] = {}

    def resource(self) -> str:
        """Return the id of a resource without a table."""
        return str(ckan_factories.Resource(url_type="upload", url="a.csv", format="CSV")["id"])

    def sink(self, resource: str, *, same_job: bool = False) -> Any:
        """Return a sink: of a new job, which ends the job before, or another one of the same job."""
        if not same_job:
            self.end(resource)
            dataset = ckan_model.Resource.get(resource).package_id
            job = jobs.submit(resource=resource, dataset=dataset, user=None, name="a.csv", mark=str(len(self._jobs)))
            assert jobs.handed_over(job["id"], f"dag/{job['id']}")
            self._jobs[resource] = job["id"]
        return self._sink(self._jobs[resource], resource)

    def end(self, resource: str) -> None:
        """Make the resource's job DONE if it has one."""
        if job_id := self._jobs.get(resource):
            jobs.report(job_id, Report(Status.DONE))

    def before_publish(self, look: Veto) -> None:
        """Have every new table looked at before it is published."""
        self._monkeypatch.setattr(interfaces, "before_publish", look)

    def never_wait(self) -> None:
        """Let a swap give up at once when others keep the table busy."""
        self._monkeypatch.setitem(DirectSink.__init__.__kwdefaults__, "max_publish_wait_s", 0.3)


@pytest.fixture
def served(make_app: Any) -> Iterator[str]:  # noqa: F811
    """Serve CKAN's application over real HTTP on loopback; return its address."""
    with serving.served(make_app().app) as url:
        yield url


@pytest.fixture
def gateway(served: str, queue: Callable[[], None]) -> Iterator[Callable[..., Gateway]]:  # noqa: F811
    """Make gateways of jobs. While one waits in this thread, CKAN's background worker works off its queue."""
    made: list[Gateway] = []

    def sleep(seconds: float) -> None:
        if threading.current_thread() is threading.main_thread():
            queue()
        time.sleep(min(seconds, 0.05))

    def make(job_id: str, url: str = served) -> Gateway:
        key = factories.get("local").keys()[0]
        made.append(Gateway(url, job_id, [key], waiting=Waiting(patience_s=300, sleep=sleep, chance=lambda: 0.0)))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(params=["direct", "http"])
def site(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A CKAN with each kind of sink in turn."""
    made: list[DirectSink] = []

    def direct(job_id: str, resource: str) -> DirectSink:
        made.append(DirectSink(job_id, resource, before_publish=lambda table: interfaces.before_publish(table)))
        return made[-1]

    if request.param == "direct":
        yield Site(direct, monkeypatch)
    else:
        gateway = request.getfixturevalue("gateway")
        yield Site(lambda job_id, resource: HttpSink(gateway(job_id)), monkeypatch)
    for sink in made:
        sink.close()


@pytest.fixture
def resource(site: Site) -> str:
    """Id of a resource without a table."""
    return site.resource()

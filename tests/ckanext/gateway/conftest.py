"""Fixtures of the gateway's tests: a job with a file, and a client that holds its run token."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg2
import pytest
from ckan.tests import factories as ckan_factories

from aircan.contract import REPLACE, Field, Part, Writing
from aircan.keys import run_token
from ckanext.aircan_connector import config, factories, jobs

FILE = b"id,name\n1,Ana\n2,Ben\n3,Cleo\n"


@dataclass
class Answer:
    """What came back: status, headers, bytes."""

    status: int
    headers: Any
    data: bytes

    @property
    def json(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.data)

    @property
    def code(self) -> str:
        """The code of the error."""
        return str(self.json["error"]["code"])

    @property
    def facts(self) -> dict[str, Any]:
        """The facts of the error."""
        return dict(self.json["error"]["facts"])


class Worker:
    """A worker outside CKAN: speaks HTTP, holds the run token of one job and nothing else."""

    def __init__(self, app: Any, job_id: str, token: str, resource: str) -> None:
        self._client = app.test_client()
        self.base, self.job_id, self.token, self.resource = f"/api/aircan/v1/jobs/{job_id}", job_id, token, resource

    def ask(self, method: str, door: str, headers: dict[str, str] | None = None, **kwargs: Any) -> Answer:
        """Send a request with the token."""
        kept = {"X-AirCan-Token": self.token, **(headers or {})}
        answer = self._client.open(self.base + door, method=method, headers=kept, follow_redirects=False, **kwargs)
        return Answer(answer.status_code, answer.headers, answer.get_data())

    def begin(self, fields: list[Field], writing: Writing = REPLACE) -> Answer:
        """Declare the hidden table."""
        told = {"fields": [field.to_dict() for field in fields], "writing": writing.to_dict()}
        return self.ask("PUT", "/stage", json=told)

    def put(self, part: Part, *, packed: bool = False, **headers: str) -> Answer:
        """Send a part."""
        kept = {"X-AirCan-Rows": str(part.rows), "Content-Type": "text/csv", **headers}
        if packed:
            kept["Content-Encoding"] = "gzip"
        data = gzip.compress(part.data) if packed else part.data
        return self.ask("PUT", f"/parts/{part.number}", kept, data=data)

    def send(
        self, number: int, rows: int, data: bytes, length: Any, *, packed: bool = False, encoding: str = ""
    ) -> Answer:
        """Send a part with a Content-Length that may lie, None for none, and a Transfer-Encoding."""
        headers = {"X-AirCan-Rows": str(rows), **({"Content-Encoding": "gzip"} if packed else {})}
        environ = {"CONTENT_LENGTH": "" if length is None else str(length), "wsgi.input": io.BytesIO(data)}
        if encoding:
            environ["HTTP_TRANSFER_ENCODING"] = encoding
        return self.ask("PUT", f"/parts/{number}", headers, environ_overrides=environ)

    def publish(self, rows: int, when: str = "searchable") -> Answer:
        """Ask for the publishing."""
        return self.ask("POST", "/publish", json={"rows": rows, "when": when})

    def published(self) -> Any:
        """Return how far the publishing is."""
        return self.ask("GET", "/publish").json


@pytest.fixture
def job(upload, clean_queues):
    """A job that was handed over, with an uploaded file."""
    dataset = ckan_factories.Dataset()["id"]
    resource = upload(dataset, FILE)["id"]
    found = jobs.submit(resource=resource, dataset=dataset, user=None, name="a.csv", mark="another")
    assert jobs.handed_over(found["id"], f"dag/{found['id']}")
    return found


@pytest.fixture
def worker(app, job):
    """A worker with the token of the job."""
    return Worker(app, job["id"], run_token(factories.get("local").keys()[0], job["id"]), job["resource"])


@pytest.fixture
def query(with_plugins: Any) -> Iterator[Any]:
    """Run a statement on the DataStore and return its rows: a look from outside."""
    connection = psycopg2.connect(config.datastore_write_url())
    connection.autocommit = True

    def run(statement: str, *args: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else []

    yield run
    connection.close()

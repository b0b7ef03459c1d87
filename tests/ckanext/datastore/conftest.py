"""Fixtures of the DataStore tests: tables made by us, tables made by the API, and a look at the catalogue."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
import pytest
from ckan.tests import factories, helpers

from aircan.contract import Field, Part, Publish, Type
from ckanext.aircan_connector import config
from ckanext.aircan_connector.datastore.sink import DirectSink

from .. import loaded


@pytest.fixture
def database(with_plugins: Any) -> Iterator[Any]:
    """A connection of the write role that commits by itself: a look from outside."""
    connection = psycopg2.connect(config.datastore_write_url())
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture
def query(database: Any):
    """Run a statement and return its rows."""

    def run(statement: str, *args: Any) -> list[tuple[Any, ...]]:
        with database.cursor() as cursor:
            cursor.execute(statement, args or None)
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def ckan_config(ckan_config: Any) -> Any:
    """Only the DataStore: what our own plugin does with its tables is tested elsewhere."""
    ckan_config["ckan.plugins"] = "datastore datatables_view"
    return ckan_config


_CLEANED = pytest.StashKey[bool]()


@pytest.fixture
def clean_db(with_plugins: Any, reset_db: Any, pytestconfig: Any) -> None:
    """CKAN's tables, emptied once: tests make resources of their own and look at nothing else."""
    if not pytestconfig.stash.get(_CLEANED, False):
        reset_db()
        pytestconfig.stash[_CLEANED] = True


@pytest.fixture(autouse=True)
def _empty(clean_db: Any) -> None:
    """Every test starts with no table in the DataStore."""
    loaded.empty_datastore()


@pytest.fixture
def resource() -> str:
    """Id of a resource without a table."""
    return str(factories.Resource(url_type="upload", url="a.csv", format="CSV")["id"])


@pytest.fixture
def sinks() -> Iterator[Any]:
    """Make sinks; they are closed at the end."""
    made: list[DirectSink] = []

    def make(resource_id: str, **kwargs: Any) -> DirectSink:
        made.append(DirectSink(kwargs.pop("job_id", None) or str(uuid.uuid4()), resource_id, **kwargs))
        return made[-1]

    yield make
    for sink in made:
        sink.close()


@pytest.fixture
def load(sinks: Any):
    """Load rows through a sink as a run does, in parts of at most `size` rows, and return the sink."""

    def run(
        resource_id: str, fields: Sequence[Field], rows: Sequence[Sequence[Any]], size: int = 1000, **kwargs: Any
    ) -> DirectSink:
        when = kwargs.pop("when", Publish.SEARCHABLE)
        sink = sinks(resource_id, **kwargs)
        sink.begin(fields)
        for part in parts(rows, size):
            sink.put(part)
        sink.publish(rows=len(rows), when=when)
        return sink

    return run


def parts(rows: Sequence[Sequence[Any]], size: int = 1000) -> list[Part]:
    """Cut rows into parts; `_id` is 1, 2, ... None is NULL."""
    return [part(rows[at : at + size], number, at + 1) for number, at in enumerate(range(0, len(rows), size))]


def part(rows: Sequence[Sequence[Any]], number: int = 0, first: int = 1) -> Part:
    """Return a part of these rows."""
    out = io.StringIO()
    for row_id, row in enumerate(rows, first):
        cells = ["" if cell is None else '"' + str(cell).replace('"', '""') + '"' for cell in row]
        out.write(",".join([str(row_id), *cells]) + "\n")
    return Part(number, len(rows), out.getvalue().encode())


def fields(**types: str) -> list[Field]:
    """Return fields by name and type: fields(a="text", n="numeric")."""
    return [Field(name, name, Type(kind)) for name, kind in types.items()]


def search(resource_id: str, **kwargs: Any) -> dict[str, Any]:
    """Ask as an anonymous reader would."""
    return helpers.call_action("datastore_search", resource_id=resource_id, **kwargs)


def rows_of(part_: Part) -> list[list[str]]:
    """Return the rows of a part, `_id` first."""
    return list(csv.reader(io.StringIO(part_.data.decode())))

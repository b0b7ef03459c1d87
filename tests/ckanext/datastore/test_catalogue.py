"""A table that we loaded equals, in PostgreSQL's catalogue, one that was made through the API of this CKAN."""

from __future__ import annotations

import json

import ckantoolkit as tk
import pytest
from ckan.tests import factories, helpers

from aircan.contract import Field, Publish, Type

from .catalogue import leftovers, snapshot
from .conftest import fields

KINDS = {
    "a text": "text",
    "n": "numeric",
    "at": "timestamp",
    "d%": "date",
    "B": "bool",
    "ünï": "text",
    "j": "json",
}
FIELDS = fields(**KINDS)
RECORDS = [
    {
        "a text": "Grüße 50% an O'Hara",
        "n": "1.50",
        "at": "2024-02-03T04:05:06",
        "d%": "2024-02-03",
        "B": True,
        "ünï": "x",
        "j": {"a": [1, "two"]},
    },
    {"a text": None, "n": None, "at": None, "d%": None, "B": None, "ünï": None, "j": None},
    {
        "a text": "",
        "n": "-0.001",
        "at": "1999-12-31T23:59:59.123456",
        "d%": "0001-01-01",
        "B": False,
        "ünï": "a-b c_d",
        "j": [1, 2],
    },
    {
        "a text": "http://a.example/b?c=d x@y.example 007 1e5 don't",
        "n": "123456789012345678901234567890.5",
        "at": None,
        "d%": "9999-12-31",
        "B": None,
        "ünï": "line\none",
        "j": "text",
    },
]
ROWS = [
    [
        json.dumps(v) if k == "j" and v is not None else ("true" if v is True else "false" if v is False else v)
        for k, v in record.items()
    ]
    for record in RECORDS
]


@pytest.fixture
def by_api():
    """Make a table through the API and return its resource's id."""

    def make(resource_id: str | None = None, **kwargs) -> str:
        resource_id = resource_id or factories.Resource(url_type="upload", url="a.csv")["id"]
        made = {"fields": [{"id": f.id, "type": f.type.value} for f in FIELDS], "records": RECORDS, **kwargs}
        helpers.call_action("datastore_create", resource_id=resource_id, force=True, **made)
        helpers.call_action("datastore_search", resource_id=resource_id, limit=1)  # writes the count
        return resource_id

    return make


@pytest.mark.parametrize("when", list(Publish))
def test_first_load_equals_datastore_create(query, load, by_api, resource, when):
    load(resource, FIELDS, ROWS, size=2, when=when)
    assert snapshot(query, resource) == snapshot(query, by_api())
    assert leftovers(query) == []


@pytest.mark.parametrize("when", list(Publish))
def test_reload_equals_datastore_create(query, load, by_api, resource, when):
    load(resource, fields(old="text"), [["x"]] * 7)
    load(resource, FIELDS, ROWS, when=when)
    assert snapshot(query, resource) == snapshot(query, by_api())
    assert leftovers(query) == []


@pytest.mark.parametrize("when", list(Publish))
def test_reload_of_a_table_made_by_the_api_keeps_all_that_people_made(query, load, by_api, when, reader_too):
    info = {"label": "Ein Text", "notes": "it's 100%", "type_override": "text"}
    kept = {
        "fields": [{"id": f.id, "type": f.type.value, **({"info": info} if f.id == "a text" else {})} for f in FIELDS],
        "aliases": ["first_alias", "second_alias"],
        "indexes": ["n", ["n", "B"], "j"],
        "primary_key": ["a text"],
        "triggers": [{"function": "noted"}],
    }
    query("CREATE OR REPLACE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$")
    resource_id = by_api(**kept)
    query(f'GRANT INSERT ON "{resource_id}", second_alias TO {reader_too}')
    query(f'GRANT SELECT ON "{resource_id}" TO PUBLIC')
    before = snapshot(query, resource_id)
    sink = load(resource_id, FIELDS, ROWS, when=when)
    assert snapshot(query, resource_id) == before
    assert (sink.warnings, leftovers(query)) == ([], [])


@pytest.fixture
def reader_too() -> str:
    """A role that a table may be opened to."""
    from ckanext.datastore.backend.postgres import get_read_engine

    return str(get_read_engine().url.username)


@pytest.mark.parametrize("when", list(Publish))
def test_empty_table_equals_datastore_create(query, load, by_api, resource, when):
    load(resource, FIELDS, [], when=when)
    assert snapshot(query, resource) == snapshot(query, by_api(records=[]))


@pytest.mark.parametrize("rows", [ROWS, []])
def test_vectors_equal_those_of_the_api_row_by_row(query, load, by_api, resource, rows):
    load(resource, FIELDS, rows, size=1)
    theirs = by_api(records=RECORDS if rows else [])
    differing = query(
        f'SELECT a._id, a._full_text, b._full_text FROM "{resource}" a FULL JOIN "{theirs}" b USING (_id) '
        "WHERE a._full_text::text IS DISTINCT FROM b._full_text::text"
    )
    assert differing == []


@pytest.mark.parametrize("method", ["gin", "gist"])
def test_index_method_is_the_option(query, load, by_api, resource, monkeypatch, method):
    monkeypatch.setitem(tk.config, "ckan.datastore.default_fts_index_method", method)
    load(resource, FIELDS, ROWS)
    found = snapshot(query, resource)
    assert found == snapshot(query, by_api())
    assert any(f"USING {method}" in row[1] for row in found["indexes"])


def test_columns_indexed_for_search_are_the_option(query, load, by_api, resource, monkeypatch):
    monkeypatch.setitem(tk.config, "ckan.datastore.default_fts_index_field_types", ["text", "numeric"])
    load(resource, FIELDS, ROWS)
    assert snapshot(query, resource) == snapshot(query, by_api())


def test_two_hundred_columns_equal_those_of_the_api(query, load, by_api, resource):
    many = [Field(f"c{i}", f"c{i}", Type.TEXT) for i in range(200)]
    load(resource, many, [[f"v{i}" if i % 3 else None for i in range(200)], [None] * 200, [""] * 200])
    theirs = by_api(
        fields=[{"id": f.id, "type": "text"} for f in many],
        records=[{f"c{i}": f"v{i}" if i % 3 else None for i in range(200)}, {"c0": None}, {f.id: "" for f in many}],
    )
    assert snapshot(query, resource) == snapshot(query, theirs)
    assert query(f'SELECT _full_text::text FROM "{resource}" ORDER BY _id') == query(
        f'SELECT _full_text::text FROM "{theirs}" ORDER BY _id'
    )

"""Everything that CKAN does with a table works on one that we loaded, at once and after a reload."""

from __future__ import annotations

import json

import pytest
from ckan.tests import factories, helpers

from aircan.contract import Publish

from .conftest import fields, search

FIELDS = fields(word="text", n="numeric", at="timestamp", ok="bool", js="json")
ROWS = [[f"word{i} common", i, f"2024-01-{i:02}T00:00:00", "true", json.dumps({"k": i})] for i in range(1, 31)]


@pytest.fixture(params=[(Publish.COMPLETE, False), (Publish.SEARCHABLE, True)], ids=["first", "again"])
def table(request, load, resource) -> str:
    """A table of 30 rows, loaded once or twice."""
    when, again = request.param
    if again:
        load(resource, fields(word="text", other="numeric"), [["old", 1]], when=when)
    load(resource, FIELDS, ROWS, when=when)
    return resource


def call(action, table, **kwargs):
    return helpers.call_action(action, resource_id=table, force=True, **kwargs)


def test_search_by_text_filter_order_and_total(table):
    assert search(table)["total"] == 30
    assert [r["_id"] for r in search(table, q="word7")["records"]] == [7]
    assert search(table, q="common")["total"] == 30
    assert search(table, q="true", plain=True)["total"] == 30
    assert [r["_id"] for r in search(table, q={"word": "word8"})["records"]] == [8]
    assert [r["_id"] for r in search(table, filters={"n": 9})["records"]] == [9]
    assert [r["_id"] for r in search(table, sort="n desc", limit=2)["records"]] == [30, 29]
    assert [r["_id"] for r in search(table, offset=28)["records"]] == [29, 30]
    assert search(table, filters={"n": 3})["records"][0]["js"] == {"k": 3}


def test_search_by_sql(table, ckan_config):
    ckan_config["ckan.datastore.sqlsearch.enabled"] = True
    found = helpers.call_action("datastore_search_sql", sql=f'SELECT sum(n) AS s FROM "{table}"')
    assert int(found["records"][0]["s"]) == sum(range(1, 31))


def test_insert_gets_the_next_id_and_is_found(table):
    call("datastore_upsert", table, method="insert", records=[{"word": "brandnew", "js": {"k": "deep"}}])
    found = search(table, q="brandnew")
    assert [(r["_id"], r["js"]) for r in found["records"]] == [(31, {"k": "deep"})]
    assert search(table, q="deep")["total"] == 1
    assert search(table)["total"] == 31


def test_upsert_needs_a_key_that_can_be_added(table):
    call("datastore_create", table, primary_key="n")
    call("datastore_upsert", table, records=[{"n": 5, "word": "changed"}, {"n": 99, "word": "added"}])
    assert search(table, filters={"n": 5})["records"][0]["word"] == "changed"
    assert search(table, q="added")["total"] == 1
    assert search(table)["total"] == 31


def test_an_updated_row_is_found_by_its_new_words_only(table):
    call("datastore_create", table, primary_key="n")
    call("datastore_upsert", table, method="update", records=[{"n": 5, "word": "changed"}])
    assert search(table, q="changed")["records"][0]["_id"] == 5
    assert search(table, q="word5")["total"] == 0


def test_delete_rows_and_the_table(table, query):
    call("datastore_delete", table, filters={"n": 5})
    assert search(table)["total"] == 29
    call("datastore_delete", table)
    assert query("SELECT to_regclass(%s)", f'"{table}"') == [(None,)]


def test_info_and_create_on_it(table):
    helpers.call_action(
        "datastore_create",
        resource_id=table,
        force=True,
        fields=[
            {"id": "word", "type": "text", "info": {"label": "The word"}},
            *({"id": f.id, "type": f.type.value} for f in FIELDS[1:]),
            {"id": "more", "type": "text"},
        ],
    )
    info = helpers.call_action("datastore_info", id=table)
    found = {f["id"]: f for f in info["fields"]}
    assert list(found) == ["word", "n", "at", "ok", "js", "more"]
    assert found["word"]["info"]["label"] == "The word"
    assert (info["meta"]["id"], info["meta"]["count"]) == (table, 30)


def test_dump_and_dictionary_page(table, app):
    user = factories.SysadminWithToken()
    headers = {"Authorization": user["token"]}
    helpers.call_action("resource_patch", id=table, datastore_active=True)
    dumped = app.get(f"/datastore/dump/{table}", headers=headers).body.splitlines()
    assert (len(dumped), dumped[0].lstrip("\ufeff")) == (31, "_id,word,n,at,ok,js")
    assert dumped[30].startswith("30,word30 common,30,2024-01-30T00:00:00")
    dataset = helpers.call_action("resource_show", id=table)["package_id"]
    page = app.get(f"/dataset/{dataset}/dictionary/{table}", headers=headers)
    assert page.status_code == 200
    assert "word" in page.body

"""What people wrote in the data dictionary, and what they attached to a table, survives reloads."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan.tests import helpers

from aircan.contract import Field, Type
from aircan.errors import TableInUse
from ckanext.aircan_connector.datastore import dictionary

from .catalogue import leftovers, oid_of
from .conftest import fields, search

FIELDS = fields(a="text", b="numeric")
ROWS = [["x", 1], ["y", 2]]


def write(resource_id, **infos):
    """Fill the data dictionary as its page does."""
    listed = [{"id": f["id"], "type": f["type"]} for f in search(resource_id)["fields"] if f["id"] != "_id"]
    for field in listed:
        if info := infos.get(field["id"]):
            field["info"] = info
    helpers.call_action("datastore_create", resource_id=resource_id, force=True, fields=listed)


def comments(query, resource_id):
    return dict(
        query(
            "SELECT a.attname, d.description FROM pg_description d JOIN pg_attribute a ON a.attrelid = d.objoid "
            "AND a.attnum = d.objsubid WHERE d.objoid = %s",
            oid_of(query, resource_id),
        )
    )


def test_dictionary_survives_reloads_with_columns_added_and_removed(load, query, resource):
    load(resource, FIELDS, ROWS)
    write(resource, a={"label": "Das A", "notes": "it's 50% {x}"}, b={"label": "B"})
    before = comments(query, resource)
    load(resource, fields(c="text", a="text"), [["new", "x"]])
    assert comments(query, resource) == {"a": before["a"]}
    found = {f["id"]: f.get("info") for f in search(resource)["fields"]}
    assert found["a"]["label"] == "Das A"
    assert found["c"] is None


EVERYTHING = {
    "label": 'Größe "A"',
    "notes": "# two\n\nlines, 100% {x} 'y' \\\\ %s",
    "type_override": "text",
    "unit": "m²",
}
"""What the page of the dictionary writes (label, notes, type_override), and a key of somebody else's."""


@pytest.mark.parametrize(
    "columns",
    [
        fields(a="text", b="numeric"),
        fields(b="text", a="numeric"),
        fields(x="date", a="text", y="text"),
        fields(a="json"),
    ],
    ids=["the same", "another order and other types", "others around it", "another type alone"],
)
def test_all_that_a_dictionary_holds_survives_any_change_around_it(load, query, resource, columns):
    load(resource, FIELDS, ROWS)
    write(resource, a=EVERYTHING)
    before = comments(query, resource)["a"]
    load(resource, columns, [[None] * len(columns)])
    assert comments(query, resource)["a"] == before
    shown = {f["id"]: f for f in helpers.call_action("datastore_info", id=resource)["fields"]}["a"]["info"]
    assert shown == EVERYTHING
    assert dictionary.type_overrides(resource) == {"a": Type.TEXT}


def test_private_data_of_other_plugins_survives(load, query, resource):
    load(resource, FIELDS, ROWS)
    raw = ' {"_info":{"label":"A"},"other":{"secret":[1,2]}}'
    query(f'COMMENT ON COLUMN "{resource}".a IS %s', raw)
    load(resource, FIELDS, ROWS)
    assert comments(query, resource) == {"a": raw}


def test_comments_that_are_no_dictionary_survive(load, query, resource):
    load(resource, FIELDS, ROWS)
    query(f'COMMENT ON COLUMN "{resource}".a IS %s', "by hand")
    query(f'COMMENT ON TABLE "{resource}" IS %s', "the table")
    load(resource, FIELDS, ROWS)
    assert comments(query, resource) == {"a": "by hand"}
    assert query("SELECT obj_description(%s, 'pg_class')", oid_of(query, resource)) == [("the table",)]


def test_a_new_column_keeps_its_header_as_label(load, resource):
    load(resource, [Field("rate_pct", "Rate 100% 'net'", Type.TEXT), Field("b", "b", Type.NUMERIC)], ROWS)
    found = {f["id"]: f.get("info") for f in search(resource)["fields"]}
    assert found == {"_id": None, "rate_pct": {"label": "Rate 100% 'net'"}, "b": None}
    write(resource, rate_pct={"label": "by a person"})
    load(resource, [Field("rate_pct", "Rate 100% 'net'", Type.TEXT), Field("b", "b", Type.NUMERIC)], ROWS)
    assert search(resource)["fields"][1]["info"]["label"] == "by a person"


def test_the_label_is_in_this_versions_form(load, query, resource):
    load(resource, [Field("a", "The A"), Field("b", "b", Type.NUMERIC)], ROWS)
    new = tk.check_ckan_version(min_version="2.11")
    assert comments(query, resource) == {"a": ' {"_info":{"label":"The A"}}' if new else '{"label": "The A"}'}


def test_the_columns_of_a_table_are_told_with_their_types(load, query, sinks, resource):
    sink = sinks(resource)
    assert sink.columns() is None
    load(resource, fields(a="text", n="numeric", t="timestamp", d="date", b="bool", j="json"), [])
    assert [(f.id, f.type.value, dict(f.reason)) for f in sink.columns()] == [
        (name, kind, {"code": "table"})
        for name, kind in zip("antdbj", ("text", "numeric", "timestamp", "date", "bool", "json"), strict=True)
    ]
    query(f'ALTER TABLE "{resource}" ADD COLUMN i int, ADD COLUMN w text[], ADD COLUMN z timestamptz')
    assert [(f.type.value, f.reason["type"]) for f in sink.columns()[-3:]] == [
        ("numeric", "integer"),
        ("text", "text[]"),
        ("timestamp", "timestamp with time zone"),
    ]


def test_type_overrides(load, query, resource):
    assert dictionary.type_overrides(resource) == {}
    load(resource, fields(a="text", b="text", c="text", d="text", e="text"), [["1"] * 5])
    write(
        resource,
        a={"type_override": "numeric"},
        b={"type_override": "timestamp"},
        c={"type_override": "nonsense"},
        d={"label": "no type"},
    )
    query(f'COMMENT ON COLUMN "{resource}".e IS %s', "[1]")
    assert dictionary.type_overrides(resource) == {"a": Type.NUMERIC, "b": Type.TIMESTAMP}


@pytest.mark.parametrize("form", ['{"type_override": "%s"}', ' {"_info":{"type_override":"%s"},"x":{}}'])
@pytest.mark.parametrize(("word", "kind"), [("bool", Type.BOOLEAN), ("date", Type.DATE), ("json", Type.JSON)])
def test_both_forms_of_comments_are_read(load, query, resource, form, word, kind):
    load(resource, FIELDS, ROWS)
    query(f'COMMENT ON COLUMN "{resource}".a IS %s', form % word)
    assert dictionary.type_overrides(resource) == {"a": kind}


def test_a_dictionary_changed_while_the_load_runs_is_not_lost(sinks, resource, load, query):
    from aircan.contract import Publish

    from .conftest import part

    load(resource, FIELDS, ROWS)
    sink = sinks(resource, before_publish=lambda _table: write(resource, a={"label": "late"}))
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    sink.publish(rows=2, when=Publish.COMPLETE)
    assert search(resource)["fields"][1]["info"]["label"] == "late"


def test_aliases_survive_also_when_the_columns_change(load, resource):
    load(resource, FIELDS, ROWS)
    helpers.call_action("datastore_create", resource_id=resource, force=True, aliases=["one_alias", "two_alias"])
    load(resource, fields(c="text"), [["only"]])
    for name in ("one_alias", "two_alias"):
        found = search(name)
        assert [r["c"] for r in found["records"]] == ["only"]
    assert helpers.call_action("datastore_info", id=resource)["meta"]["aliases"] in (
        ["one_alias", "two_alias"],
        ["two_alias", "one_alias"],
    )


def test_an_alias_made_before_a_column_was_added_is_still_an_alias(load, resource, query):
    load(resource, FIELDS, ROWS)
    helpers.call_action("datastore_create", resource_id=resource, force=True, aliases="an_alias")
    query(f'ALTER TABLE "{resource}" ADD COLUMN late text')
    load(resource, FIELDS, ROWS)
    assert search("an_alias")["total"] == 2


@pytest.mark.parametrize(
    "statement",
    [
        'CREATE VIEW filtered AS SELECT * FROM "{}" WHERE b > 1',
        'CREATE VIEW renamed AS SELECT a AS other FROM "{}"',
        'CREATE MATERIALIZED VIEW kept AS SELECT * FROM "{}"',
        'CREATE VIEW one AS SELECT * FROM "{}"; CREATE VIEW above AS SELECT * FROM one',
        'CREATE TABLE child () INHERITS ("{}")',
        'CREATE TABLE referring (r int REFERENCES "{}" (_id))',
        'CREATE TABLE typed (r "{}")',
    ],
)
def test_what_others_built_on_the_table_is_not_lost(load, sinks, resource, query, statement):
    load(resource, FIELDS, ROWS)
    oid = oid_of(query, resource)
    query(statement.format(resource))
    with pytest.raises(TableInUse) as caught:
        sinks(resource).begin(FIELDS)
    assert caught.value.facts["objects"]
    assert (oid_of(query, resource), leftovers(query)) == (oid, [])


def test_a_view_built_while_the_load_runs_stops_the_swap(load, sinks, resource, query):
    from aircan.contract import Publish

    from .conftest import part

    load(resource, FIELDS, ROWS)
    oid = oid_of(query, resource)
    sink = sinks(resource)
    sink.begin(FIELDS)
    sink.put(part(ROWS))
    query(f'CREATE VIEW filtered AS SELECT * FROM "{resource}" WHERE b > 1')
    with pytest.raises(TableInUse, match="filtered"):
        sink.publish(rows=2, when=Publish.SEARCHABLE)
    assert oid_of(query, resource) == oid


def test_a_view_under_the_resources_name_is_not_replaced(sinks, resource, query):
    query(f'CREATE VIEW "{resource}" AS SELECT 1 AS x')
    with pytest.raises(TableInUse):
        sinks(resource).begin(FIELDS)


def test_an_index_whose_column_is_gone_is_a_warning(load, resource):
    load(resource, FIELDS, ROWS)
    helpers.call_action("datastore_create", resource_id=resource, force=True, indexes=["b"], primary_key=["a"])
    sink = load(resource, fields(a="text", c="numeric"), [["x", 1], ["x", 2]])
    assert [(w["code"], w["definition"]) for w in sink.warnings] == [
        ("index_lost", "USING btree (b)"),
        ("index_lost", "USING btree (a)"),
    ]
    assert search(resource)["total"] == 2


def test_a_persons_trigger_changes_the_rows_of_a_load(load, query, resource):
    load(resource, FIELDS, ROWS)
    query(
        "CREATE OR REPLACE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN NEW.a := upper(NEW.a) || ' loud'; RETURN NEW; END $$"
    )
    helpers.call_action("datastore_create", resource_id=resource, force=True, triggers=[{"function": "shout"}])
    load(resource, FIELDS, ROWS)
    assert [r["a"] for r in search(resource)["records"]] == ["X loud", "Y loud"]
    assert search(resource, q="loud")["total"] == 2

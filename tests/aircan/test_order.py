"""The order, held to its JSON Schemas: what is written fits the newest, and each version is read."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from aircan.contract import VERSION, Dataset, Order, Resource, Type
from aircan.errors import OrderRefused, OrderTooNew
from aircan.frictionless import READ, TYPES, slug, without_login

ROOT = Path(__file__).parent.parent.parent
ORDERS = ROOT / "tests" / "contracts" / "orders"
VERSIONS = range(1, VERSION + 1)


def schema(version):
    return json.loads((ROOT / "docs" / f"order-{version}.schema.json").read_text(encoding="utf-8"))


def example(kind, version):
    return json.loads((ORDERS / f"{kind}-{version}.json").read_text(encoding="utf-8"))


def errors(order, version=VERSION):
    validator = jsonschema.Draft202012Validator(schema(version))
    return [error.message for error in validator.iter_errors(order)]


@pytest.fixture
def order():
    return example("upload", VERSION)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_schema_is_one_itself(version):
    jsonschema.Draft202012Validator.check_schema(schema(version))


@pytest.mark.parametrize("kind", ["upload", "link"])
@pytest.mark.parametrize("version", VERSIONS)
def test_an_example_fits_its_version_and_no_other(kind, version):
    found = example(kind, version)
    assert errors(found, version) == []
    assert all(errors(found, other) for other in VERSIONS if other != version)


@pytest.mark.parametrize("kind", ["upload", "link"])
def test_every_version_is_read_into_the_same_order(kind):
    read = [Order.from_dict(example(kind, version)) for version in VERSIONS]
    assert all(order == read[0] for order in read)
    assert read[0].to_dict() == example(kind, VERSION)


def test_what_is_read_is_what_was_meant():
    order = Order.from_dict(example("upload", 1))
    assert order.resource.title == "Niederschläge 2024 (täglich).csv"
    assert order.resource.types == {
        "code": Type.TEXT,
        "mm": Type.NUMERIC,
        "at": Type.TIMESTAMP,
        "on": Type.DATE,
        "wet": Type.BOOLEAN,
        "raw": Type.JSON,
    }
    assert (order.params["key"], order.dataset.name, order.site_url) == (
        ["id"],
        "rainfall",
        "https://data.example.org/data",
    )


def test_an_order_goes_to_words_and_back():
    resource = Resource("r1", "a", "A", "a.csv", "CSV", "text/csv", 7, "upload", types={"x": Type.BOOLEAN})
    order = Order("6f9619ff-8b86-4d01-b42d-00c04fc964ff", "LOAD", resource, Dataset("d", "d", "D"), {"strip": True})
    assert errors(order.to_dict()) == []
    assert Order.from_dict(json.loads(json.dumps(order.to_dict()))) == order


@pytest.mark.parametrize(
    ("name", "value"),
    [("contract", 1), ("job_id", "1"), ("job_type", "load"), ("site_url", "ckan"), ("params", []), ("key", "x")],
)
def test_the_schema_is_strict_about_an_order(order, name, value):
    order[name] = value
    assert errors(order)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "Not a slug"),
        ("headers", {"Authorization": "x"}),
        ("path", "https://me:mine@example.org/a.csv"),
        ("bytes", -1),
        ("mediatype", ""),
        ("schema", {"fields": []}),
        ("schema", {"fields": [{"name": "a", "type": "numeric"}]}),
    ],
)
def test_the_schema_is_strict_about_a_resource(order, name, value):
    order["resource"][name] = value
    assert errors(order)


@pytest.mark.parametrize("name", ["password", "api_key", "X-Token", "clientSecret"])
def test_the_schema_refuses_params_that_sound_secret(order, name):
    order["params"][name] = "x"
    assert errors(order)


@pytest.mark.parametrize("name", sorted(schema(VERSION)["required"]))
def test_the_schema_misses_what_is_missing(order, name):
    del order[name]
    assert errors(order)


def test_an_order_of_a_later_version_is_refused_by_name(order):
    order["contract"] = VERSION + 1
    with pytest.raises(OrderTooNew) as caught:
        Order.from_dict(order)
    assert caught.value.facts == {"field": "contract", "version": VERSION + 1, "newest": VERSION}
    assert isinstance(caught.value, OrderRefused)
    assert str(VERSION + 1) in caught.value.message


@pytest.mark.parametrize("version", [0, -1, "2", 2.0, True, None])
def test_a_version_that_is_none_is_refused(order, version):
    with pytest.raises(OrderRefused) as caught:
        Order.from_dict({**order, "contract": version})
    assert caught.value.facts["field"] == "contract"


def test_an_order_by_hand_need_not_say_its_version(order):
    named = copy.deepcopy(order)
    del named["contract"]
    assert Order.from_dict(named) == Order.from_dict(order)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("job_id", "", "job_id"),
        ("job_type", None, "job_type"),
        ("resource", None, "resource"),
        ("resource", "x", "resource"),
        ("dataset", ["x"], "dataset"),
        ("params", "x", "params"),
        ("resource.id", "", "resource.id"),
        ("resource.schema", {"fields": [{"name": "a", "type": "complex"}]}, "resource.schema.fields"),
        ("resource.schema", {"fields": [{"type": "string"}]}, "resource.schema.fields"),
        ("resource.schema", {"fields": ["a"]}, "resource.schema.fields"),
    ],
)
def test_a_wrong_field_is_named(order, path, value, field):
    *above, name = path.split(".")
    place = order
    for step in above:
        place = place[step]
    place[name] = value
    with pytest.raises(OrderRefused) as caught:
        Order.from_dict(order)
    assert caught.value.facts["field"] == field


def test_types_of_table_schema_that_are_wider_than_ours(order):
    given = ["integer", "year", "array", "time", "any"]
    order["resource"]["schema"] = {"fields": [{"name": name, "type": name} for name in given]}
    types = Order.from_dict(order).resource.types
    assert types == {"integer": Type.NUMERIC, "year": Type.NUMERIC, "array": Type.JSON, "time": Type.TEXT}


def test_every_type_has_its_word():
    assert {Type(READ[TYPES[kind.value]]) for kind in Type} == set(Type)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Größe (m).csv", "grosse-m.csv"),
        ("  A -- b _ c.CSV ", "a-b-_-c.csv"),
        ("降水量", "11-22"),
        ("...", "11-22"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_slug_of_a_title(text, name):
    assert slug(text, "11-22") == name


def test_a_slug_of_nothing_at_all():
    assert slug("", "") == "resource"


def test_no_secret_of_a_resource_is_written():
    resource = Resource("r1", path="https://me:mine@example.org/a.csv?x=1", headers={"X-Key": "geheim"})
    order = Order("j", "LOAD", resource, Dataset("d"), site_url="https://you:yours@ckan.example.org")
    written = json.dumps(order.to_dict()) + repr(Resource("r1", headers={"X-Key": "geheim"}))
    assert not [secret for secret in ("mine", "yours", "geheim", "me:", "you:") if secret in written]
    assert "https://example.org/a.csv?x=1" in written


@pytest.mark.parametrize(
    ("url", "shown"),
    [("a.csv", "a.csv"), ("me@home.csv", "me@home.csv"), ("http://h/a@b", "http://h/a@b"), ("http://[u:p@x", "x")],
)
def test_only_a_login_is_taken_out_of_an_address(url, shown):
    assert without_login(url) == shown

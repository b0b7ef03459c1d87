"""A load through CKAN's own API, over HTTP, into a CKAN that has nothing of ours."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from ckan.tests import factories, helpers

from aircan.apisink import ApiSink
from aircan.ckanapi import CkanApi
from aircan.contract import Dataset, Field, Order, Publish, Resource, Type
from aircan.errors import ApiRefused, DatastoreUnavailable, RowsMissing, TableUnfinished, ValueRefused
from aircan.net.sources import FileSource
from aircan.run import run
from aircan.status import Status

from ..serving import Proxy, served
from .catalogue import snapshot
from .conftest import fields, parts, search

FIELDS = fields(t="text", n="numeric", d="date", s="timestamp", b="bool")
ROWS = [
    ["a", "1.50", "2026-11-21", "2026-11-21T10:00:00.123456", "true"],
    ["", "0.1", None, None, "false"],
    [None, "12345678901234567890.12345678901234567890", "0001-01-01", "9999-12-31T23:59:59", None],
    ['"quoted", and\na line', "-7", "1999-02-28", "1970-01-01T00:00:00", "true"],
]


@pytest.fixture
def proxy(clean_db, make_app) -> Proxy:
    return Proxy(make_app().app)


@pytest.fixture
def server(proxy) -> Iterator[str]:
    with served(proxy) as url:
        yield url


@pytest.fixture
def editor() -> dict[str, Any]:
    return factories.User()


@pytest.fixture
def resource(editor) -> str:
    organisation = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    dataset = factories.Dataset(owner_org=organisation["id"])
    made = factories.Resource(package_id=dataset["id"], url_type="upload", url="a.csv", format="CSV")
    return str(made["id"])


@pytest.fixture
def token(editor) -> str:
    return str(
        helpers.call_action("api_token_create", {"user": editor["name"]}, user=editor["name"], name="t")["token"]
    )


@pytest.fixture
def api(server, token) -> CkanApi:
    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += seconds

    return CkanApi(server, token, patience_s=60, settle_s=4, clock=lambda: slept[0], sleep=sleep)


@pytest.fixture
def send(api, resource, tmp_path):
    """Load rows through the API, a few a request."""

    def run_(rows, columns=FIELDS, **kwargs):
        sink = ApiSink(api, resource, tmp_path / "parts", **{"batch_rows": 2, **kwargs})
        sink.begin(columns)
        for one in parts(rows, 3):
            sink.put(one)
        return sink.publish(rows=len(rows), when=Publish.SEARCHABLE)

    return run_


def texts(query, table, order="_id"):
    names = ", ".join(f"{f.id}::text" for f in FIELDS)
    return query(f'SELECT {names} FROM "{table}" ORDER BY {order}')


def test_a_table_made_through_the_api_equals_one_of_a_direct_load(send, load, query, resource):
    send(ROWS)
    other = str(factories.Resource()["id"])
    load(other, FIELDS, ROWS)
    assert texts(query, resource) == texts(query, other)
    ours, theirs = snapshot(query, resource), snapshot(query, other)
    assert {name: ours[name] for name in ours if name != "indexes"} == {
        name: theirs[name] for name in theirs if name != "indexes"
    }
    assert sorted(index[1:] for index in ours["indexes"]) == sorted(index[1:] for index in theirs["indexes"])
    assert [r["_id"] for r in search(resource)["records"]] == [1, 2, 3, 4]


def test_ckan_knows_of_the_table(send, resource):
    send(ROWS)
    assert helpers.call_action("resource_show", id=resource)["datastore_active"] is True
    assert search(resource)["total"] == 4
    assert search(resource, q="quoted")["total"] == 1
    views = helpers.call_action("resource_view_list", id=resource)
    assert "datatables_view" in [view["view_type"] for view in views]


@pytest.mark.parametrize("number", ["0.1", "1e400", "12345678901234567890", "0.10000000000000000001", "-7.50"])
def test_numbers_keep_every_digit(send, query, resource, number):
    send([[number]], fields(n="numeric"))
    assert query(f'SELECT n FROM "{resource}"')[0][0] == Decimal(number)


def test_nothing_and_empty_text_are_two_things(send, query, resource):
    send([["", "1"], [None, None]], fields(t="text", n="numeric"))
    assert query(f'SELECT t, n FROM "{resource}" ORDER BY _id') == [("", 1), (None, None)]


def test_nested_values_are_nested(send, query, resource):
    send([['{"a": [1, "x"]}'], [None]], fields(j="json"))
    assert query(f'SELECT (j).json FROM "{resource}" ORDER BY _id') == [({"a": [1, "x"]},), (None,)]


def test_a_renamed_column_keeps_its_label(send, resource):
    send([["1"]], [Field("a_2", "a", Type.NUMERIC)])
    assert [f.get("info") for f in search(resource)["fields"] if f["id"] == "a_2"] == [{"label": "a"}]


def test_the_columns_that_are_there_are_known(send, api, resource, tmp_path):
    sink = ApiSink(api, resource, tmp_path)
    assert sink.columns() is None
    send(ROWS)
    assert [(f.id, f.type) for f in sink.columns()] == [(f.id, f.type) for f in FIELDS]


def test_a_persons_types_are_known(api, resource, tmp_path):
    given = [{"id": "a", "type": "numeric", "info": {"type_override": "text"}}, {"id": "b", "type": "text"}]
    helpers.call_action("datastore_create", resource_id=resource, fields=given, force=True)
    assert ApiSink(api, resource, tmp_path).persons_types() == {"a": Type.TEXT}


def test_the_same_columns_are_filled_anew_and_everything_else_stays(send, query, resource):
    send(ROWS)
    query(f'COMMENT ON COLUMN "{resource}".t IS %s', ' {"_info":{"notes":"mine"}}')
    before = query("SELECT %s::regclass::oid::bigint", f'"{resource}"')
    send(ROWS[:3])
    assert query("SELECT %s::regclass::oid::bigint", f'"{resource}"') == before
    assert [row[0] for row in texts(query, resource)] == ["a", "", None]
    assert search(resource)["total"] == 3


def test_other_columns_make_another_table_that_keeps_dictionary_and_aliases(send, query, resource):
    given = [{"id": "t", "type": "numeric", "info": {"notes": "mine"}}, {"id": "gone", "type": "text"}]
    helpers.call_action("datastore_create", resource_id=resource, fields=given, force=True, aliases=["also"])
    send(ROWS)
    found = search("also")
    assert [(f["id"], f.get("info")) for f in found["fields"][:3]] == [
        ("_id", None),
        ("t", {"notes": "mine"}),
        ("n", None),
    ]
    assert found["total"] == 4


def test_an_old_table_is_not_deleted_for_one_that_ckan_may_fail_to_make(send, query, resource):
    send(ROWS)
    with pytest.raises(ApiRefused) as caught:
        send([["x"]], [Field("price :eur", "price :eur", Type.TEXT)])
    assert "price :eur" in caught.value.facts["reason"]
    assert len(texts(query, resource)) == 4


@pytest.mark.parametrize("name", ["a:b", "100%", "50% off", "x(y)", "select", "a.b", "a,b", "ä ö"])
def test_names_with_signs_are_names(send, query, resource, name):
    for value in ("v:w %s", "v2"):
        send([[value]], [Field(name, name, Type.TEXT)])
        assert [row[2] for row in query(f'SELECT * FROM "{resource}"')] == [value]


@pytest.mark.parametrize("sent", [0, 1])
def test_a_failure_in_the_middle_leaves_the_old_rows_alone(send, query, proxy, resource, sent):
    send(ROWS)
    before = texts(query, resource)
    done = proxy.asked.count("insert")
    proxy.plan = lambda action, number: 400 if action == "insert" and number == done + 1 + sent else None
    with pytest.raises(ApiRefused):
        send(ROWS)
    assert texts(query, resource) == before
    assert search(resource)["total"] == 4


def test_a_failure_in_the_middle_of_the_first_load_leaves_no_table(send, query, proxy, resource):
    proxy.plan = lambda action, number: 400 if action == "insert" and number == 2 else None
    with pytest.raises(ApiRefused):
        send(ROWS)
    assert query("SELECT to_regclass(%s)", f'"{resource}"') == [(None,)]
    assert not helpers.call_action("resource_show", id=resource).get("datastore_active")


def test_a_failure_after_the_old_table_went_says_so(send, proxy, resource):
    helpers.call_action("datastore_create", resource_id=resource, fields=[{"id": "x", "type": "text"}], force=True)
    proxy.plan = lambda action, number: 400 if action == "insert" and number == 2 else None
    with pytest.raises(TableUnfinished) as caught:
        send(ROWS)
    assert {k: caught.value.facts[k] for k in ("rows", "there", "old")} == {"rows": 4, "there": 0, "old": "none"}


def test_what_cannot_be_taken_back_is_counted_and_the_next_run_mends_it(send, query, proxy, resource):
    send(ROWS)
    done = proxy.asked.count("insert")

    def away(action, number):
        after = proxy.asked.count("insert") > done + 1
        return 400 if action == "insert" and after else 403 if action == "datastore_delete" else None

    proxy.plan = away
    with pytest.raises(TableUnfinished) as caught:
        send(ROWS)
    assert {k: caught.value.facts[k] for k in ("rows", "there", "old")} == {"rows": 4, "there": 2, "old": 4}
    assert len(texts(query, resource)) == 6
    proxy.plan = lambda _action, _number: None
    send(ROWS)
    assert len(texts(query, resource)) == 4


def test_a_lost_answer_does_not_double_rows(send, query, proxy, resource):
    proxy.plan = lambda action, number: "lost" if action == "insert" and number == 1 else None
    send(ROWS)
    assert len(texts(query, resource)) == 4


def test_a_request_that_was_not_done_is_sent_again(send, query, proxy, resource):
    proxy.plan = lambda action, number: (503, 502, 429)[number - 1] if action == "insert" and number < 4 else None
    send(ROWS)
    assert len(texts(query, resource)) == 4


def test_rows_that_came_twice_fail_the_run(send, api, query, proxy, resource):
    """A request is worked on for longer than anybody waits: it is sent again, and both are done."""
    newest = api.send
    late: list[bytes] = []

    def send_twice(action, body, is_done=None, **kwargs):
        if b'"records"' in body and not late:
            late.append(body)
            newest(action, body)
        return newest(action, body, is_done, **kwargs)

    api.send = send_twice
    with pytest.raises(RowsMissing) as caught:
        send(ROWS)
    assert caught.value.facts == {"rows": 4, "loaded": 6}
    assert query("SELECT to_regclass(%s)", f'"{resource}"') == [(None,)]


def test_a_ckan_that_stays_away_fails_the_run(send, proxy):
    proxy.plan = lambda _action, _number: 503
    with pytest.raises(DatastoreUnavailable):
        send(ROWS)


def test_a_body_that_is_too_large_for_a_proxy_is_halved(send, query, proxy, resource):
    proxy.plan = lambda action, number: 413 if action == "insert" and number == 1 else None
    send(ROWS, batch_rows=4)
    assert len(texts(query, resource)) == 4


@pytest.mark.parametrize("at", [0, 3, 6])
def test_a_refused_value_is_found_by_row_and_column(send, query, resource, at):
    rows = [["x", "1"] for _ in range(7)]
    rows[at][1] = "seven"
    with pytest.raises(ValueRefused) as caught:
        send(rows, fields(t="text", n="numeric"), batch_rows=5)
    assert {k: caught.value.facts[k] for k in ("row", "field", "value")} == {
        "row": at + 1,
        "field": "n",
        "value": "seven",
    }
    assert query("SELECT to_regclass(%s)", f'"{resource}"') == [(None,)]


def test_a_wrong_token_is_refused_and_not_shown(server, resource, tmp_path, caplog):
    with pytest.raises(ApiRefused) as caught:
        ApiSink(CkanApi(server, "wrong-secret"), resource, tmp_path / "parts").begin(FIELDS)
    assert caught.value.facts["http_status"] == 403
    assert "wrong-secret" not in str(caught.value) + caplog.text


def test_a_resource_that_is_not_there_is_no_missing_table(api, tmp_path):
    with pytest.raises(ApiRefused) as caught:
        ApiSink(api, "nowhere", tmp_path).columns()
    assert caught.value.facts["http_status"] == 404


def test_a_whole_run_goes_through_the_api(api, resource, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("code,day,amount\n007,2026-01-31,1.50\n010,2026-02-01,\n", encoding="utf-8")
    order = Order("run-1", "LOAD", Resource(resource), Dataset("d"))
    sink, told = ApiSink(api, resource, tmp_path / "parts"), []
    final = run(order, source=FileSource(path), sink=sink, tell=told.append)
    assert final.status is Status.DONE
    found = search(resource)
    assert [(f["id"], f["type"]) for f in found["fields"][1:]] == [
        ("code", "text"),
        ("day", "date"),
        ("amount", "numeric"),
    ]
    assert found["total"] == 2
    assert datetime.date.fromisoformat(found["records"][0]["day"][:10]) == datetime.date(2026, 1, 31)

"""The whole way of a worker outside CKAN: file, columns, stage, parts, publish."""

from __future__ import annotations

import pytest
from ckan.tests import helpers

from aircan.contract import Part
from aircan.status import Status

from ..conftest import row_of
from ..datastore.conftest import fields, part, parts

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore datatables_view aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

ROWS = [[1, "Ana"], [2, "Ben"], [3, "Cleo"]]


def test_from_file_to_table(worker, queue):
    assert worker.ask("GET", "/file").data.startswith(b"id,name\n")
    assert worker.ask("GET", "/columns").json == {"columns": None}
    assert worker.begin(fields(id="numeric", name="text")).status == 200
    first, second = parts(ROWS, 2)
    assert worker.put(second).json == {"loaded": True, "rows": 1}
    assert worker.put(first, packed=True).json == {"loaded": True, "rows": 3}
    assert worker.published() == {"state": "none"}
    answer = worker.publish(3)
    assert (answer.status, answer.json) == (202, {"state": "working"})
    queue()
    told = worker.published()
    assert (told["state"], told["written"]["total"], told["warnings"]) == ("done", 3, [])
    found = helpers.call_action("datastore_search", resource_id=worker.resource, sort="_id")
    assert [record["name"] for record in found["records"]] == ["Ana", "Ben", "Cleo"]
    assert helpers.call_action("datastore_search", resource_id=worker.resource, q="cleo")["total"] == 1
    assert row_of(worker.job_id)["status"] == Status.RUNNING.value
    assert [column["id"] for column in worker.ask("GET", "/columns").json["columns"]] == ["id", "name"]


def test_a_part_that_is_there_is_left_alone(worker):
    worker.begin(fields(id="numeric", name="text"))
    assert worker.put(part(ROWS)).json == {"loaded": True, "rows": 3}
    assert worker.put(part(ROWS)).json == {"loaded": False, "rows": 3}


def test_a_value_that_does_not_fit_is_named_by_its_row(worker, query):
    worker.begin(fields(id="numeric", name="text"))
    bad = Part(0, 3, b'1,10,"a\nb"\n2,x,c\n3,30,d\n')
    for packed in (False, True):
        answer = worker.put(bad, packed=packed)
        assert (answer.status, answer.code) == (422, "value_refused")
        assert [answer.facts[name] for name in ("row", "field", "value")] == [2, "id", "x"]
    assert query(f'SELECT count(*) FROM "_aircan_{worker.job_id.replace("-", "")}"') == [(0,)]

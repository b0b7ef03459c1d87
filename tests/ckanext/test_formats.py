"""Files that are no CSV, from the upload to the table."""

from __future__ import annotations

import gzip
import io
import os
import threading
import zipfile
from pathlib import Path

import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from aircan import progress
from aircan.sheets import clean
from ckanext.aircan_connector import config, jobs, model, runner
from tests.aircan import faults
from tests.aircan.biff import nested_extent

from .conftest import row_of, soon

SAMPLES = Path(__file__).parent.parent / "samples"

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore datatables_view aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]


@pytest.fixture
def loaded(upload, queue):
    """Upload and load a file; return its newest job and what a search finds."""

    def load(data, name, format_, **params):
        resource = upload(ckan_factories.Dataset()["id"], data, name, format=format_)["id"]
        queue()
        if params:
            helpers.call_action("aircan_settings_update", resource=resource, params=params)
            helpers.call_action("aircan_submit", resource=resource)
            queue()
        with model.begin() as connection:
            job = model.newest_job(connection, resource, "LOAD")
        assert job["status"] == "DONE", job["info"].get("error")
        return job, helpers.call_action("datastore_search", resource_id=resource, sort="_id")

    return load


def types(found):
    return {field["id"]: field["type"] for field in found["fields"]}


def test_nested_values_of_json_are_searched_and_given_back_as_values(loaded):
    data = b"""[{"id": 1, "tags": ["red", "blue"], "at": {"lat": 50.10, "note": "quote \\" and, comma"}},
                {"id": 2, "tags": [], "at": null}, {"id": 3}]"""
    job, found = loaded(data, "a.json", "JSON")
    assert types(found) == {"_id": "int", "id": "numeric", "tags": "json", "at": "json"}
    assert [record["tags"] for record in found["records"]] == [["red", "blue"], [], None]
    assert [record["at"] for record in found["records"]] == [{"lat": 50.1, "note": 'quote " and, comma'}, None, None]
    resource = job["resource"]
    for word, total in (("blue", 1), ("comma", 1), ("green", 0)):
        assert helpers.call_action("datastore_search", resource_id=resource, q=word)["total"] == total
    edit = {"resource_id": resource, "force": True, "method": "insert", "records": [{"id": 4, "tags": ["green"]}]}
    helpers.call_action("datastore_upsert", **edit)
    assert helpers.call_action("datastore_search", resource_id=resource, q="green")["total"] == 1


def test_geojson_has_its_geometry_as_text(loaded):
    data = (SAMPLES / "json" / "feature_collection.geojson").read_bytes()
    _, found = loaded(data, "towns.geojson", "GeoJSON")
    assert types(found)["geometry"] == "text"
    assert found["records"][0]["geometry"] == '{"type":"Point","coordinates":[6.0838,50.7753]}'


def test_parquet(loaded):
    data = (SAMPLES / "parquet" / "decimals_keep_digits.parquet").read_bytes()
    _, found = loaded(data, "d.parquet", "Parquet")
    assert types(found) == {"_id": "int", "d": "numeric", "long": "numeric"}
    assert [record["d"] for record in found["records"]] == [1.50, 2, None]


def test_the_member_of_a_zip_is_kept_with_the_resource(loaded):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("towns.csv", "id,town\n1,Bonn\n")
        archive.writestr("rivers.csv", "id,river\n1,Rhine\n2,Elbe\n")
    job, found = loaded(out.getvalue(), "all.zip", "CSV", member="rivers.csv")
    assert [record["river"] for record in found["records"]] == ["Rhine", "Elbe"]
    assert (job["info"]["result"]["archive"], job["info"]["result"]["member"]) == ("zip", "rivers.csv")


def test_a_wrong_declared_format_is_a_warning_of_the_run(loaded):
    job, found = loaded(gzip.compress(b'{"a": 1}\n{"a": 2}\n'), "a.csv.gz", "CSV")
    assert found["total"] == 2
    warning = {"code": "format_mismatch", "declared": "CSV", "found": "ndjson"}
    assert warning in job["info"]["warnings"]


@pytest.fixture
def run(upload, queue):
    """Upload a file and have a worker take its run; return the job."""

    def call(data, name, format_):
        resource = upload(ckan_factories.Dataset()["id"], data, name, format=format_)["id"]
        queue()
        with model.begin() as connection:
            return model.newest_job(connection, resource, "LOAD")

    return call


def test_a_workbook_that_ends_its_reader_fails_its_run_and_the_worker_goes_on(run, tmp_path):
    """Read in the worker's own process, it would end that, without a word."""
    nested_extent(tmp_path / "a.xls")
    job = run((tmp_path / "a.xls").read_bytes(), "a.xls", "XLS")
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "reader_out_of_memory")
    job = run((SAMPLES / "sheets" / "kinds_by_xlwt.xls").read_bytes(), "b.xls", "XLS")
    assert (job["status"], job["info"]["result"]["rows"]) == ("DONE", 4)


def test_a_cancel_ends_a_reader_that_does_not_come_back(upload, monkeypatch, tmp_path):
    monkeypatch.setattr(config, "load_folder", lambda: str(tmp_path))
    monkeypatch.setattr(clean, "read", faults.stuck)
    resource = upload(ckan_factories.Dataset()["id"], (SAMPLES / "sheets" / "kinds_by_xlwt.xls").read_bytes(), "a.xls")
    with model.begin() as connection:
        job = model.newest_job(connection, resource["id"], "LOAD")
    seen = []

    def cancel():
        (begun,) = soon(lambda: list(tmp_path.glob("*/begun")))
        seen.append((begun.parent / progress.READER).read_text())
        jobs.cancel(job["id"], "enough")

    thread = threading.Thread(target=cancel)
    thread.start()
    runner.hand_over(job["id"])
    thread.join()
    assert row_of(job["id"])["status"] == "CANCELLED"
    assert not os.path.exists(f"/proc/{seen[0]}")
    assert list(tmp_path.iterdir()) == []

"""Files that are no CSV, from the upload to the table."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers

from ckanext.aircan_connector import model

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

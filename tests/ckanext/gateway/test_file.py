"""The job's file: private uploads too, in ranges, and never two files glued together."""

from __future__ import annotations

import os
from io import BytesIO
from urllib.parse import unquote

import ckantoolkit as tk
import pytest
from ckan import model as ckan_model
from ckan.lib import uploader
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from aircan.contract import Report
from aircan.errors import SourceChanged
from aircan.keys import run_token
from aircan.status import Status
from ckanext.aircan_connector import factories, gateway, jobs, uploads
from ckanext.aircan_connector.uploads import UploadSource

from .conftest import FILE, Worker

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues"),
]

OLD = not tk.check_ckan_version(min_version="2.12")
N = len(FILE)


def for_resource(app, resource, dataset):
    job = jobs.submit(resource=resource, dataset=dataset, user=None, name="a", mark="another")
    return Worker(app, job["id"], run_token(factories.get("local").keys()[0], job["id"]), resource)


def path_of(resource):
    return uploader.get_resource_uploader(helpers.call_action("resource_show", id=resource)).get_path(resource)


def test_the_whole_file(worker):
    answer = worker.ask("GET", "/file")
    assert (answer.status, answer.data) == (200, FILE)
    assert answer.headers["Content-Length"] == str(N)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a.csv"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["ETag"][0] == answer.headers["ETag"][-1] == '"'


def test_head_tells_the_same_without_the_bytes(worker):
    whole, head = worker.ask("GET", "/file"), worker.ask("HEAD", "/file")
    assert (head.status, head.data) == (200, b"")
    names = ("Content-Length", "ETag", "Accept-Ranges", "Content-Disposition")
    assert [head.headers[name] for name in names] == [whole.headers[name] for name in names]
    part = worker.ask("HEAD", "/file", {"Range": "bytes=3-"})
    assert (part.status, part.data, part.headers["Content-Length"]) == (206, b"", str(N - 3))


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-", 0, N),
        ("bytes=5-", 5, N),
        ("bytes=5-9", 5, 10),
        ("bytes=5-5", 5, 6),
        ("BYTES=5-9", 5, 10),
        (f"bytes={N - 1}-", N - 1, N),
        (f"bytes=0-{N * 9}", 0, N),
        ("bytes=-4", N - 4, N),
        (f"bytes=-{N * 9}", 0, N),
    ],
)
def test_a_range(worker, asked, start, stop):
    answer = worker.ask("GET", "/file", {"Range": asked})
    assert (answer.status, answer.data) == (206, FILE[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{N}"
    assert answer.headers["Content-Length"] == str(stop - start)


@pytest.mark.parametrize("asked", [f"bytes={N}-", f"bytes={N + 5}-{N + 9}", "bytes=-0", "bytes=999999999999999999-"])
def test_a_range_that_the_file_does_not_have(worker, asked):
    answer = worker.ask("GET", "/file", {"Range": asked})
    assert (answer.status, answer.code) == (416, "request_refused")
    assert answer.headers["Content-Range"] == f"bytes */{N}"
    assert answer.headers["ETag"] == worker.ask("HEAD", "/file").headers["ETag"]


@pytest.mark.parametrize(
    "asked", ["bytes=9-5", "bytes=-", "bytes=1-2,4-5", "lines=1-2", "bytes=a-b", "bytes=" + "9" * 5000 + "-", "x"]
)
def test_a_range_of_another_form_asks_for_all(worker, asked):
    answer = worker.ask("GET", "/file", {"Range": asked})
    assert (answer.status, answer.data) == (200, FILE)


def test_a_broken_download_goes_on_with_the_same_file_only(worker):
    etag = worker.ask("HEAD", "/file").headers["ETag"]
    same = worker.ask("GET", "/file", {"Range": "bytes=10-", "If-Range": etag})
    assert (same.status, same.data) == (206, FILE[10:])
    for other in ('"other"', f"W/{etag}", "Sat, 21 Nov 2026 10:00:00 GMT", ""):
        answer = worker.ask("GET", "/file", {"Range": "bytes=10-", "If-Range": other})
        assert (answer.status, answer.data) == (200, FILE)


def test_a_new_file_has_a_new_etag(worker):
    """Also one of the same size, at the same moment as far as the clock of the disk goes."""
    jobs.report(worker.job_id, Report(Status.RUNNING))  # one that waits would be superseded
    etag = worker.ask("HEAD", "/file").headers["ETag"]
    other = FileStorage(BytesIO(FILE.replace(b"Ana", b"Eva")), "a.csv")
    helpers.call_action("resource_update", id=worker.resource, url="a.csv", format="CSV", upload=other)
    answer = worker.ask("GET", "/file", {"Range": "bytes=10-", "If-Range": etag})
    assert answer.status == 200
    assert b"Eva" in answer.data
    assert answer.headers["ETag"] != etag


def read_meanwhile(job, happens):
    """Read what is served, while something happens after the first piece; return the bytes before the error."""
    got = b""
    try:
        for piece in gateway.file(job, None, None).pieces():
            if piece and not got:
                happens()
            got += piece
    except SourceChanged:
        return got
    raise AssertionError("it was read to its end")


@pytest.mark.usefixtures("with_request_context")
def test_a_file_that_changes_in_the_middle_is_not_sent_to_its_end(job, monkeypatch):
    monkeypatch.setattr(gateway, "PIECE_BYTES", 4)
    path = path_of(job["resource"])

    def write() -> None:
        with open(path, "r+b") as file:
            file.write(b"ID")

    assert len(read_meanwhile(job, write)) < N


@pytest.mark.usefixtures("with_request_context")
@pytest.mark.parametrize("size", [0, 6])
def test_a_file_that_becomes_shorter_is_not_sent_to_its_end(job, monkeypatch, size):
    monkeypatch.setattr(gateway, "PIECE_BYTES", 4)
    path = path_of(job["resource"])
    assert len(read_meanwhile(job, lambda: os.truncate(path, size))) < N


@pytest.mark.usefixtures("with_request_context")
def test_a_file_is_read_in_pieces(job, monkeypatch):
    monkeypatch.setattr(gateway, "PIECE_BYTES", 4)
    pieces = list(gateway.file(job, None, None).pieces())
    assert b"".join(pieces) == FILE
    assert max(map(len, pieces)) == 4


def test_an_empty_file(app, upload):
    dataset = ckan_factories.Dataset()["id"]
    worker = for_resource(app, upload(dataset, b"")["id"], dataset)
    assert (worker.ask("GET", "/file").status, worker.ask("GET", "/file").data) == (200, b"")
    assert worker.ask("GET", "/file", {"Range": "bytes=0-"}).status == 416


def test_a_private_upload(app, upload):
    organisation = ckan_factories.Organization()["id"]
    dataset = ckan_factories.Dataset(owner_org=organisation, private=True)["id"]
    worker = for_resource(app, upload(dataset, FILE)["id"], dataset)
    assert worker.ask("GET", "/file").data == FILE
    assert app.get(f"/dataset/{dataset}/resource/{worker.resource}/download/a.csv", status=None).status_code != 200


@pytest.mark.parametrize("name", ["Łódź 2024.csv", 'a"b.csv', "x;y.csv"])
def test_a_name_of_any_kind(app, upload, name):
    dataset = ckan_factories.Dataset()["id"]
    resource = upload(dataset, FILE, name)["id"]
    kept = helpers.call_action("resource_show", id=resource)["url"].rpartition("/")[2]
    said = for_resource(app, resource, dataset).ask("HEAD", "/file").headers["Content-Disposition"]
    assert unquote(said.removeprefix("attachment; filename*=UTF-8''")) == kept


def test_a_link_is_not_fetched_for_others(app):
    dataset = ckan_factories.Dataset()["id"]
    resource = ckan_factories.Resource(package_id=dataset, url="http://169.254.169.254/latest")["id"]
    answer = for_resource(app, resource, dataset).ask("GET", "/file")
    assert (answer.status, answer.code) == (400, "request_refused")
    assert "is a link" in answer.facts["reason"]


@pytest.mark.parametrize("gone", ["file", "resource"])
def test_what_is_not_there(worker, gone):
    if gone == "file":
        os.remove(path_of(worker.resource))
    else:
        ckan_model.Resource.get(worker.resource).delete()
        ckan_model.repo.commit_and_remove()
    answer = worker.ask("GET", "/file")
    assert (answer.status, answer.code) == (404, "source_missing")
    assert answer.facts["name"] == "a.csv"


class CloudUpload:
    """An uploader of another extension, whose files are neither here nor in a storage of CKAN."""

    def __init__(self, resource):
        self.resource = resource

    def get_path(self, resource_id):
        return f"bucket/{resource_id}"


def test_a_file_of_another_extensions_cloud(worker, monkeypatch):
    monkeypatch.setattr(uploads.uploader, "get_resource_uploader", CloudUpload)
    answer = worker.ask("GET", "/file")
    assert (answer.status, answer.code) == (400, "request_refused")


@pytest.mark.skipif(OLD, reason="storages came with CKAN 2.12")
@pytest.mark.parametrize("kind", ["ckan:memory", "ckan:fs"])
def test_storages_of_2_12(app, upload, monkeypatch, ckan_config, tmp_path, kind, reset_storages):
    monkeypatch.setitem(ckan_config, "ckan.files.storage.resources.type", kind)
    if kind == "ckan:fs":
        monkeypatch.setitem(ckan_config, "ckan.files.storage.resources.path", str(tmp_path))
        monkeypatch.setitem(ckan_config, "ckan.files.storage.resources.initialize", True)
    monkeypatch.setitem(ckan_config, "ckan.files.default_storages.resource", "resources")
    reset_storages()
    dataset = ckan_factories.Dataset()["id"]
    resource = upload(dataset, FILE)
    assert type(uploader.get_resource_uploader(dict(resource))).__name__ == "FKResourceUpload"
    worker = for_resource(app, resource["id"], dataset)
    whole = worker.ask("GET", "/file")
    assert (whole.status, whole.data) == (200, FILE)
    part = worker.ask("GET", "/file", {"Range": "bytes=7-20", "If-Range": whole.headers["ETag"]})
    assert (part.status, part.data) == (206, FILE[7:21])
    assert UploadSource(resource)._local_path() is None or kind == "ckan:fs"

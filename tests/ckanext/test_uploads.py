"""Uploads are read straight from CKAN's storage, whichever that is."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan.lib import uploader
from ckan.tests import factories as ckan_factories

from aircan.contract import Resource
from aircan.errors import SourceMissing
from ckanext.aircan_connector import uploads

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]

DATA = b"a,b\n" + b"1,2\n" * 100_000
OLD = not tk.check_ckan_version(min_version="2.12")


def read_all(source):
    """Read in odd pieces, as a caller may."""
    with source.open() as file:
        return b"".join(iter(lambda: file.read(7919), b""))


def check(upload):
    resource = upload(ckan_factories.Dataset()["id"], DATA)
    source = uploads.source(Resource.from_dict(resource))
    assert isinstance(source, uploads.UploadSource)
    assert (source.name, source.size_bytes) == ("a.csv", len(DATA))
    assert read_all(source) == DATA
    assert read_all(source) == DATA


def test_classic_folder(upload, monkeypatch, ckan_config, tmp_path):
    monkeypatch.setitem(ckan_config, "ckan.storage_path", str(tmp_path))
    if not OLD:
        monkeypatch.setitem(ckan_config, "ckan.files.default_storages.resource", "there_is_none")
    check(upload)


@pytest.mark.skipif(OLD, reason="storages came with CKAN 2.12")
@pytest.mark.parametrize("kind", ["ckan:memory", "ckan:fs"])
def test_storages_of_2_12(upload, monkeypatch, ckan_config, tmp_path, kind, reset_storages):
    monkeypatch.setitem(ckan_config, "ckan.files.storage.resources.type", kind)
    if kind == "ckan:fs":
        monkeypatch.setitem(ckan_config, "ckan.files.storage.resources.path", str(tmp_path))
        monkeypatch.setitem(ckan_config, "ckan.files.storage.resources.initialize", True)
    monkeypatch.setitem(ckan_config, "ckan.files.default_storages.resource", "resources")
    reset_storages()
    check(upload)
    resource = upload(ckan_factories.Dataset()["id"], DATA)
    stored = uploader.get_resource_uploader(dict(resource))
    assert type(stored).__name__ == "FKResourceUpload"


def test_missing_file(monkeypatch, ckan_config, tmp_path, upload):
    resource = upload(ckan_factories.Dataset()["id"], DATA)
    source = uploads.source(Resource.from_dict(resource))
    monkeypatch.setattr(source, "_path", str(tmp_path / "nothing"))
    monkeypatch.setattr(source, "_storage", lambda: None)
    with pytest.raises(SourceMissing):
        source.open()


class CloudUpload:
    """An uploader of another extension, whose files are neither here nor in a storage of CKAN."""

    def __init__(self, resource):
        self.resource = resource

    def get_path(self, resource_id):
        return f"bucket/{resource_id}"


def test_uploader_without_a_local_file_is_read_by_its_link(upload, monkeypatch):
    resource = upload(ckan_factories.Dataset()["id"], DATA)
    monkeypatch.setattr(uploads.uploader, "get_resource_uploader", CloudUpload)
    source = uploads.source(Resource.from_dict(resource))
    assert isinstance(source, uploads.LinkSource)

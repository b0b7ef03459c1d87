from __future__ import annotations

import gzip
import io
import zipfile

import pytest

from aircan.errors import ArchiveBomb, JobStopped, OrderRefused, TooLarge
from aircan.ports import never
from aircan.text import archives
from tests.aircan.rig import load
from tests.aircan.test_sniff import sniffed

CSV = b"id,name\n" + b"1,Aachen\n" * 100


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/"), data)
    return out.getvalue()


def unpacked(data, tmp_path, member="", limit_bytes=None, stop=None):
    path = tmp_path / "fetched"
    path.write_bytes(data)
    return archives.unpack(
        path, name="x", member=member, workdir=tmp_path, limit_bytes=limit_bytes, stop=stop or never()
    )


@pytest.mark.parametrize("data", [gzip.compress(CSV), zipped(a=CSV), gzip.compress(zipped(a=CSV))])
@pytest.mark.parametrize(("room", "fits"), [(-1, False), (0, True), (1, True)])
def test_the_limit_of_size_counts_what_is_unpacked(data, room, fits, tmp_path):
    limit = len(CSV) + room
    if fits:
        assert unpacked(data, tmp_path, limit_bytes=limit).path.read_bytes() == CSV
    else:
        with pytest.raises(TooLarge) as caught:
            unpacked(data, tmp_path, limit_bytes=limit)
        assert caught.value.facts["limit_bytes"] == limit


def test_the_limit_of_an_order_counts_what_is_unpacked():
    final, sink, _ = load(gzip.compress(CSV), {"max_size_bytes": len(CSV) - 1})
    assert (final.error["code"], sink.live) == ("too_large", None)


@pytest.mark.parametrize(("room", "fits"), [(-1, False), (0, True), (1, True)])
def test_what_unpacks_to_far_more_than_its_size_is_refused(room, fits, tmp_path, monkeypatch):
    zeros = bytes(1_000_000)
    data = gzip.compress(zeros)
    monkeypatch.setattr(archives, "BOMB_BYTES", len(zeros) + room)
    if fits:
        assert unpacked(data, tmp_path).path.stat().st_size == len(zeros)
    else:
        with pytest.raises(ArchiveBomb) as caught:
            unpacked(data, tmp_path)
        assert caught.value.facts["limit_bytes"] == len(zeros) - 1


def test_a_size_that_the_directory_claims_is_refused_before_a_byte_is_unpacked(tmp_path):
    with pytest.raises(TooLarge):
        unpacked(zipped(a=bytes(2_000_000)), tmp_path, limit_bytes=1_999_999)
    assert not (tmp_path / "unpacked-1").exists()


def test_stopped_while_unpacking(tmp_path):
    stop = never()
    stop.set()
    with pytest.raises(JobStopped):
        unpacked(gzip.compress(CSV), tmp_path, stop=stop)


def test_only_the_last_level_stays_on_disk(tmp_path):
    found = unpacked(zipped(a=gzip.compress(CSV)), tmp_path)
    assert (found.kinds, found.members) == (("zip", "gz"), ("a", "a"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fetched", "unpacked-2"]


@pytest.mark.parametrize("name", ["xl__workbook.xml", "word__document.xml"])
def test_what_is_a_zip_only_inside_is_not_unpacked(name, tmp_path):
    data = zipped(**{"[Content_Types].xml": b"<Types/>", name: b"<x/>"})
    assert unpacked(data, tmp_path).kinds == ()


def test_text_that_begins_like_bzip2_is_text(tmp_path):
    assert sniffed(b"BZh9,b\n1,2\n", tmp_path).labels == ("BZh9", "b")


def test_a_member_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(OrderRefused) as caught:
        sniffed(CSV, tmp_path, member=3)
    assert caught.value.facts == {"field": "params.member"}


def test_a_member_that_is_named_for_the_next_upload_is_no_trouble_for_a_plain_file(tmp_path):
    assert sniffed(CSV, tmp_path, member="a.csv").rows == 100

"""The store between the tasks: on a folder, and on real servers that speak S3 and Google Cloud Storage."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest

from aircan.errors import StoreMisconfigured, StoreUnavailable
from aircan.store import Store
from tests.aircan import gcs_server
from tests.aircan.s3_server import KEYS, make_bucket, s3_server

RUN = "11111111-1111-1111-1111-111111111111"
WEEK_S = 7 * 24 * 3600


@pytest.fixture(scope="module")
def s3():
    with s3_server() as address:
        make_bucket(address, "aircan-test")
        yield address


@pytest.fixture(scope="module")
def gcs():
    with gcs_server.gcs_server() as address:
        yield address


@pytest.fixture(params=["folder", "s3", "gs"])
def place(request, tmp_path, monkeypatch):
    """Return the url and the options of an empty store."""
    if request.param == "folder":
        return str(tmp_path / "store"), {}
    if request.param == "gs":
        gcs_server.be_plain(monkeypatch)
        url = f"gs://{gcs_server.BUCKET}/{tmp_path.name}-{time.monotonic_ns()}"
        return url, gcs_server.options(request.getfixturevalue("gcs"))
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    url = f"s3://aircan-test/{tmp_path.name}-{time.monotonic_ns()}"
    return url, {"endpoint_url": request.getfixturevalue("s3")}


@pytest.fixture
def make(place):
    """Return what makes the store of a run."""
    return lambda run_id=RUN, dag_id="aircan_load": Store(place[0], dag_id, run_id, options=place[1])


def test_what_one_task_leaves_another_process_of_the_run_finds(make):
    make().write_json("fetch", "resource.json", {"name": "Łódź", "bytes": 3})
    other = make()
    assert other.read_json("fetch", "resource.json") == {"name": "Łódź", "bytes": 3}
    assert other.names("fetch") == ["resource.json"]


def test_bytes_and_files_come_back_as_they_were(make, tmp_path):
    data = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(data)
    make().upload("fetch", "data", tmp_path / "file")
    make().write("convert", "part-00000.csv.gz", data[:100])
    make().download("fetch", "data", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == data
    assert make().read("convert", "part-00000.csv.gz") == data[:100]
    assert stat.S_IMODE((tmp_path / "again").stat().st_mode) == 0o600


def test_an_empty_file_comes_back(make, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    make().upload("fetch", "data", tmp_path / "file")
    make().download("fetch", "data", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == b""


def test_a_task_that_has_not_written_has_no_names(make):
    assert make().names("load") == []


def test_writing_again_takes_the_place_of_what_was_there(make):
    make().write("fetch", "data", b"first try")
    make().write("fetch", "data", b"second")
    assert make().read("fetch", "data") == b"second"


def test_clear_removes_one_task_and_drop_the_whole_run_but_no_other(make):
    other = make("another-run")
    for store, task in [(make(), "fetch"), (make(), "convert"), (other, "fetch")]:
        store.write(task, "data", b"x")
    make().clear("fetch")
    assert (make().names("fetch"), make().names("convert")) == ([], ["data"])
    make().drop()
    make().drop()
    assert make().names("convert") == []
    assert other.names("fetch") == ["data"]


def test_removing_what_is_not_there_is_no_error(make):
    make().remove("fetch", "error.json")
    make().clear("fetch")


def test_what_is_missing_or_broken_is_named(make):
    make().write("fetch", "resource.json", b'{"bytes": ')
    with pytest.raises(StoreUnavailable, match=r"convert/dataset\.json is not there"):
        make().read_json("convert", "dataset.json")
    with pytest.raises(StoreUnavailable, match=r"fetch/resource\.json is not whole"):
        make().read_json("fetch", "resource.json")
    make().write("fetch", "resource.json", b"[1]")
    with pytest.raises(StoreUnavailable, match="is not what was left there"):
        make().read_json("fetch", "resource.json")


def test_a_download_that_is_missing_leaves_no_file_with_content(make, tmp_path):
    with pytest.raises(StoreUnavailable, match="fetch/data is not there"):
        make().download("fetch", "data", tmp_path / "again")
    assert not (tmp_path / "again").exists() or not (tmp_path / "again").read_bytes()


class TestSweep:
    def test_only_runs_in_which_nothing_was_written_for_so_long_are_removed(self, make):
        for run_id in ("old-run", "other-old-run", RUN):
            make(run_id).write("fetch", "data", b"x")
        make("another-dag-run", dag_id="aircan_other").write("fetch", "data", b"x")
        later = datetime.now(timezone.utc) + timedelta(seconds=WEEK_S + 60)
        assert make().sweep(WEEK_S, now=later) == ["old-run", "other-old-run"]
        assert make("old-run").names("fetch") == []
        assert make().names("fetch") == ["data"]
        assert make("another-dag-run", dag_id="aircan_other").names("fetch") == ["data"]

    def test_young_ones_stay(self, make):
        make("young-run").write("fetch", "data", b"x")
        assert make().sweep(WEEK_S) == []
        assert make().sweep(-60) == ["young-run"]

    def test_a_run_with_one_young_file_stays_whole(self, tmp_path):
        store = Store(str(tmp_path), "d", "mixed")
        store.write("fetch", "data", b"x")
        store.write("load", "data", b"x")
        old = time.time() - 2 * WEEK_S
        os.utime(tmp_path / "d" / "mixed" / "fetch" / "data", (old, old))
        assert Store(str(tmp_path), "d", RUN).sweep(WEEK_S) == []
        os.utime(tmp_path / "d" / "mixed" / "load" / "data", (old, old))
        assert Store(str(tmp_path), "d", RUN).sweep(WEEK_S) == ["mixed"]

    def test_an_empty_store_has_nothing_to_sweep(self, make):
        assert make().sweep(0) == []


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "../x", "a\\b", "/etc", "a b", "a\n", "x" * 251, "é", "a\0", "*"]
)
@pytest.mark.parametrize("where", ["dag_id", "run_id", "task", "name"])
def test_a_name_that_could_leave_its_folder_is_refused(tmp_path, where, name):
    given = {"dag_id": "d", "run_id": "r", "task": "t", "name": "n", where: name}
    with pytest.raises(StoreMisconfigured, match="cannot be the name of a folder"):
        Store(str(tmp_path / "s"), given["dag_id"], given["run_id"]).write(given["task"], given["name"], b"x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("run_id", [RUN, "manual__2026-11-21T10:00:00.123+00:00", "a" * 250, "..a", "~x"])
def test_the_run_ids_of_airflow_are_names(tmp_path, run_id):
    Store(str(tmp_path), "aircan_load", run_id).write("fetch", "data", b"x")
    assert (tmp_path / "aircan_load" / run_id / "fetch" / "data").read_bytes() == b"x"


def test_a_folder_of_a_run_is_for_its_user_only(tmp_path):
    Store(str(tmp_path), "d", "r").write("fetch", "data", b"x")
    assert stat.S_IMODE((tmp_path / "d" / "r").stat().st_mode) == 0o700


@pytest.mark.parametrize("url", ["", "-", "simplecache::/tmp/x"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(StoreMisconfigured):
        Store(url, "d", "r")


def test_an_unknown_protocol_is_named():
    with pytest.raises(StoreMisconfigured, match="nowhere"):
        Store("nowhere://x", "d", "r")


@pytest.mark.parametrize(("missing", "url", "extra"), [("fsspec", "/tmp/x", "airflow"), ("s3fs", "s3://b", "s3")])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(missing, url, extra):
    """In a process of its own, where the package cannot be imported."""
    code = f"""
import sys
sys.modules[{missing!r}] = None
from aircan.errors import StoreMisconfigured
from aircan.store import Store
try:
    Store({url!r}, "d", "r")
except StoreMisconfigured as exc:
    print(exc.message)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert f"pip install 'aircan[{extra}]'" in done.stdout
    assert missing in done.stdout


def test_secrets_of_an_address_are_shown_nowhere():
    with pytest.raises(StoreMisconfigured) as caught:
        Store("nowhere://user:secret@host/x?key=secret", "d", "r")
    assert caught.value.facts["url"] == "nowhere://host/x"


def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((StoreMisconfigured, StoreUnavailable)) as caught:
        Store(str(tmp_path / "file" / "below"), "d", "r").write("fetch", "data", b"x")
    assert caught.value.facts["url"].endswith("below")


class TestServer:
    @pytest.fixture(autouse=True)
    def _keys(self, monkeypatch):
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)

    def test_a_bucket_that_is_not_there_is_a_matter_of_settings(self, s3):
        store = Store("s3://no-such-bucket", "d", "r", options={"endpoint_url": s3})
        with pytest.raises(StoreMisconfigured):
            store.write("fetch", "data", b"x")

    def test_a_server_that_does_not_answer_passes(self):
        config = {"connect_timeout": 1, "retries": {"max_attempts": 1}}
        options = {"endpoint_url": "http://127.0.0.1:1", "config_kwargs": config}
        with pytest.raises(StoreUnavailable) as caught:
            Store("s3://b", "d", "r", options=options).write("fetch", "data", b"x")
        assert caught.value.retryable

    def test_the_address_of_the_server_may_stand_in_the_environment(self, s3, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
        Store("s3://aircan-test/env", "d", "r").write("fetch", "data", b"x")
        other = Store("s3://aircan-test/env", "d", "r", options={"endpoint_url": s3})
        assert other.read("fetch", "data") == b"x"

    def test_several_threads_write_at_once(self, s3):
        store = Store("s3://aircan-test/threads", "d", "r", options={"endpoint_url": s3})
        failed = []

        def write(number):
            try:
                for index in range(number, 24, 4):
                    store.write("convert", f"part-{index:05}", b"%d" % index)
            except StoreUnavailable as exc:
                failed.append(exc)

        threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert [store.read("convert", name) for name in store.names("convert")] == [b"%d" % i for i in range(24)]

    def test_memory_does_not_grow_with_the_file(self, s3, tmp_path):
        """A file of 200 MB goes up and down through a process that may grow by 120 MB."""
        size = 200 << 20
        with open(tmp_path / "big", "wb") as file:
            for _ in range(size >> 20):
                file.write(os.urandom(1 << 20))
        code = f"""
import pathlib, resource
from aircan.store import Store
store = Store("s3://aircan-test/big", "d", "r", options={{"endpoint_url": {s3!r}}})
store.write("fetch", "small", b"x")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
store.upload("fetch", "data", pathlib.Path({str(tmp_path / "big")!r}))
store.download("fetch", "data", pathlib.Path({str(tmp_path / "again")!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) < 120 << 10
        with open(tmp_path / "big", "rb") as one, open(tmp_path / "again", "rb") as other:
            while chunk := one.read(1 << 20):
                assert other.read(1 << 20) == chunk
            assert other.read() == b""

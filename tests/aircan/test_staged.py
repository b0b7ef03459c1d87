"""A LOAD in tasks: the same rows, rejects and result as in one piece, whatever is killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from aircan import scratch, staged
from aircan.contract import Type
from aircan.errors import (
    DatastoreUnavailable,
    GatewayUnreachable,
    JobStopped,
    KeyNotUnique,
    OrderRefused,
    SourceMissing,
    StoreMisconfigured,
    StoreUnavailable,
    Unexpected,
    ValueRefused,
)
from aircan.net.sources import FileSource
from aircan.staged import Access, work
from aircan.staged.tasks import batches
from aircan.status import Status
from tests.aircan.rig import MemorySink, MemorySource, load
from tests.aircan.s3_server import KEYS, make_bucket, s3_server
from tests.aircan.staged_rig import SITE, MemoryCkan, carry_out, staged_run, tree, unpacked

DATA = b"id,name\n" + b"".join(b"%d,name %d\n" % (i, i) for i in range(5000))
MESSY = b"n,t\n1,a\nx,b\n2\n3,c\ny,d\n4,e,f\n5,NA\n"
SMALL = {"part_bytes": 1000}


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


class TestWholeRun:
    @pytest.mark.parametrize(
        ("data", "params", "types"),
        [
            (DATA, SMALL, {}),
            (MESSY, {}, {"n": Type.NUMERIC}),
            (b"a;b\n1,5;x\n2,25;y\n", {}, {}),
            (b"a,b\n", {}, {}),
            ('[{"a": 1, "b": {"c": "é"}}, {"a": 2, "b": []}]'.encode(), {}, {}),
        ],
        ids=["many parts", "rejects", "semicolon", "header alone", "json"],
    )
    def test_rows_rejects_warnings_and_result_are_those_of_a_run_in_one_piece(self, store, data, params, types):
        ckan = MemoryCkan(data)
        assert carry_out(staged_run(ckan, store, params, types))["status"] == "DONE"
        final, sink, told = load(data, params, types)
        assert ckan.sink.rows == sink.rows
        assert ckan.sink.live_fields == sink.live_fields
        assert ckan.sink.when is sink.when
        for key in ("rejects", "warnings"):
            assert ckan.told.merged(key) == told.merged(key)
        without = {"seconds": None}
        assert {**ckan.told[-1].result, **without} == {**final.result, **without}
        assert (ckan.status, ckan.told[-1].message, ckan.open) == (Status.DONE, final.message, 0)

    def test_tasks_are_told_by_the_names_that_the_pages_know_and_each_ends_once(self, store):
        ckan = MemoryCkan(DATA)
        carry_out(staged_run(ckan, store, SMALL))
        begun = list(dict.fromkeys(name for name, status in ckan.told.tasks if status is Status.RUNNING))
        ended = [name for name, status in ckan.told.tasks if status is Status.DONE]
        assert begun == ended == ["fetch", "sniff", "infer", "load", "publish"]

    def test_progress_counts_the_rows_of_all_batches_and_never_leaves_its_place(self, store):
        ckan = MemoryCkan(DATA)
        carry_out(staged_run(ckan, store, SMALL))
        last = [report.progress for report in ckan.told if report.progress][-1]
        assert (last["rows"], last["bytes"], last["total_bytes"]) == (5000, len(DATA), len(DATA))
        percents = [report.progress["percent"] for report in ckan.told if "percent" in report.progress]
        assert percents == sorted(percents)
        assert max(percents) < 50

    def test_what_lies_in_the_store_is_described_as_frictionless_says(self, store):
        ckan, seen = MemoryCkan(DATA), {}

        def look(task):
            seen[task] = tree(store)
            for path in store.rglob("*.json"):
                seen[f"{path.parent.name}/{path.name}"] = json.loads(path.read_text())
            if task == "convert":
                seen["text"] = unpacked(store / "aircan_load" / run.run_id / "convert" / "part-00000.csv.gz")

        run = staged_run(ckan, store, SMALL, {"id": Type.TEXT})
        carry_out(run, look)
        folder = f"aircan_load/{run.run_id}"
        assert seen["fetch"] == [f"{folder}/fetch/{name}" for name in ("data", "dataset.json", "resource.json")]
        fetched = seen["fetch/resource.json"]
        assert (fetched["path"], fetched["bytes"], fetched["hash"][:7]) == ("data", len(DATA), "sha256:")
        for task in ("fetch", "convert", "publish"):
            assert seen[f"{task}/dataset.json"]["resources"] == [seen[f"{task}/resource.json"]]
        rows = seen["convert/resource.json"]
        assert [f"{folder}/convert/{path}" for path in rows["path"]] == [
            path for path in seen["convert"] if path.endswith(".csv.gz")
        ]
        assert rows["schema"]["fields"] == [
            {"name": "_id", "type": "integer"},
            {"name": "id", "type": "string", "title": "id"},
            {"name": "name", "type": "string", "title": "name"},
        ]
        assert seen["publish/resource.json"]["path"] == f"{SITE}/datastore/dump/22222222"
        assert rows["dialect"]["header"] is False
        assert seen["text"].startswith("1,0,name 0\n2,1,name 1\n")

    def test_nothing_is_left_in_the_store_or_on_the_worker_and_no_secret_ever_lay_there(
        self, store, monkeypatch, tmp_path
    ):
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        found = []

        def look(task):
            found.append(b"".join(path.read_bytes() for path in store.rglob("*") if path.is_file()))

        access = Access(("very-secret-key",), store=str(store))
        run = staged_run(MemoryCkan(DATA), store, access=access)
        carry_out(run, look)
        assert len(found) == 4
        assert not any(b"very-secret-key" in data for data in found)
        assert "very-secret-key" not in repr(run)
        assert (tree(store), list((tmp_path / "tmp").iterdir())) == ([], [])

    def test_what_a_task_returns_holds_no_data(self, store):
        run = staged_run(MemoryCkan(MESSY), store, {}, {"n": Type.NUMERIC})
        returned = [staged.fetch(run), found := staged.convert(run), staged.load(run, found[0]), staged.publish(run)]
        assert returned == [
            {"file": "table.csv", "bytes": len(MESSY)},
            [{"first": 0, "parts": 1}],
            {"rows": 3},
            {"rows": 3, "rejected": 4},
        ]

    def test_a_run_on_a_server_that_speaks_s3(self, monkeypatch):
        for name, value in KEYS.items():
            monkeypatch.setenv(name, value)
        with s3_server() as address:
            client = make_bucket(address, "runs")
            ckan = MemoryCkan(DATA)
            run = staged_run(ckan, "s3://runs/aircan", {"part_bytes": 5000}, options={"endpoint_url": address})
            assert carry_out(run)["status"] == "DONE"
            assert ckan.sink.rows[4999] == ["4999", "name 4999"]
            assert client.list_objects_v2(Bucket="runs")["KeyCount"] == 0


@pytest.mark.parametrize(
    ("parts", "count", "size"), [(0, 1, 0), (1, 1, 1), (16, 1, 16), (17, 2, 16), (1024, 64, 16), (1025, 61, 17)]
)
def test_batches_hold_each_part_once(parts, count, size):
    found = batches(parts)
    assert (len(found), found[0]["parts"]) == (count, size)
    numbers = [n for batch in found for n in range(batch["first"], batch["first"] + batch["parts"])]
    assert numbers == list(range(parts))


@pytest.mark.parametrize("parts", [10_000, 63_000, 1_000_000])
def test_batches_stay_few(parts):
    assert len(batches(parts)) <= 64


class TestAgain:
    """A factory runs a task again that failed or was killed; afterwards all is as if nothing had happened."""

    def finish(self, ckan, run, found=None):
        for batch in found or staged.convert(run):
            staged.load(run, batch)
        assert staged.report(run, staged.publish(run))["status"] == "DONE"
        assert ckan.sink.rows == [[str(i), f"name {i}"] for i in range(5000)]

    def test_a_fetch_that_broke_off(self, store):
        class Broken(MemorySource):
            def open(self):
                raise SourceMissing(name="x.csv")

        ckan = MemoryCkan(Broken(b""))
        run = staged_run(ckan, store, SMALL)
        with pytest.raises(SourceMissing):
            staged.fetch(run)
        ckan.data = DATA
        staged.fetch(run)
        self.finish(ckan, run)

    def test_a_convert_that_was_killed_between_two_parts(self, store, monkeypatch):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, SMALL)
        staged.fetch(run)
        from aircan.store import Store

        write, count = Store.write, [0]

        def dies(self, task, name, data):
            count[0] += 1
            if count[0] > 7:
                raise SystemExit(143)
            write(self, task, name, data)

        monkeypatch.setattr(Store, "write", dies)
        with pytest.raises(SystemExit):
            staged.convert(run)
        monkeypatch.setattr(Store, "write", write)
        assert 0 < len([path for path in tree(store) if "part-" in path]) < 10
        self.finish(ckan, run)

    def test_a_load_that_broke_off_goes_on_with_what_is_missing(self, store):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, SMALL)
        staged.fetch(run)
        found = staged.convert(run)
        ckan.sink.fail_on = (found[1]["first"] + 3, DatastoreUnavailable())
        staged.load(run, found[0])
        with pytest.raises(DatastoreUnavailable):
            staged.load(run, found[1])
        assert [path for path in tree(store) if "error" in path] != []
        ckan.sink.fail_on = None
        self.finish(ckan, run, found)

    @pytest.mark.parametrize("times", [2, 3])
    def test_every_task_several_times(self, store, times):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, SMALL)
        for _ in range(times):
            staged.fetch(run)
        for _ in range(times):
            found = staged.convert(run)
        for batch in [*found, *found]:
            staged.load(run, batch)
        self.finish(ckan, run, found)
        assert staged.report(run, {"rows": 5000})["status"] == "DONE"

    def test_a_report_whose_answer_was_lost_is_told_again_and_only_then_the_files_go(self, store):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, SMALL)
        lost = GatewayUnreachable(url="x", seconds=1)

        def tell(report):
            MemoryCkan.tell(ckan, report)
            raise lost

        staged.fetch(run)
        for batch in staged.convert(run):
            staged.load(run, batch)
        published = staged.publish(run)
        ckan.tell = tell
        with pytest.raises(GatewayUnreachable):
            staged.report(run, published)
        assert tree(store) != []
        del ckan.tell
        assert staged.report(run, published)["status"] == "DONE"
        assert tree(store) == []


class TestFetch:
    def test_a_dag_may_bring_a_file_of_its_own(self, store, tmp_path):
        (tmp_path / "made.csv").write_bytes(b"a\n7\n")
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store)
        assert staged.fetch(run, FileSource(tmp_path / "made.csv")) == {"file": "made.csv", "bytes": 4}
        for batch in staged.convert(run):
            staged.load(run, batch)
        staged.report(run, staged.publish(run))
        assert (ckan.sink.rows, ckan.told[-1].result["file"]) == ([["7"]], "made.csv")

    def test_runs_that_never_ended_are_swept_from_the_store(self, store):
        old = store / "aircan_load" / "old-run" / "fetch" / "data"
        old.parent.mkdir(parents=True)
        old.write_bytes(b"x")
        for days, there in ((6, True), (8, False)):
            then = time.time() - days * 24 * 3600
            os.utime(old, (then, then))
            staged.fetch(staged_run(MemoryCkan(DATA), store))
            assert old.exists() is there

    @pytest.mark.parametrize(("minutes", "over", "there"), [(59, True, True), (61, True, False), (61, False, True)])
    def test_files_of_a_run_that_ckan_calls_over_are_swept_after_an_hour(self, store, minutes, over, there):
        other = "99999999-9999-4999-8999-999999999999"
        for run_id in (other, "by-hand"):
            file = store / "aircan_load" / run_id / "fetch" / "data"
            file.parent.mkdir(parents=True)
            file.write_bytes(b"x")
            then = time.time() - minutes * 60
            os.utime(file, (then, then))
        ckan = MemoryCkan(DATA)
        ckan.over = {other, "by-hand"} if over else set()
        staged.fetch(staged_run(ckan, store))
        assert (store / "aircan_load" / other / "fetch" / "data").exists() is there
        assert (store / "aircan_load" / "by-hand" / "fetch" / "data").exists()

    def test_a_store_that_cannot_be_swept_is_no_reason_to_fail(self, store, monkeypatch):
        def lost(self, older_than_s):
            raise StoreUnavailable(url="x", reason="y")

        monkeypatch.setattr("aircan.store.Store.sweep", lost)
        assert staged.fetch(staged_run(MemoryCkan(DATA), store))["bytes"] == len(DATA)

    def test_what_killed_tasks_have_left_is_swept(self, store, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        left = tmp_path / (scratch.PREFIX + "left")
        left.mkdir()
        for name in ("fetched", scratch.LOCK):
            (left / name).write_bytes(b"x")
        long_ago = time.time() - 2 * scratch.YOUNG_S
        os.utime(left, (long_ago, long_ago))
        staged.fetch(staged_run(MemoryCkan(DATA), store))
        assert [path.name for path in tmp_path.iterdir()] == ["store"]


class TestFailure:
    def test_a_refused_value_is_found_in_the_file_behind_rejects_and_line_ends(self, store):
        data = b'a,b\n1,"x\ny"\nfirst,2\n3,4\nsecond,5\n\n6,7\n'
        sink = MemorySink(fail_on=(0, ValueRefused(row=3, field="b", value="x")))
        ckan = MemoryCkan(data, sink)
        told = carry_out(staged_run(ckan, store, {}, {"a": Type.NUMERIC}))
        error = ckan.told[-1].error
        assert (told["status"], error["code"], error["line"]) == ("FAILED", "value_refused", 8)
        assert ckan.told.tasks[-1] == ("load", Status.FAILED)
        assert len(ckan.told.merged("rejects")) == 2
        assert (sink.live, sink.discarded, tree(store)) == (None, 1, [])

    def test_a_key_that_is_not_unique_is_told_by_its_lines(self, store):
        class Doubled(MemorySink):
            def publish(self, *, rows, when):
                raise KeyNotUnique(key="k", count=1, found=[{"code": "key_again", "row": 3, "first": 1, "value": "x"}])

        sink = Doubled(k="text", n="numeric")
        ckan = MemoryCkan(b"k,n\nx,1\ny,2\nx,3\n", sink)
        carry_out(staged_run(ckan, store, {"write": "upsert", "key": ["k"]}))
        assert ckan.told[-1].error["line"] == 4
        assert [(r["line"], r["facts"]["first_line"]) for r in ckan.told.merged("rejects")] == [(4, 2)]

    @pytest.mark.parametrize(
        ("data", "params", "code", "task"),
        [
            (b"", {}, "file_empty", "sniff"),
            (b"a,b\n1\n", {}, "rows_refused", ""),
            (b"a,b\n1,2\n", {"write": "upsert", "key": ["nope"]}, "key_unusable", "infer"),
            (b"a,b\n1,2\n" * 100, {"max_size_bytes": 100}, "too_large", "fetch"),
        ],
    )
    def test_errors_are_those_of_a_run_in_one_piece(self, store, data, params, code, task):
        ckan = MemoryCkan(data)
        told = carry_out(staged_run(ckan, store, params))
        final, _, one = load(data, params)
        assert ckan.told[-1].error == final.error
        assert (told["status"], final.error["code"]) == ("FAILED", code)
        if task:
            assert ckan.told.tasks[-1] == one.tasks[-1] == (task, Status.FAILED)

    def test_a_defect_becomes_unexpected_without_its_text_in_the_message(self, store):
        ckan = MemoryCkan(DATA, MemorySink(fail_on=(0, RuntimeError("secret"))))
        carry_out(staged_run(ckan, store))
        error = ckan.told[-1].error
        assert (error["code"], error["facts"]["job_id"]) == ("unexpected", "11111111-1111-1111-1111-111111111111")
        assert "secret" not in ckan.told[-1].message

    def test_a_defect_is_raised_as_unexpected(self, store):
        ckan = MemoryCkan(DATA, MemorySink(fail_on=(0, RuntimeError("secret"))))
        run = staged_run(ckan, store)
        staged.fetch(run)
        (batch,) = staged.convert(run)
        with pytest.raises(Unexpected):
            staged.load(run, batch)

    @pytest.mark.parametrize(("done", "silent"), [(0, "fetch"), (1, "convert"), (2, "load"), (3, "publish")])
    def test_a_task_that_ended_without_a_word_is_named(self, store, done, silent):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store)
        steps = [staged.fetch, staged.convert, lambda run: staged.load(run, {"first": 0, "parts": 1})]
        for step in steps[:done]:
            step(run)
        assert staged.report(run)["status"] == "FAILED"
        error = ckan.told[-1].error
        assert (error["code"], error["facts"]) == ("task_failed", {"task": silent})

    def test_one_batch_of_many_that_ended_without_a_word(self, store):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, SMALL)
        staged.fetch(run)
        for batch in staged.convert(run)[:-1]:
            staged.load(run, batch)
        staged.report(run)
        assert ckan.told[-1].error["facts"] == {"task": "load"}

    def test_parts_that_are_gone_from_the_store_pass(self, store):
        run = staged_run(MemoryCkan(DATA), store, SMALL)
        staged.fetch(run)
        found = staged.convert(run)
        (part,) = store.rglob("part-00000.csv.gz")
        part.write_bytes(part.read_bytes()[:-9])
        with pytest.raises(StoreUnavailable, match="is not whole"):
            staged.load(run, found[0])
        part.unlink()
        with pytest.raises(StoreUnavailable, match="is not there"):
            staged.load(run, found[0])

    def test_a_sink_that_cannot_discard_hides_nothing(self, store):
        class Broken(MemorySink):
            def discard(self):
                raise DatastoreUnavailable

        ckan = MemoryCkan(b"", Broken())
        carry_out(staged_run(ckan, store))
        assert ckan.told[-1].error["code"] == "file_empty"


class TestReport:
    def test_without_a_store_the_result_that_publish_told_stands(self, store):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store)
        staged.fetch(run)
        for batch in staged.convert(run):
            staged.load(run, batch)
        published = staged.publish(run)
        assert ckan.told[-1].result.keys() >= {"rows", "fields", "sha256", "seconds"}
        lost = replace(run, access=replace(run.access, store="nowhere://x"))
        assert staged.report(lost, published)["status"] == "DONE"
        assert ckan.told[-1].message == "Done: 5000 rows."

    def test_a_store_that_is_not_set_fails_the_run_with_its_reason(self):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, "")
        with pytest.raises(StoreMisconfigured):
            staged.fetch(run)
        assert staged.report(run)["status"] == "FAILED"
        assert ckan.told[-1].error["code"] == "store_misconfigured"

    @pytest.mark.parametrize(
        ("conf", "field"),
        [
            ({"job_type": "DANCE"}, "job_type"),
            ({"contract": 99}, "contract"),
            ({"resource": {}}, "resource"),
            ({"params": {"threads": 0}}, "params.threads"),
        ],
    )
    def test_an_order_that_cannot_be_carried_out_fails_with_what_is_wrong(self, store, conf, field):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, **conf)
        with pytest.raises(OrderRefused):
            staged.fetch(run)
        assert staged.report(run)["status"] == "FAILED"
        assert ckan.told[-1].error["blame"] == "CONFIG"
        assert ckan.told[-1].error["facts"]["field"] == field

    @pytest.mark.parametrize("name", ["job_id", "site_url"])
    @pytest.mark.parametrize("value", ["", None, 7, ["x"]])
    def test_nobody_can_be_told_of_an_order_that_does_not_say_whose_it_is(self, store, name, value):
        run = staged_run(MemoryCkan(DATA), store, **{name: value})
        with pytest.raises(OrderRefused) as caught:
            staged.report(run)
        assert caught.value.facts == {"field": name}

    def test_an_order_of_another_ckan_gets_no_token(self, store):
        ckan = MemoryCkan(DATA)
        access = Access(("key",), site_url="https://other.example.org", store=str(store))
        run = staged_run(ckan, store, access=access)
        for task in (staged.fetch, staged.report):
            with pytest.raises(OrderRefused) as caught:
                task(run)
            assert caught.value.facts == {"field": "site_url"}
        assert list(ckan.told) == []


class TestStopping:
    @pytest.mark.parametrize("after", ["fetch", "convert", "load"])
    def test_a_job_that_is_cancelled_ends_quietly_and_leaves_nothing(self, store, after):
        ckan = MemoryCkan(DATA)

        def cancel(task):
            if task == after:
                ckan.status = Status.CANCELLED

        told = carry_out(staged_run(ckan, store), cancel)
        assert told == {"status": "STOPPED", "message": "the job is CANCELLED"}
        assert [report for report in ckan.told if report.error] == []
        assert (ckan.sink.live, tree(store)) == (None, [])

    def test_files_of_a_cancelled_run_go_although_no_task_comes_after(self, store):
        """Airflow skips `report` when CKAN has the run failed; the task that learns of it drops the files."""
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store, SMALL)
        staged.fetch(run)
        found = staged.convert(run)
        ckan.status = Status.CANCELLED
        with pytest.raises(JobStopped, match="CANCELLED"):
            staged.load(run, found[0])
        assert tree(store) == []
        with pytest.raises(JobStopped):
            staged.load(run, found[1])

    def test_files_stay_when_ckan_cannot_be_asked(self, store):
        ckan = MemoryCkan(DATA, MemorySink(fail_on=(0, JobStopped())))
        run = staged_run(ckan, store)

        def beat(report):
            raise GatewayUnreachable(url="x", seconds=0)

        ckan.beat = beat
        staged.fetch(run)
        (batch,) = staged.convert(run)
        with pytest.raises(JobStopped):
            staged.load(run, batch)
        assert tree(store) != []

    def test_a_sign_of_life_is_given_and_learns_of_the_end(self, store, monkeypatch):
        monkeypatch.setattr(work, "HEARTBEAT_S", 0.01)
        ckan = MemoryCkan(DATA)

        class Slow(MemorySink):
            def put(self, part):
                end = time.monotonic() + 60
                while ckan.beats < 2 and time.monotonic() < end:
                    time.sleep(0.01)
                ckan.status = Status.CANCELLED
                while time.monotonic() < end and not self.seen.is_set():
                    time.sleep(0.01)
                super().put(part)

        ckan.sink = Slow()
        run = staged_run(ckan, store, SMALL)
        connect = ckan.connect

        def noting(asked, access, stop):
            ckan.sink.seen = stop
            return connect(asked, access, stop)

        run = replace(run, connect=noting)
        staged.fetch(run)
        found = staged.convert(run)
        with pytest.raises(JobStopped):
            staged.load(run, found[0])
        assert ckan.beats >= 2
        assert ckan.sink.seen.is_set()
        assert [path for path in tree(store) if "error" in path] == []

    def test_a_lost_sign_of_life_is_no_failure(self, store, monkeypatch):
        monkeypatch.setattr(work, "HEARTBEAT_S", 0.001)
        ckan, lost = MemoryCkan(DATA), threading.Event()

        def beat(report):
            lost.set()
            raise GatewayUnreachable(url="x", seconds=0)

        ckan.beat = beat
        assert carry_out(staged_run(ckan, store))["status"] == "DONE"
        assert lost.is_set()

    def test_an_error_of_a_stopped_task_is_no_failure(self, store, monkeypatch):
        ckan = MemoryCkan(DATA)
        run = staged_run(ckan, store)
        stops = []

        def noting(asked, access, stop):
            stops.append(stop)
            return MemoryCkan.connect(ckan, asked, access, stop)

        class Interrupted(MemorySink):
            def put(self, part):
                stops[-1].set()
                raise DatastoreUnavailable("interrupted")

        ckan.sink = Interrupted()
        run = replace(run, connect=noting)
        staged.fetch(run)
        (batch,) = staged.convert(run)
        with pytest.raises(JobStopped):
            staged.load(run, batch)
        assert [path for path in tree(store) if "error" in path] == []

    @pytest.mark.parametrize("cancelled", [False, True], ids=["evicted", "cancelled"])
    @pytest.mark.parametrize("slow", ["put", "columns", "engine"])
    def test_sigterm_ends_a_task_at_once_and_its_folder_goes(self, store, tmp_path, slow, cancelled):
        """In a process of its own, as Airflow does it: well within the 5 s after which it kills.

        The files in the store stay for another try, unless the job is over.
        """
        code = f"""
import sys, time
from dataclasses import replace
from aircan.status import Status
sys.path.insert(0, {os.getcwd()!r})
from aircan import engine, staged
from tests.aircan.rig import MemorySink
from tests.aircan.staged_rig import MemoryCkan, staged_run

def ended():
    if {cancelled!r}:
        ckan.status = Status.CANCELLED
    print("working", flush=True)

def work(*given):
    ended()
    while not stops[-1].wait(0.05):
        pass
    raise RuntimeError("stopped")

class Slow(MemorySink):
    pass

if {slow!r} == "engine":
    def query(self, sql):
        ended()
        return rows(self, "SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 5")
    rows, engine.Engine.rows = engine.Engine.rows, query
else:
    setattr(Slow, {slow!r}, work)
ckan = MemoryCkan(b"a,b\\n" + b"1,2\\n" * 1000, Slow())
stops = []
def connect(asked, access, stop):
    stops.append(stop)
    return ckan.connect(asked, access, stop)
run = replace(staged_run(ckan, {str(store)!r}), connect=connect)
staged.fetch(run)
found = staged.convert(run)
staged.load(run, found[0])
"""
        (tmp_path / "tmp").mkdir()
        environ = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}

        def seconds():
            with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environ) as process:
                assert process.stdout.readline() == b"working\n"
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=60) == 128 + signal.SIGTERM
            return time.monotonic() - began

        assert any(seconds() < 4 for _ in range(3))  # a busy machine may let it wait for once
        assert list((tmp_path / "tmp").iterdir()) == []
        assert [path for path in tree(store) if "error" in path] == []
        assert bool(tree(store)) is not cancelled

from __future__ import annotations

import threading

import pytest

from aircan import reporting
from aircan.contract import Publish, Type
from aircan.errors import DatastoreUnavailable, JobStopped, LoadFailed, SourceMissing, ValueRefused
from aircan.run import run
from aircan.status import Status
from tests.aircan.rig import MemorySink, MemorySource, Told, load, loaded, order

DATA = b"id,name\n" + b"".join(b"%d,name %d\n" % (i, i) for i in range(5000))


def test_tasks_come_in_order_and_the_last_report_is_done():
    final, sink, told = load(DATA)
    steps = ["fetch", "sniff", "infer", "load", "publish"]
    assert told.tasks == [(step, status) for step in steps for status in (Status.RUNNING, Status.DONE)]
    assert told[-1] is final
    assert [report.status for report in told[:-1]] == [Status.RUNNING] * (len(told) - 1)
    assert (final.status, final.result["rows"], final.result["rejected"]) == (Status.DONE, 5000, 0)
    assert final.result["bytes"] == len(DATA)
    assert sink.when is Publish.SEARCHABLE
    assert sink.discarded == 0


def test_progress_tells_rows_and_bytes_at_the_end():
    _, _, told = load(DATA)
    counts = {"rows": 5000, "bytes": len(DATA), "total_bytes": len(DATA)}
    last = [r.progress for r in told if r.progress][-1]
    assert counts.items() <= last.items()


def test_a_small_load_takes_two_reports_for_each_task_and_one_for_the_end(monkeypatch):
    monkeypatch.setattr(reporting, "PROGRESS_S", 3600)
    _, _, told = load(DATA)
    assert len(told) == 2 * 5 + 1


def test_what_a_task_found_out_comes_with_its_end():
    _, _, told = load(b"a,b\nNA,1\n2,3\n")
    facts = {report.task.id: set(report.result) for report in told if report.task and report.result}
    assert "delimiter" in facts["sniff"]
    assert facts["infer"] == {"warnings"}


def test_what_a_task_found_out_before_it_failed_is_told():
    reporter = reporting.Reporter((told := []).append)

    def fail():
        with reporter.task("infer"):
            reporter.warn({"code": "no_rows"})
            raise LoadFailed

    with pytest.raises(LoadFailed):
        fail()
    assert [report.result for report in told] == [{}, {"warnings": [{"code": "no_rows"}]}]


def test_progress_never_goes_back_and_is_never_full_while_work_is_left():
    _, _, told = load(DATA, {"part_bytes": 1000})
    percents = [r.progress["percent"] for r in told if r.progress]
    assert percents == sorted(percents)
    assert percents[-1] < 100
    starts = {r.task.id: r.progress["percent"] for r in told if r.task and r.task.status is Status.RUNNING}
    assert starts == {"fetch": 0, "sniff": 3, "infer": 8, "load": 15, "publish": 45}


def test_many_parts_over_several_connections_hold_each_row_once():
    rows, _, _ = loaded(DATA, {"part_bytes": 1000, "load_connections": 4})
    assert rows == [[str(i), f"name {i}"] for i in range(5000)]


def test_a_sink_that_fails_ends_the_job_with_its_error():
    sink = MemorySink(fail_on=(2, ValueRefused(line=7, field="name", value="x")))
    final, _, told = load(DATA, {"part_bytes": 1000}, sink=sink)
    assert (final.status, final.error["code"], final.error["line"]) == (Status.FAILED, "value_refused", 7)
    assert told.tasks[-1] == ("load", Status.FAILED)
    assert (sink.live, sink.discarded) == (None, 1)


def test_a_value_that_the_database_refuses_is_found_in_the_file():
    """The sink knows the row of the table; a quoted line end above it moves the line of the file."""
    sink = MemorySink(fail_on=(0, ValueRefused(row=2, field="b", value="x")))
    final, _, _ = load(b'a,b\n"two\nlines",1\n3,4\n', sink=sink)
    assert (final.error["code"], final.error["line"]) == ("value_refused", 4)
    assert "line 4" in final.error["message"]


def test_a_value_that_the_database_refuses_is_found_behind_rejects():
    sink = MemorySink(fail_on=(0, ValueRefused(row=3, field="b", value="x")))
    data = b'a,b\n1,"x\ny"\nfirst,2\n3,4\nsecond,5\n\n6,7\n'
    final, _, _ = load(data, types={"a": Type.NUMERIC}, sink=sink)
    assert (final.error["code"], final.error["line"]) == ("value_refused", 8)


def test_an_unknown_exception_becomes_unexpected_without_its_text_in_the_message():
    sink = MemorySink(fail_on=(0, RuntimeError("secret")))
    final, _, _ = load(DATA, sink=sink)
    assert (final.error["code"], final.error["blame"]) == ("unexpected", "BUG")
    assert "secret" not in final.message
    assert sink.discarded == 1


def test_a_sink_that_cannot_discard_hides_nothing(caplog):
    class Broken(MemorySink):
        def discard(self):
            raise DatastoreUnavailable

    final, _, _ = load(b"", sink=Broken())
    assert final.error["code"] == "file_empty"


def test_unknown_job_type_is_refused():
    told = Told()
    asked = order()
    asked = type(asked)(**{**asked.__dict__, "job_type": "DANCE"})
    final = run(asked, source=MemorySource(DATA), sink=MemorySink(), tell=told)
    assert final.error["facts"] == {"field": "job_type"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_reject_share", 1.5),
        ("max_reject_share", "many"),
        ("load_connections", 0),
        ("load_connections", True),
        ("publish", "never"),
        ("date_order", "xyz"),
        ("max_size_bytes", -1),
    ],
)
def test_a_wrong_parameter_is_named(name, value):
    final, sink, _ = load(DATA, {name: value})
    assert (final.error["code"], final.error["facts"]) == ("order_refused", {"field": f"params.{name}"})
    assert sink.live is None


def test_source_that_is_missing():
    class Missing(MemorySource):
        def open(self):
            raise SourceMissing(name="x.csv")

    final, _, told = load(Missing(b""))
    assert final.error["code"] == "source_missing"
    assert told.tasks == [("fetch", Status.RUNNING), ("fetch", Status.FAILED)]


class TestStopping:
    def test_stopped_before_it_begins_ends_quietly(self):
        stop = threading.Event()
        stop.set()
        final, sink, told = load(DATA, stop=stop)
        assert final is None
        assert sink.discarded == 1
        assert [r.status for r in told if r.status is not Status.RUNNING] == []

    @pytest.mark.parametrize("at", range(11))
    def test_tell_that_raises_ends_quietly_wherever_it_does(self, at):
        sink, count = MemorySink(), [0]

        def tell(report):
            count[0] += 1
            if count[0] > at:
                raise JobStopped

        assert run(order(), source=MemorySource(DATA), sink=sink, tell=tell) is None
        assert count[0] == at + 1
        assert sink.discarded == 1

    def test_stopped_in_the_middle_of_loading(self):
        stop = threading.Event()

        class Stopping(MemorySink):
            def put(self, part):
                super().put(part)
                if part.number == 3:
                    stop.set()

        sink = Stopping()
        final, _, told = load(DATA, {"part_bytes": 500, "load_connections": 1}, sink=sink, stop=stop)
        assert final is None
        assert (sink.live, sink.discarded) == (None, 1)
        assert ("publish", Status.RUNNING) not in told.tasks

    def test_an_error_of_an_interrupted_sink_is_no_failure(self):
        """When a job is cancelled its COPY is cancelled too; what the sink then raises is no news."""
        stop = threading.Event()

        class Interrupted(MemorySink):
            def put(self, part):
                stop.set()
                raise DatastoreUnavailable("canceling statement due to user request")

        final, _, told = load(DATA, sink=Interrupted(), stop=stop)
        assert final is None
        assert [r for r in told if r.error] == []


class TestRejects:
    RAGGED = b"a,b\n" + b"1,2\n" * 95 + b"1\n" * 5

    def test_share_at_the_limit_is_accepted(self):
        final, sink, _ = load(self.RAGGED, {"max_reject_share": 0.05})
        assert (final.result["rows"], final.result["rejected"]) == (95, 5)
        assert len(sink.rows) == 95

    def test_share_above_the_limit_fails_and_tells_where(self):
        final, sink, told = load(self.RAGGED + b"1\n", {"max_reject_share": 0.05})
        assert final.error["code"] == "rows_refused"
        assert final.error["facts"] == {
            "rejected": 6,
            "rows": 101,
            "limit_percent": "5",
            "line": 97,
            "first": "1 cells instead of 2",
        }
        assert len(told.merged("rejects")) == 6
        assert (sink.fields, sink.live) == (None, None)

    def test_no_sound_row_fails_at_any_share(self):
        final, _, _ = load(b"a,b\n1\n", {"max_reject_share": 1})
        assert final.error["code"] == "rows_refused"

    def test_a_header_alone_is_a_table_of_no_rows(self):
        final, sink, told = load(b"a,b\n")
        assert (final.status, sink.rows) == (Status.DONE, [])
        assert told.merged("warnings") == [{"code": "no_rows"}]

    def test_only_the_first_are_told_but_all_are_counted(self):
        final, _, told = load(b"a,b\n1,2\n" + b"1\n" * 1700, {"max_rejects_kept": 1200})
        batches = [len(r.result["rejects"]) for r in told if "rejects" in r.result]
        assert (sum(batches), max(batches)) == (1200, 500)
        assert final.result["rejected"] == 1700

    def test_values_that_do_not_fit_a_persons_type_are_told_with_line_field_and_text(self):
        data = b'n,t\n1,"a\nb"\nx,c\n,\n3,d\ny,"e\nf"\n'
        rows, rejects, result = loaded(data, types={"n": Type.NUMERIC})
        assert rows == [["1", "a\nb"], ["3", "d"]]
        assert [(r["line"], r["code"], r["field"], r["value"], r["text"]) for r in rejects] == [
            (4, "value", "n", "x", "x,c"),
            (7, "value", "n", "y", 'y,"e\nf"'),
        ]
        assert result["rejected"] == 2

    def test_values_are_counted_beyond_those_that_are_kept(self):
        final, _, told = load(b"n\n1\n" + b"x\n" * 1500, {"max_rejects_kept": 3}, types={"n": Type.NUMERIC})
        assert len(told.merged("rejects")) == 3
        assert (final.result["rejected"], final.result["rows"]) == (1500, 1)


@pytest.mark.parametrize(("size", "fits"), [(99, False), (100, True), (101, True)])
def test_size_at_the_limit(size, fits):
    data = b"a,b\n" + b"1,2\n" * 24
    assert len(data) == 100
    final, _, _ = load(data, {"max_size_bytes": size})
    assert (final.status is Status.DONE) == fits
    if not fits:
        assert final.error["code"] == "too_large"


def test_nothing_is_left_in_the_folder_but_what_the_caller_removes(tmp_path):
    load(DATA, workdir=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"fetched", "rows.csv", "duckdb"}
    assert (tmp_path / "fetched").stat().st_mode & 0o077 == 0

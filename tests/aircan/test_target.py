"""What a file means for the table that is there."""

from __future__ import annotations

import pytest

from aircan.contract import Type, TypeChange, Write, Writing, Written
from aircan.errors import KeyNotUnique
from aircan.recipes.options import Options
from aircan.status import Status
from tests.aircan.rig import MemorySink, load


def write(data, mode, key=(), sink=None, **params):
    """Run a LOAD with `write`; return the final report, the sink, and what was told."""
    given = {"write": mode, **({"key": list(key)} if key else {}), **params}
    return load(data, given, sink=sink or MemorySink(k="text", n="numeric", d="date"))


def codes(told):
    return {said["code"]: said for said in told.merged("warnings")}


class TestReplace:
    def test_nothing_is_said_of_a_first_load_or_an_equal_one(self):
        for sink in (MemorySink(), MemorySink(k="text", n="numeric")):
            _, _, told = load(b"k,n\nx,1\n", sink=sink)
            assert told.merged("warnings") == []

    def test_a_type_that_changed_is_said_with_the_first_value_that_broke_it(self):
        final, sink, told = load(b"k,n\nx,1\ny,2\nz,n.a.\n", sink=MemorySink(k="text", n="numeric"))
        said = codes(told)["type_changed"]
        assert (said["field"], said["old"], said["new"]) == ("n", "numeric", "text")
        assert (said["line"], said["value"]) == (4, "n.a.")
        assert (final.status, sink.live_fields[1].type) == (Status.DONE, Type.TEXT)

    def test_a_type_that_changed_may_fail_the_run_before_anything_is_made(self):
        params = {"on_type_change": "fail"}
        final, sink, told = load(b"k,n,d\n1,1\ny,n.a.,3\n4,2,2\n", params, sink=MemorySink(k="numeric", n="numeric"))
        assert (final.error["code"], sink.fields, sink.live) == ("types_changed", None, None)
        assert final.error["facts"]["fields"] == "k, n"
        assert "k from numeric to text because of y in line 3" in final.error["message"]
        assert [one["field"] for one in final.error["facts"]["columns"]] == ["k", "n"]
        assert [s["field"] for s in told.merged("warnings") if s["code"] == "type_changed"] == ["k", "n"]

    def test_other_differences_do_not_fail_it(self):
        final, _, told = load(b"n,new\n1,x\n", {"on_type_change": "fail"}, sink=MemorySink(k="text", n="numeric"))
        assert final.status is Status.DONE
        assert codes(told)["columns_added"]["fields"] == ["new"]
        assert codes(told)["columns_removed"]["fields"] == ["k"]

    def test_a_type_that_a_person_chose_is_no_news(self):
        params = {"on_type_change": "fail"}
        final, _, told = load(b"n\n1\n", params, types={"n": Type.TEXT}, sink=MemorySink(n="numeric"))
        assert (final.status, codes(told)) == (Status.DONE, {})

    def test_a_column_at_the_same_place_with_the_same_type_may_be_renamed(self):
        _, _, told = load(b"key,m,d\nx,1,2024-01-01\n", sink=MemorySink(k="text", n="text", d="date"))
        renamed = [(s["old"], s["new"]) for s in told.merged("warnings") if s["code"] == "column_renamed"]
        assert renamed == [("k", "key")]

    def test_another_order_is_said(self):
        _, _, told = load(b"n,k\n1,x\n", sink=MemorySink(k="text", n="numeric"))
        assert list(codes(told)) == ["columns_reordered"]

    def test_a_type_of_the_api_is_named_as_it_is(self):
        sink = MemorySink(n="numeric")
        sink.there = [type(sink.there[0])("n", "n", Type.NUMERIC, {"code": "table", "type": "integer"})]
        _, _, told = load(b"n\n1\n", sink=sink)
        assert (codes(told)["type_changed"]["old"], codes(told)["type_changed"]["new"]) == ("integer", "numeric")


class TestMerge:
    def test_the_types_of_the_table_win_and_what_does_not_fit_is_a_reject(self):
        final, sink, told = write(b"k,n,d\n1,1,2024-01-01\n2,x,2024-01-02\n", "append")
        assert [field.type.value for field in sink.live_fields] == ["text", "numeric", "date"]
        assert {field.reason["code"] for field in sink.live_fields} == {"table"}
        assert (final.result["rows"], final.result["rejected"]) == (1, 1)
        assert [(r["line"], r["field"], r["value"]) for r in told.merged("rejects")] == [(3, "n", "x")]
        assert final.result["written"] == Written(1, 1).to_dict()

    def test_the_sink_is_told_how(self):
        _, sink, _ = write(b"k,n\n1,1\n", "upsert", ["k", "n"])
        assert sink.writing == Writing(Write.UPSERT, ("k", "n"))

    @pytest.mark.parametrize("mode", ["append", "upsert"])
    def test_columns_that_the_table_has_not_are_listed(self, mode):
        final, sink, _ = write(b"k,more,n,less\n1,1,1,1\n", mode, ["k"] if mode == "upsert" else ())
        assert (final.error["code"], sink.fields) == ("columns_differ", None)
        assert final.error["facts"] == {"fields": "more, less", "columns": "k, n, d"}

    @pytest.mark.parametrize(("mode", "code"), [("append", "columns_left_empty"), ("upsert", "columns_kept")])
    def test_columns_that_the_file_has_not_are_said(self, mode, code):
        final, _, told = write(b"k\n1\n", mode, ["k"] if mode == "upsert" else ())
        assert (final.status, codes(told)[code]["fields"]) == (Status.DONE, ["n", "d"])

    def test_columns_besides_the_key_are_ignored_when_rows_are_deleted(self):
        final, sink, told = write(b"x,n,d\na,1,no date\nb,2,2024-01-01\n", "delete", ["n"])
        assert (final.status, final.result["rejected"]) == (Status.DONE, 0)
        assert [f.type.value for f in sink.live_fields] == ["text", "numeric", "text"]
        assert codes(told)["columns_ignored"]["fields"] == ["x", "d"]

    def test_a_first_append_infers_the_types(self):
        _, sink, _ = write(b"k,n\nx,1\n", "append", sink=MemorySink())
        assert [(f.type.value, f.reason["code"]) for f in sink.live_fields] == [
            ("text", "words"),
            ("numeric", "number"),
        ]

    @pytest.mark.parametrize(
        ("key", "there", "reason"),
        [
            ("x", {"k": "text"}, "the file has no such column"),
            ("n", {"k": "text"}, "the table has no such column"),
            ("k", {"k": "json", "n": "numeric"}, "its values are nested"),
        ],
    )
    def test_a_key_that_cannot_be_one(self, key, there, reason):
        final, sink, _ = write(b"k,n\n[],1\n", "delete", [key], sink=MemorySink(**there))
        assert (final.error["code"], final.error["facts"]) == ("key_unusable", {"field": key, "reason": reason})
        assert sink.fields is None

    def test_rows_with_a_key_that_is_not_unique_are_named_by_their_lines(self):
        class NotUnique(MemorySink):
            def publish(self, *, rows, when):
                found = [
                    {"code": "key_missing", "row": 2, "first": None, "value": ""},
                    {"code": "key_again", "row": 4, "first": 1, "value": "a"},
                ]
                raise KeyNotUnique(key="k", count=2, found=found)

        data = b'k,n\n"a",1\nb,wrong\n,"\n3\n"\nc,4\na,5\n'  # the rows of lines 2, 4, 7 and 8 are loaded
        final, _, told = write(data, "upsert", ["k"], sink=NotUnique(k="text", n="numeric"))
        assert (final.error["code"], final.error["line"]) == ("key_not_unique", 4)
        assert "found" not in final.error["facts"]
        assert "the key is empty in line 4" in final.error["message"]
        named = [(r["line"], r["code"], r["facts"].get("first_line")) for r in told.merged("rejects")]
        assert named == [(3, "value", None), (4, "key_missing", None), (8, "key_again", 2)]


@pytest.mark.parametrize(
    ("params", "wrong"),
    [
        ({"write": "overwrite"}, "write"),
        ({"write": "upsert"}, "key"),
        ({"write": "delete", "key": []}, "key"),
        ({"write": "append", "key": "k"}, "key"),
        ({"key": ["k", "k"]}, "key"),
        ({"write": "upsert", "key": "k"}, "key"),
        ({"write": "upsert", "key": ["k", "k"]}, "key"),
        ({"write": "upsert", "key": [1]}, "key"),
        ({"on_type_change": "ask"}, "on_type_change"),
    ],
)
def test_a_wrong_parameter_is_named(params, wrong):
    final, sink, _ = load(b"k,n\n1,1\n", params)
    assert (final.error["code"], final.error["facts"]) == ("order_refused", {"field": f"params.{wrong}"})
    assert sink.fields is None


def test_parameters_that_are_not_given():
    options = Options.of({})
    assert (options.writing, options.on_type_change) == (Writing(), TypeChange.ADOPT)


def test_a_key_that_is_kept_for_later_does_not_matter_now():
    assert Options.of({"key": ["k"]}).writing == Writing()
    assert Options.of({"key": ["k"], "write": "append"}).writing == Writing(Write.APPEND)

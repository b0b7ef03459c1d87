"""The folder as a sink: what a second run into it knows and may do."""

from __future__ import annotations

import json

from aircan.contract import Type
from aircan.folder import FolderSink
from aircan.status import Status
from tests.aircan.rig import load


def test_the_columns_of_an_earlier_run_are_known(tmp_path):
    assert FolderSink(tmp_path / "out").columns() is None
    load(b"k,n\nx,1\n", sink=FolderSink(tmp_path / "out"))
    found = FolderSink(tmp_path / "out").columns()
    assert [(f.id, f.type, f.reason) for f in found] == [
        ("k", Type.TEXT, {"code": "table"}),
        ("n", Type.NUMERIC, {"code": "table"}),
    ]


def test_a_second_run_says_what_is_new_and_may_be_kept_from_changing_types(tmp_path):
    load(b"k,n\nx,1\n", sink=FolderSink(tmp_path))
    final, _, told = load(b"k,n\nx,one\n", {"on_type_change": "fail"}, sink=FolderSink(tmp_path))
    assert final.error["code"] == "types_changed"
    assert [warning["code"] for warning in told.merged("warnings")] == ["type_changed"]


def test_rows_cannot_be_added_to_a_folder_and_what_is_there_stays(tmp_path):
    load(b"k,n\nx,1\n", sink=FolderSink(tmp_path))
    final, _, _ = load(b"k,n\ny,2\n", {"write": "append"}, sink=FolderSink(tmp_path))
    assert (final.status, final.error["facts"]) == (Status.FAILED, {"field": "params.write", "write": "append"})
    assert "write=append" in final.error["message"]
    assert (tmp_path / "part-00000.csv").read_text() == "1,x,1\n"
    assert len(json.loads((tmp_path / "fields.json").read_text())) == 2

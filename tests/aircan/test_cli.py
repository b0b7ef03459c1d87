from __future__ import annotations

import json

import pytest

from aircan import __version__
from aircan.cli import main
from tests.aircan.rig import SAMPLES, order


@pytest.fixture
def order_file(tmp_path):
    path = tmp_path / "order.json"
    path.write_text(json.dumps(order({"max_reject_share": 0.9}).to_dict()), encoding="utf-8")
    return path


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.strip() == f"aircan {__version__}"


def test_sniff_tells_columns_types_and_reasons(capsys):
    assert main(["sniff", str(SAMPLES / "codes_with_leading_zeros.csv")]) == 0
    out = capsys.readouterr().out
    assert "leading_zero: count 2, line 2, value '02124'" in out


def test_sniff_as_json(capsys):
    assert main(["sniff", "--json", "--param", "delimiter=:", str(SAMPLES / "delimiter_from_order.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["delimiter"], found["rows"], [f["id"] for f in found["fields"]]) == (":", 2, ["a", "b"])


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7", None])
def test_sniff_of_what_cannot_be_read(content, tmp_path, capsys):
    path = tmp_path / "x.csv"
    if content is not None:
        path.write_bytes(content)
    assert main(["sniff", str(path)]) == 1
    assert capsys.readouterr().err


def test_run_writes_parts_and_fields(order_file, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", str(order_file), "--file", str(SAMPLES / "ragged_rows.csv"), "--out", str(out)]) == 0
    assert (out / "part-00000.csv").read_text() == "1,1,2,3\n2,10,11,12\n"
    assert [f["id"] for f in json.loads((out / "fields.json").read_text())] == ["a", "b", "c"]
    assert "rejected: line 3: 2 cells instead of 3" in capsys.readouterr().out


def test_run_as_json_prints_each_report(order_file, tmp_path, capsys):
    file, out = SAMPLES / "one_column.csv", tmp_path / "out"
    assert main(["run", str(order_file), "--json", "--file", str(file), "--out", str(out)]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (reports[-1]["status"], reports[-1]["result"]["rows"]) == ("DONE", 4)


def test_run_that_fails_leaves_no_part(order_file, tmp_path, capsys):
    (tmp_path / "x.csv").write_bytes(b"")
    out = tmp_path / "out"
    assert main(["run", str(order_file), "--file", str(tmp_path / "x.csv"), "--out", str(out)]) == 1
    assert "file_empty" in capsys.readouterr().err
    assert list(out.glob("part-*")) == []


@pytest.mark.parametrize("text", ["no json", "{}"])
def test_run_of_a_wrong_order(text, tmp_path, capsys):
    (tmp_path / "order.json").write_text(text)
    assert main(["run", str(tmp_path / "order.json")]) == 1
    assert "order_refused" in capsys.readouterr().err

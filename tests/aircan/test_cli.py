from __future__ import annotations

import json

import pytest

from aircan import __version__
from aircan.cli import main
from tests.aircan.rig import SAMPLES, order

NO_DATA = (".md", ".py", ".pyc")
ONE_OF_EACH = [
    *(SAMPLES / f"{name}.csv" for name in ("no_header_below_a_title", "header_only", "blanks_before_quotes")),
    *{(p.parent, p.suffix): p for p in sorted(SAMPLES.parent.rglob("*.*")) if p.suffix not in NO_DATA}.values(),
]


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
    assert "text       leading_zero: 2 values, first in line 2: '02124'" in out


def test_sniff_tells_what_was_found_and_why(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("Bericht 2024;\n\nStadt;Preis;Code\nKöln;1,5;01\nBonn;NA;2\nUlm;3\nSumme;4,5;3\n".encode("cp1252"))
    assert main(["sniff", str(path)]) == 0
    assert (
        capsys.readouterr().out
        == """\
format         csv
encoding       cp1252  (guessed: not UTF-8, and its letters speak for no other encoding)
delimiter      ;  (75 % of the first records have as many cells as the header)
header_line    3  (what is above fills fewer cells than the records below)
header_rows    1
blank_records  0
rows           3
rejected       1

Stadt  text       words: line 4: 'Köln'
Preis  numeric    decimal_comma: 2 values, first in line 4: '1,5'
Code   text       leading_zero: 1 value, first in line 4: '01'

warning: encoding_guessed: encoding 'cp1252'
warning: lines_above: 1, first 'Bericht 2024;'
warning: null_words: Preis, 1 value, first in line 5: 'NA'
warning: totals_line: line 7: 'Summe'
rejected: line 6: 2 cells instead of 3
"""
    )


def test_sniff_takes_parameters_as_json_and_types(capsys, tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"n,t\n?,1\n1,x\n2,3\n")
    params = ["--param", 'null_words=["?"]', "--param", "header_rows=1", "--param", "strip=true", "--type", "t=numeric"]
    assert main(["sniff", *params, str(path)]) == 0
    out = capsys.readouterr().out
    assert "warning: null_words: n, 1 value, first in line 2: '?'" in out
    assert "rejected: line 3: x in column t is not of type numeric" in out
    assert [line.split() for line in out.splitlines() if line.startswith("rows")] == [["rows", "2"]]


@pytest.mark.parametrize(
    "arguments", [["--param", "strip"], ["--param", "strip=7"], ["--type", "t"], ["--type", "t=int"]]
)
def test_sniff_refuses_what_it_does_not_understand(arguments, capsys):
    assert main(["sniff", *arguments, str(SAMPLES / "one_column.csv")]) == 1
    assert "order_refused" in capsys.readouterr().err


@pytest.mark.parametrize("path", ONE_OF_EACH, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_sniff_prints_something_for_every_kind_of_file(path, capsys):
    code = main(["sniff", str(path)])
    told = capsys.readouterr()
    assert (code == 0 and told.out.startswith("format") and not told.err) or (code == 1 and ": " in told.err)


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


def test_run_as_a_worker_needs_a_key_and_an_address(order_file, monkeypatch, capsys):
    monkeypatch.setenv("KEY_OF_A_TEST", "")
    order = {**json.loads(order_file.read_text()), "site_url": "http://127.0.0.1:1"}
    order_file.write_text(json.dumps(order))
    assert main(["run", str(order_file), "--key-env", "KEY_OF_A_TEST"]) == 1
    assert "token_refused" in capsys.readouterr().err
    monkeypatch.setenv("KEY_OF_A_TEST", "geheim")
    order_file.write_text(json.dumps({**order, "site_url": ""}))
    assert main(["run", str(order_file), "--key-env", "KEY_OF_A_TEST"]) == 1
    told = capsys.readouterr()
    assert "site_url" in told.err
    assert "geheim" not in told.err + told.out


def test_run_goes_into_a_folder_or_into_ckan(order_file, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["run", str(order_file), "--out", str(tmp_path), "--key-env", "X"])
    assert caught.value.code == 2
    assert "not allowed with" in capsys.readouterr().err

"""How often a file is read to decide its types, and that the quick look decides as counting does."""

from __future__ import annotations

import random

import pytest

from aircan.columns import counting, values
from aircan.columns.rules import Rules
from aircan.contract import Type
from aircan.engine import Engine
from aircan.ports import never
from aircan.steps.infer import infer
from aircan.steps.sniff import sniff
from aircan.table import Rejects
from tests.aircan.rig import loaded

READINGS = [
    *values.inferred(Rules(), comma_possible=True),
    *(reading for kind in values.PERSONS for reading in values.chosen(kind, Rules(), comma_possible=True)),
]
NUMBERS = [str(n) for n in range(2500)]


class Counted(Engine):
    """An engine that counts the queries which read a file to its end."""

    passes = 0

    def row(self, sql):
        self.passes += 1
        return super().row(sql)


def decided(columns, folder, types=None, **rules):
    """Return what is decided of a file with these columns of cells, and how often it was read."""
    path = folder / "file.csv"
    header = ",".join(f"name{i}" for i in range(len(columns)))
    path.write_text("\n".join([header, *map(",".join, zip(*columns, strict=True))]) + "\n", encoding="utf-8")
    table = sniff(path, params={}, workdir=folder, rejects=Rejects(0, list), stop=never())
    with Counted(folder, stop=never(), memory_mb=table.memory_mb) as engine:
        return infer(table, engine, types=types or {}, rules=Rules(**rules)).columns, engine.passes


def test_many_columns_are_decided_in_one_pass(tmp_path):
    columns, passes = decided([["1", "2.5", "", "-3"]] * 100 + [["2024-02-29", "", "", ""]] * 50, tmp_path)
    assert [column.field.type for column in columns] == [Type.NUMERIC] * 100 + [Type.DATE] * 50
    assert passes == 1


def test_more_columns_than_sums_at_once_take_more_passes(tmp_path):
    most = counting.SUMS_AT_ONCE
    assert decided([["1"]] * most, tmp_path)[1] == 1
    assert decided([["1"]] * (most + 1), tmp_path)[1] == 2


def test_a_blank_column_needs_no_second_look(tmp_path):
    columns, passes = decided([["", "", ""], ["1", "2", "3"]], tmp_path)
    assert [column.field.reason["code"] for column in columns] == ["blank", "number"]
    assert passes == 1


@pytest.mark.parametrize(
    ("late", "kind", "nulls", "changed"),
    [
        ("7", Type.NUMERIC, 0, False),
        ("", Type.NUMERIC, 0, False),
        ('""', Type.NUMERIC, 0, True),
        (" 7", Type.NUMERIC, 0, True),
        ("7\u00a0", Type.NUMERIC, 0, True),
        (" ", Type.NUMERIC, 0, True),
        ("NA", Type.NUMERIC, 1, True),
        ("-0", Type.TEXT, 0, False),
        ("-0.0e1", Type.TEXT, 0, False),
        ("-0.1", Type.NUMERIC, 0, False),
        ("1" * 1000, Type.NUMERIC, 0, False),
        ("1" * 1001, Type.TEXT, 0, False),
        ("x", Type.TEXT, 0, False),
    ],
)
def test_one_late_cell_decides(tmp_path, late, kind, nulls, changed):
    """It stands behind the sample, alone among numbers."""
    (column, other), _ = decided([[*NUMBERS, late], [*NUMBERS, "1"]], tmp_path)
    assert (column.field.type, column.field.nulls, column.changed) == (kind, nulls, changed)
    assert (other.field.type, other.changed) == (Type.NUMERIC, False)


def test_a_null_word_that_looks_like_a_value_is_none(tmp_path):
    (column,), _ = decided([[*NUMBERS, "-999", "-999"]], tmp_path, null_words=("-999",))
    assert (column.field.nulls, column.changed) == (2, True)


def test_misfits_of_a_persons_type_are_counted_behind_the_sample(tmp_path):
    (column,), _ = decided([[*NUMBERS, "x", "y"]], tmp_path, types={"name0": Type.NUMERIC})
    assert column.misfits == 2


def test_an_order_proven_late_takes_one_pass_and_one_for_the_proof(tmp_path):
    (column,), passes = decided([["01/02/2024"] * 2500 + ["31/01/2024"]], tmp_path)
    assert (column.field.layout, column.field.reason["line"]) == ("%d/%m/%Y", 2502)
    assert passes == 2


def test_a_table_without_rows_with_a_given_type():
    assert loaded(b"a,b\n", types={"a": Type.JSON})[0] == []


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: f"{reading.type.value} {reading.layout}")
def test_a_condition_is_null_for_null_and_for_nothing_else(tmp_path, reading):
    cells = ["", " ", "-0", "5.", "2023-02-29", "31/31/2024", "NA", "1" * 1001, "{", "\u0661", "true"]
    listed = ", ".join(f"({values.quote(cell)})" for cell in cells)
    with Engine(tmp_path, stop=never()) as engine:
        is_null = engine.rows(f"SELECT {reading.condition('v')} IS NULL FROM (VALUES {listed}, (NULL)) t(v)")
    assert is_null == [(False,)] * len(cells) + [(True,)]


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: f"{reading.type.value} {reading.layout}")
def test_only_lax_shapes_take_what_is_no_value(reading):
    """Those of a person's json, and of a person's boolean, which has the shape of NA and null."""
    assert reading.takes_only_values == (reading.shape not in ("(?s:.*)", "[A-Za-z01]{1,5}"))


@pytest.mark.parametrize("seed", range(12))
def test_the_quick_look_decides_as_counting_does(tmp_path, monkeypatch, seed):
    chance = random.Random(seed)
    kinds = [
        ["1", "2.50", "-3", "1.5E-3"], ["2024-02-29", "1999-12-31"], ["2024-02-29T10:00", "2024-02-29 10:00:01.5"],
        ["01/02/2024", "12/12/2024", "13/01/2024"], ["true", "false"], ["TRUE"], ["a", "b"], ["May 1, 2024"], [""],
    ]  # fmt: skip
    odd = ["", "NA", " 1", "x", "-0", "2023-02-29", '""', "13/13/2024", "True"]
    columns = []
    for _ in range(40):
        kind = chance.choice(kinds)
        cells = [chance.choice(kind) for _ in range(1100)]
        for _ in range(chance.choice([0, 0, 1, 3])):
            cells[chance.randrange(1100)] = chance.choice(odd)
        columns.append(cells)
    types = {f"name{chance.randrange(40)}": chance.choice(list(Type)) for _ in range(5)}
    quick, _ = decided(columns, tmp_path, types)
    monkeypatch.setattr(counting.Case, "is_testable", False)
    assert decided(columns, tmp_path, types)[0] == quick

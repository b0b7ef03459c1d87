from __future__ import annotations

import pytest

from aircan.columns import names


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Total", "Total"),
        ("  Total (kg)  ", "Total (kg)"),
        ("__private", "private"),
        ("_id", "id"),
        ('say "hi"', "say hi"),
        ("two\nlines\tx", "two lines x"),
        ("\ufeffid", "id"),
        ("a\x00b", "a b"),
        ("é" * 40, "é" * 31),
        ("x" * 63, "x" * 63),
        ("x" * 64, "x" * 63),
        ("_ _ ", ""),
        ("Größe", "Größe"),
    ],
)
def test_a_name_is_cleaned_as_ckan_wants_it(label, expected):
    assert names.clean(label) == expected


def test_ids_are_distinct_and_the_first_keeps_its_name():
    assert [f.id for f in names.fields(["a", "a", "a_2", "A", "", "", "column_5"])] == [
        "a", "a_3", "a_2", "A", "column_5", "column_6", "column_5_2",
    ]  # fmt: skip


def test_ids_that_become_equal_by_the_cut_are_distinct_within_63_bytes():
    ids = [f.id for f in names.fields(["é" * 40] * 12)]
    assert len(set(ids)) == 12
    assert max(len(name.encode()) for name in ids) <= 63
    assert ids[11].endswith("_12")


def test_label_is_the_headers_own_text():
    assert [f.label for f in names.fields([" a ", ""])] == [" a ", ""]

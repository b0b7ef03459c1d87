"""A load from begin to publish, through the sink as the library uses it."""

from __future__ import annotations

import pytest

from aircan.contract import Publish

from .conftest import fields, search

ROWS = [["a", "1.5"], ["b", None], [None, "3"]]
FIELDS = fields(t="text", n="numeric")


@pytest.mark.parametrize("when", list(Publish))
def test_rows_are_there_after_publish(load, resource, when):
    load(resource, FIELDS, ROWS, when=when)
    found = search(resource)
    assert found["total"] == 3
    assert [(r["_id"], r["t"], r["n"] and str(r["n"])) for r in found["records"]] == [
        (1, "a", "1.5"),
        (2, "b", None),
        (3, None, "3"),
    ]

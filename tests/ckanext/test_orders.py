"""What a submit may ask for: less than the site's options say, never more."""

from __future__ import annotations

import pytest

from ckanext.aircan_connector import orders

SITE = {
    "load_connections": 2,
    "threads": 2,
    "memory_mb": 64,
    "max_size_bytes": 1000,
    "max_rejects_kept": 10,
    "part_bytes": 2 << 20,
}


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        ({}, SITE),
        ({"load_connections": 1, "max_size_bytes": 10}, {**SITE, "load_connections": 1, "max_size_bytes": 10}),
        ({"load_connections": 16, "threads": 256, "memory_mb": 1 << 20}, SITE),
        ({"threads": "256"}, SITE),
        ({"part_bytes": 64 << 20}, SITE),
        ({"max_size_bytes": 0}, SITE),
        ({"max_rejects_kept": 0}, {**SITE, "max_rejects_kept": 0}),
        ({"max_rejects_kept": 10**9}, SITE),
        ({"threads": None}, {**SITE, "threads": None}),
        ({"threads": "many"}, {**SITE, "threads": "many"}),
        ({"threads": True}, {**SITE, "threads": True}),
        ({"delimiter": ";"}, {**SITE, "delimiter": ";"}),
    ],
)
def test_a_submit_stays_within_the_sites_bounds(asked, got):
    assert orders.bounded(asked, SITE) == got

"""What a load costs however few rows it has: transactions, and commits that wait for the disk."""

from __future__ import annotations

import pytest

from aircan.contract import Publish
from ckanext.aircan_connector.datastore import stage
from ckanext.aircan_connector.datastore.connect import Connections
from ckanext.aircan_connector.datastore.feed import Data

from .conftest import fields, part

ROWS = [["Ana"], ["Ben"]]

MOST = 13
"""Transactions of a load of one part, from its first statement to its last."""


@pytest.fixture
def transactions(monkeypatch) -> list[bool]:
    """For each transaction: whether its commit waits for the disk."""
    seen: list[bool] = []
    original = Connections.transaction

    def spy(self, **kwargs):
        seen.append(kwargs.get("lasting", True))
        return original(self, **kwargs)

    monkeypatch.setattr(Connections, "transaction", spy)
    return seen


@pytest.fixture
def waits(monkeypatch) -> list[bool]:
    """For each part that is copied: whether its commit waits as long as the server's settings say."""
    seen: list[bool] = []
    original = stage.put

    def spy(cursor, *args):
        cursor.execute("SELECT source = 'session' FROM pg_settings WHERE name = 'synchronous_commit'")
        seen.append(not cursor.fetchone()[0])
        return original(cursor, *args)

    monkeypatch.setattr(stage, "put", spy)
    return seen


@pytest.mark.parametrize("when", [Publish.COMPLETE, Publish.SEARCHABLE])
def test_a_load_takes_few_transactions(resource, sinks, transactions, when):
    sink = sinks(resource)
    sink.begin(fields(number="numeric"))  # CKAN 2.10 and 2.11 make an index for each column of texts
    sink.put(part([[1], [2]]))
    sink.publish(rows=2, when=when)
    assert len(transactions) <= MOST


def test_parts_of_a_run_in_ckan_do_not_wait_for_the_disk(resource, sinks, waits):
    sink = sinks(resource)
    sink.begin(fields(name="text"))
    sink.put(part(ROWS))
    sink.discard()
    assert waits == [False]


def test_a_part_from_outside_is_on_the_disk_before_it_is_answered(resource, sinks, waits):
    sink = sinks(resource)
    sink.begin(fields(name="text"))
    sink.take(0, 2, Data(part(ROWS).data))
    sink.discard()
    assert waits == [True]

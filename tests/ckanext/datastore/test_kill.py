"""A process that is killed with -9 in the middle of a load, for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aircan.contract import Publish, Write, Writing, Written
from ckanext.aircan_connector import config
from ckanext.aircan_connector.datastore import janitor

from ..conftest import soon
from .catalogue import leftovers, oid_of, snapshot
from .conftest import fields, part, search

PROGRAM = """
import sys
from ckanext.aircan_connector import config
config.datastore_write_url, config.work_memory_mb = lambda: sys.argv[1], lambda: 0
from ckanext.aircan_connector.datastore.sink import DirectSink
from aircan.contract import Field, Part, Type
sink = DirectSink(sys.argv[3], sys.argv[2])
sink.begin([Field("a", "a")])
for number in range(10**6):
    sink.put(Part(number, 1, f"{number + 1},x\\n".encode()))
    if number == 100:
        print(number, flush=True)
"""


MERGE = """
import sys, time
from ckanext.aircan_connector import config
config.datastore_write_url, config.work_memory_mb = lambda: sys.argv[1], lambda: 0
from ckanext.aircan_connector.datastore import merge
from ckanext.aircan_connector.datastore.sink import DirectSink
from aircan.contract import Field, Part, Publish, Write, Writing
where = sys.argv[4]
def hang():
    print("there", flush=True)
    time.sleep(600)
append = merge._WAYS[Write.APPEND]
def hanging(*args):
    done = append(*args)
    hang()
    return done
if where == "before the commit":
    merge._WAYS[Write.APPEND] = hanging
else:
    merge.tidy_up = lambda *args: hang()
sink = DirectSink(sys.argv[3], sys.argv[2])
sink.begin([Field("a", "a")], Writing(Write.APPEND))
sink.put(Part(0, 2, b"1,x\\n2,y\\n"))
sink.publish(rows=2, when=Publish.SEARCHABLE)
"""


@contextmanager
def process(program: str, *arguments: str) -> Iterator[subprocess.Popen]:
    """Run a program that gets the address of the DataStore first; kill it with -9 at the latest in the end."""
    command = [sys.executable, "-c", program, config.datastore_write_url(), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as made:
        try:
            yield made
        finally:
            made.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(("where", "total"), [("before the commit", 1), ("after the commit", 3)])
def test_killed_while_it_appends(load, sinks, query, where, total):
    resource, job_id = str(uuid.uuid4()), str(uuid.uuid4())
    load(resource, fields(a="text"), [["old"]])
    with process(MERGE, resource, job_id, where) as merging:
        assert merging.stdout.readline() == "there\n"
        assert search(resource)["total"] == total
    assert search(resource)["total"] == total
    assert janitor.was_published(job_id) is (total == 3)
    again = sinks(resource, job_id=job_id)  # a factory that tries the same job again
    again.begin(fields(a="text"), Writing(Write.APPEND))
    again.put(part([["x"], ["y"]]))
    assert again.publish(rows=2, when=Publish.SEARCHABLE) == Written(3, added=2)
    assert [r["a"] for r in search(resource, sort="_id")["records"]] == ["old", "x", "y"]
    again.forget()
    assert leftovers(query) == []


def test_the_old_table_is_as_it_was_and_the_janitor_sweeps(load, query):
    resource, job_id = str(uuid.uuid4()), str(uuid.uuid4())
    load(resource, fields(a="text"), [["old"]])
    before = (oid_of(query, resource), snapshot(query, resource))
    with process(PROGRAM, resource, job_id) as loading:
        assert loading.stdout.readline() == "100\n"
    assert len(leftovers(query)) >= 3
    assert (oid_of(query, resource), snapshot(query, resource)) == before
    assert search(resource)["total"] == 1
    assert janitor.drop_orphans([job_id], older_than_s=0) == []
    soon(lambda: janitor.drop_orphans([], older_than_s=0))
    assert leftovers(query) == []

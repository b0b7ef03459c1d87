"""A process that is killed with -9 in the middle of a load, for real."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid

from ckanext.aircan_connector import config
from ckanext.aircan_connector.datastore import janitor

from .catalogue import leftovers, oid_of, snapshot
from .conftest import fields, search

PROGRAM = """
import sys
from ckanext.aircan_connector import config
config.datastore_write_url = lambda: sys.argv[1]
from ckanext.aircan_connector.datastore.sink import DirectSink
from aircan.contract import Field, Part, Type
sink = DirectSink(sys.argv[3], sys.argv[2])
sink.begin([Field("a", "a")])
for number in range(10**6):
    sink.put(Part(number, 1, f"{number + 1},x\\n".encode()))
"""


def test_the_old_table_is_as_it_was_and_the_janitor_sweeps(load, query):
    resource, job_id = str(uuid.uuid4()), str(uuid.uuid4())
    load(resource, fields(a="text"), [["old"]])
    before = (oid_of(query, resource), snapshot(query, resource))
    args = [sys.executable, "-c", PROGRAM, config.datastore_write_url(), resource, job_id]
    process = subprocess.Popen(args)
    deadline = time.monotonic() + 60
    while len(leftovers(query)) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(leftovers(query)) >= 3
    assert (oid_of(query, resource), snapshot(query, resource)) == before
    assert search(resource)["total"] == 1
    assert janitor.drop_orphans([job_id], older_than_s=0) == []
    while not janitor.drop_orphans([], older_than_s=0) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert leftovers(query) == []

"""A LOAD as tasks on different machines: fetch, convert, load (many at once), publish, report.

    run = Run(conf, dag_id, run_id, Access.of(connection))
    fetch(run)
    batches = convert(run)
    for batch in batches:           # each may run on a machine of its own, all at the same time
        load(run, batch)
    report(run, publish(run))       # `report` in any case, also when a task before it failed

Plain functions that an Airflow DAG, or any other factory, calls. Every task may be run again at any moment; what
they hand on goes through the store, what they return is small and holds no data. Imports `recipes`, `remote`, `store`.
"""

from __future__ import annotations

from aircan.staged.access import Access, connection, connection_id
from aircan.staged.finish import report
from aircan.staged.outside import Ports, Run
from aircan.staged.steps import step
from aircan.staged.tasks import convert, fetch, load, publish

__all__ = [
    "Access",
    "Ports",
    "Run",
    "connection",
    "connection_id",
    "convert",
    "fetch",
    "load",
    "publish",
    "report",
    "step",
]

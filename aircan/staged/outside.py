"""A run seen from one of its tasks: its order, its store, and the ports to its CKAN. Imports `remote` and `store`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from aircan.contract import Order
from aircan.errors import AircanError, JobStopped, OrderRefused
from aircan.keys import run_token
from aircan.net.sources import LinkSource
from aircan.ports import Sink, Source, Stop, Tell
from aircan.remote import Gateway, HttpSink, HttpSource, HttpTell
from aircan.remote.patience import Waiting
from aircan.staged.access import Access, Connection
from aircan.store import Store

log = logging.getLogger(__name__)

JOB_TYPE = "LOAD"


@dataclass(frozen=True)
class Ports:
    """The ports of a task.

    Attributes:
        source: the file of the order.
        sink: takes the rows.
        tell: takes the reports.
        beat: takes the signs of life, from another thread; gives up at once where `tell` is patient.
        arrived: returns the rows of all parts in the table, those of other tasks included, as far as it is known.
        is_over: tells whether CKAN calls another job of it final; False when it cannot be asked.
        close: closes all of them.
    """

    source: Source
    sink: Sink
    tell: Tell
    beat: Tell
    arrived: Callable[[], int]
    is_over: Callable[[str], bool]
    close: Callable[[], None]


Connect = Callable[[Order, Access, Stop], Ports]
"""Makes the ports of an order for one task."""


def over_http(order: Order, access: Access, stop: Stop) -> Ports:
    """Return the ports to the CKAN of an order, through its gateway. A link is fetched from where it leads to."""
    gateway = Gateway(order.site_url, order.job_id, access.keys, waiting=Waiting(stop=stop))
    hasty = Gateway(order.site_url, order.job_id, access.keys, waiting=Waiting(patience_s=0, stop=stop))
    link, sink = order.resource.url_type != "upload", HttpSink(gateway)

    def is_over(job_id: str) -> bool:
        other = Gateway(order.site_url, job_id, access.keys, waiting=Waiting(patience_s=0, stop=stop))
        try:
            other.ask("GET", "/publish")
        except JobStopped:
            return True
        except AircanError as exc:
            log.info("Whether job %s is over cannot be asked: %s", job_id, exc.code, extra={"action": "not_asked"})
        finally:
            other.close()
        return False

    def close() -> None:
        gateway.close()
        hasty.close()

    return Ports(
        source=LinkSource.of(order.resource, allow_hosts=access.allow_hosts) if link else HttpSource(gateway),
        sink=sink,
        tell=HttpTell(gateway),
        beat=HttpTell(hasty),
        arrived=lambda: sink.arrived,
        is_over=is_over,
        close=close,
    )


class DagRun(Protocol):
    """What is read of an Airflow DagRun."""

    conf: dict[str, Any] | None
    dag_id: str
    run_id: str


@dataclass(frozen=True)
class Run:
    """A run, as the factory tells each of its tasks.

    Attributes:
        conf: the order, as CKAN gave it.
        dag_id, run_id: the names of the run at the factory; its folder in the store.
        access: what the worker knows beside it.
        connect: makes the ports; tests have others than `over_http`.
    """

    conf: Mapping[str, Any]
    dag_id: str
    run_id: str
    access: Access = field(repr=False)
    connect: Connect = over_http

    @classmethod
    def of(cls, dag_run: DagRun, connection: Connection) -> Run:
        """Return the run of an Airflow DagRun, whose conf is the order; `connection`: see `Access.of`."""
        return cls(dag_run.conf or {}, dag_run.dag_id, dag_run.run_id, Access.of(connection))

    @property
    def secrets(self) -> list[str]:
        """What must stand in no log: the keys, and the run tokens made of them."""
        tokens = [run_token(key, str(self.conf.get("job_id") or "")) for key in self.access.keys]
        return [*self.access.keys, *tokens]

    def store(self) -> Store:
        """Open the store of the run. Raises StoreMisconfigured."""
        return Store(self.access.store, self.dag_id, self.run_id, options=self.access.store_options)

    def order(self) -> Order:
        """Return the order. Raises OrderRefused when it is none that this worker may or can carry out."""
        order = Order.from_dict(self.conf)
        self.access.check(order.site_url)
        if order.job_type != JOB_TYPE:
            raise OrderRefused(f"these tasks carry out {JOB_TYPE}", field="job_type")
        return order

"""A LOAD through a CKAN's own API, as one task of a DAG. Imports `apisink`, `remote`, `run` and `staged`."""

from __future__ import annotations

import contextlib
import logging
import os
import posixpath
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from aircan import progress, scratch
from aircan.apisink import ApiSink
from aircan.ckanapi import CkanApi
from aircan.contract import Dataset, Order, Report, Resource
from aircan.errors import AircanError, JobStopped, OrderRefused, from_dict
from aircan.keys import run_token
from aircan.net.sources import LinkSource
from aircan.ports import Tell
from aircan.remote import Gateway, HttpTell
from aircan.remote.patience import Waiting
from aircan.run import run as carry_out
from aircan.staged.access import Access, Connection
from aircan.staged.outside import JOB_TYPE, DagRun
from aircan.staged.work import living, until_terminated
from aircan.status import Status

log = logging.getLogger(__name__)

CONNECTION = "aircan_ckan_api"
"""Id of the Airflow Connection, when the environment does not say AIRCAN_API_CONNECTION."""


def connection_id(environ: Mapping[str, str] = os.environ) -> str:
    """Return the id of the Airflow Connection that is read by `ApiRun.of`."""
    return environ.get("AIRCAN_API_CONNECTION") or CONNECTION


@dataclass(frozen=True)
class ApiRun:
    """A run, and the CKAN that it loads into.

    Attributes:
        conf: an order, as a CKAN with our extension gives it; or, from a person, {"resource_id"} and perhaps "url" (a
            link to read in place of the resource's own file) and "params".
        run_id: name of the run at the factory.
        site_url: address of the CKAN. Tokens go to this address only, whatever `conf` says.
        token: API token of somebody who may edit the dataset.
        keys: the factory's key where the CKAN has our extension, so that it can be told; () where it has not.
        allow_hosts: hosts with a private address that a link may lead to.
    """

    conf: Mapping[str, Any]
    run_id: str
    site_url: str
    token: str = field(repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)
    allow_hosts: Collection[str] = ()

    @classmethod
    def of(cls, dag_run: DagRun, connection: Connection) -> ApiRun:
        """Return the run of an Airflow DagRun.

        Args:
            dag_run: its conf is the order.
            connection: its host is the CKAN, its password the API token; its extra may hold key, previous_key and
                allow_hosts.

        Raises:
            OrderRefused: the connection lacks the address or the token.
        """
        access, extra = Access.of(connection), connection.extra_dejson
        if not access.site_url.startswith(("http://", "https://")):
            raise OrderRefused("the connection names no http(s) address", field="connection.host")
        if not connection.password:
            raise OrderRefused("the connection holds no API token", field="connection.password")
        keys = tuple(str(extra[name]) for name in ("key", "previous_key") if extra.get(name))
        return cls(dag_run.conf or {}, dag_run.run_id, access.site_url, connection.password, keys, access.allow_hosts)

    @property
    def secrets(self) -> list[str]:
        """What must stand in no log: token and keys, and the run tokens made of them."""
        job_id = str(self.conf.get("job_id") or "")
        return [self.token, *self.keys, *(run_token(key, job_id) for key in self.keys)]


def load(run: ApiRun) -> dict[str, Any]:
    """Carry the order out, and return {"status", "rows", "rejected"}.

    Raises:
        JobStopped: the job is final in CKAN; what was sent is taken back. AircanError: why the run FAILED.
    """
    with (
        until_terminated() as stop,
        scratch.folder() as folder,
        _teller(run, stop) as tell,
    ):
        workdir = Path(folder, "run")
        workdir.mkdir()
        with _reporting(tell):
            api = CkanApi(run.site_url, run.token, sleep=_sleeper(stop))
            order = _order(run, api)
            sink = ApiSink(api, order.resource.id, Path(folder, "parts"), progress=_Progress(tell), stop=stop)
            if not order.resource.types:
                order = replace(order, resource=replace(order.resource, types=sink.persons_types()))
        final = carry_out(order, source=_source(order, run), sink=sink, tell=tell, stop=stop, workdir=workdir)
    if final is None:
        raise JobStopped
    if final.error:
        raise from_dict(final.error)
    return {"status": final.status.value, "rows": final.result["rows"], "rejected": final.result["rejected"]}


def _sleeper(stop: threading.Event) -> Callable[[float], None]:
    """Return what waits for seconds, and raises JobStopped when the run is stopped meanwhile."""

    def sleep(seconds: float) -> None:
        if stop.wait(seconds):
            raise JobStopped

    return sleep


@contextlib.contextmanager
def _teller(run: ApiRun, stop: threading.Event) -> Iterator[Tell]:
    """Yield what takes the reports: the CKAN, when the run is one of its jobs and there is a key; else the log."""
    job_id = run.conf.get("job_id")
    if not job_id or not run.keys:
        yield _log
        return
    patient = Gateway(run.site_url, str(job_id), run.keys, waiting=Waiting(stop=stop))
    hasty = Gateway(run.site_url, str(job_id), run.keys, waiting=Waiting(patience_s=0, stop=stop))
    with contextlib.closing(patient), contextlib.closing(hasty), living(HttpTell(hasty), stop):
        yield HttpTell(patient)


def _log(report: Report) -> None:
    """Take a report where nobody else does."""
    said = report.message
    if report.task:
        said = f"{report.task.id}: {report.task.status.value} {report.message}".strip()
    elif report.progress:
        said = ", ".join(f"{name} {value}" for name, value in report.progress.items() if value is not None)
    if said:
        log.info("%s", said, extra={"action": "reported"})
    for warning in report.result.get("warnings") or ():
        log.warning("%s", warning, extra={"action": "warned"})
    for reject in report.result.get("rejects") or ():
        log.warning("Refused, line %s: %s", reject["line"], reject["code"], extra={"action": "row_refused"})


@contextlib.contextmanager
def _reporting(tell: Tell) -> Iterator[None]:
    """Tell that the run FAILED when the block does."""
    try:
        yield
    except JobStopped:
        raise
    except AircanError as exc:
        tell(Report(Status.FAILED, message=exc.message, error=exc.to_dict()))
        raise


class _Progress:
    """Tells the rows that are sent, which is nearly all of the time that a run takes."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._began = tell, time.monotonic()

    def __call__(self, rows: int, of: int) -> None:
        share = rows / of
        told = progress.told("publish", share, time.monotonic() - self._began)
        first, _ = progress.PLACES["publish"]
        told["percent"] = int(first + (99 - first) * share)
        self._tell(Report(Status.RUNNING, progress={**told, "rows": rows}))


def _order(run: ApiRun, api: CkanApi) -> Order:
    """Return the order of a CKAN, or make one of what a person said. Raises OrderRefused, ApiRefused."""
    if isinstance(run.conf.get("resource"), Mapping):
        order = Order.from_dict(run.conf)
        if order.job_type != JOB_TYPE:
            raise OrderRefused(f"this DAG carries out {JOB_TYPE}", field="job_type")
        return order
    given = run.conf.get("resource_id")
    if not given or not isinstance(given, str):
        raise OrderRefused(field="resource_id")
    shown = api.call("resource_show", id=given)
    link = str(run.conf.get("url") or "")
    resource = Resource(
        id=shown["id"],
        title=str(shown.get("name") or ""),
        path=link or str(shown.get("url") or ""),
        format=str(shown.get("format") or ""),
        mediatype=str(shown.get("mimetype") or ""),
        url_type="" if link else str(shown.get("url_type") or ""),
    )
    params = run.conf.get("params") or {}
    if not isinstance(params, Mapping):
        raise OrderRefused(field="params")
    return Order(run.run_id, JOB_TYPE, resource, Dataset(id=str(shown.get("package_id") or "")), dict(params))


def _source(order: Order, run: ApiRun) -> LinkSource:
    """Return where the file comes from: a link, or an upload as CKAN hands it to whoever has the token."""
    resource = order.resource
    if resource.url_type != "upload":
        return LinkSource.of(resource, allow_hosts=run.allow_hosts)
    name = posixpath.basename(urlsplit(resource.path).path) if "://" in resource.path else resource.path
    path = f"dataset/{quote(order.dataset.id)}/resource/{quote(resource.id)}/download/{quote(unquote(name))}"
    own = urlsplit(run.site_url)
    return LinkSource(
        f"{run.site_url.rstrip('/')}/{path}",
        headers={"Authorization": run.token},
        name=unquote(name),
        allow_hosts={*run.allow_hosts, own.hostname or "", own.netloc},
    )

"""What AirCan asks of a factory, in Airflow's terms. One request after the other; nothing is tried again here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

from aircan.contract import Order
from aircan.errors import (
    AircanError,
    DagBroken,
    DagPaused,
    FactoryMisconfigured,
    FactoryUnavailable,
    FactoryUnreachable,
    NotTheFactory,
    RunEnded,
    RunFailed,
    RunRefused,
)
from aircan.keys import run_token

from ... import config
from ..base import Capability, Checked, Factory, Handed, Health, Seen, State
from . import doctor, logs, ways
from .answers import NAME
from .api import Api, Run
from .detect import APIS, detect

STATES = {
    "queued": State.QUEUED,
    "running": State.WORKING,
    "success": State.SUCCEEDED,
    "failed": State.FAILED,
}
"""Airflow's states of a run. One that is not here is a newer Airflow's: the run is neither waiting nor over."""

HEALTH_S = 5
"""Seconds to wait for an answer when somebody asks after Airflow's health."""


class Airflow(Factory):
    """Hands runs over to Airflow as DagRuns with the job's id."""

    name = NAME
    title = "Apache Airflow"
    look_every_s = 5

    def __init__(self) -> None:
        """Make a factory from the options; nothing is asked yet."""
        self._way: ways.Way | None = None

    @property
    def capabilities(self) -> Capability:  # type: ignore[override]
        """What the version that is there can do; all that Airflow 3 can as long as it is not known."""
        try:
            way = self._way or ways.way(config.airflow_timeout_s())
        except FactoryUnavailable:
            return APIS["v2"].capabilities
        return APIS[way.memory.api or "v2"].capabilities & way.capabilities

    def keys(self) -> tuple[str, ...]:
        """Return the configured keys. Raises FactoryMisconfigured when there is none."""
        if keys := config.airflow_keys():
            return keys
        raise FactoryMisconfigured(factory=NAME, reason="there is no key for the tokens of its runs")

    @contextmanager
    def _asking(self, timeout_s: float | None = None) -> Iterator[Api]:
        """Give the API to ask. What was remembered of it is forgotten when something else answers."""
        way = self._way = self._way or ways.way(timeout_s or config.airflow_timeout_s())
        try:
            yield detect(way.link, config.airflow_api(), way.memory, bare=way.bare)
        except NotTheFactory:
            way.memory.api = ""
            raise

    def submit(self, order: Order) -> Handed:
        """Start a DagRun whose id is the job's. Sent twice, it is found to be there and to be ours."""
        self.keys()
        dag_id = order.dag_id or config.airflow_dag_id()
        order = dataclasses.replace(order, dag_id=dag_id, site_url=config.airflow_ckan_url())
        with self._asking() as api:
            dag = api.dag(dag_id)
            if dag.broken:
                raise DagBroken(factory=NAME, dag_id=dag_id, reason=dag.broken)
            if dag.paused and api.run(dag_id, order.job_id) is None:
                raise DagPaused(factory=NAME, dag_id=dag_id)
            if not api.trigger(dag_id, order.job_id, order.to_dict(), _note(order)):
                _make_sure(api.run(dag_id, order.job_id), order.job_id)
        return Handed(_id(dag_id, order.job_id))

    def find(self, job_id: str, dag_id: str) -> str | None:
        """Look for the run of a job that may have arrived though no answer came."""
        dag_id = dag_id or config.airflow_dag_id()
        with self._asking() as api:
            return None if api.run(dag_id, job_id) is None else _id(dag_id, job_id)

    def see(self, factory_id: str) -> Seen:
        """Ask for the run, its tasks, and where it failed for the last lines of the task that did."""
        dag_id, _, run_id = factory_id.partition("/")
        with self._asking() as api:
            run = api.run(dag_id, run_id) if run_id else None
            if run is None:
                return Seen(State.GONE)
            state = STATES.get(run.state, State.WORKING)
            seen = Seen(
                state=state,
                raw=run.state,
                tasks=api.tasks(dag_id, run_id),
                queued=run.queued,
                started=run.started,
                ended=run.ended,
                url=run.url,
            )
            if state is State.QUEUED and api.dag(dag_id).paused:
                return dataclasses.replace(seen, error=DagPaused(factory=NAME, dag_id=dag_id))
            return self._explained(api, dag_id, run_id, seen) if state is State.FAILED else seen

    def _explained(self, api: Api, dag_id: str, run_id: str, seen: Seen) -> Seen:
        """Say of a failed run which task failed first, and why."""
        failed = sorted((task for task in seen.tasks if task.state == "failed"), key=lambda task: task.ended or "~")
        if not failed:
            return dataclasses.replace(seen, error=RunEnded(factory=NAME))
        task = failed[0]
        secrets = [*config.airflow_keys(), config.airflow_password(), config.airflow_token()]
        secrets += [run_token(key, run_id) for key in config.airflow_keys()]
        lines: tuple[str, ...] = ()
        detail = ""
        try:
            lines = logs.tail(api.log(dag_id, run_id, task), secrets)
        except FactoryUnavailable as exc:
            detail = f"the log could not be had: {exc}"
        error = RunFailed(
            "\n".join(lines) or detail,
            factory=NAME,
            task=task.label,
            tries=task.tries,
            reason=logs.reason(lines) or "its log says nothing",
        )
        return dataclasses.replace(seen, error=error, log=lines)

    def cancel(self, factory_id: str) -> None:
        """End the run and its tasks, if it has not ended: a success must not become a failure."""
        dag_id, _, run_id = factory_id.partition("/")
        with self._asking() as api:
            run = api.run(dag_id, run_id)
            if run is not None and STATES.get(run.state) not in (State.SUCCEEDED, State.FAILED):
                api.stop(dag_id, run_id, "Cancelled in CKAN.")

    def is_set_up(self) -> bool:
        """Return whether there is an address, or an environment at Amazon."""
        return bool(config.airflow_url() or config.airflow_mwaa_environment())

    def examine(self, wait_s: float) -> Iterator[Checked]:
        """Look at everything that runs need; nothing more is asked where an answer is missing."""
        try:
            self.keys()
            yield Checked("airflow", True, "There is a key for the tokens of runs.")
            with self._asking(HEALTH_S) as api:
                yield from doctor.examine(api, wait_s)
        except AircanError as exc:
            yield doctor.of(exc)

    def health(self) -> Health:
        """Ask whether Airflow is there, lets us in, and has the DAG, not paused."""
        try:
            self.keys()
            with self._asking(HEALTH_S) as api:
                version = api.version()
                parts = {name: word for name, word in api.health().items() if word != "healthy"}
                dag = api.dag(config.airflow_dag_id())
                doctor.runnable(dag)
        except AircanError as exc:
            return Health(False, exc.message)
        if parts:
            said = ", ".join(f"{name} is {word}" for name, word in parts.items())
            return Health(False, f"Airflow {version} answers, but not all of it is well: {said}.", {"version": version})
        return Health(True, f"Airflow {version} answers, and its DAG {dag.dag_id} is there.", {"version": version})


def _id(dag_id: str, run_id: str) -> str:
    return f"{dag_id}/{run_id}"


def _note(order: Order) -> str:
    return f"CKAN: {order.resource.title or order.resource.id} in {order.dataset.title or order.dataset.name}"[:1000]


def _make_sure(run: Run | None, job_id: str) -> None:
    """Raise unless the run that has the job's id is the job's."""
    if run is None:
        raise FactoryUnreachable(factory=NAME, reason="it says that the run is there, and that it is not")
    if run.job_id != job_id:
        raise RunRefused(factory=NAME, reason="it has a run with this id that is not this site's")

"""What a CKAN background worker executes: hand a job over, carry it out, stop it, ask about it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from aircan import scratch
from aircan.contract import Order
from aircan.errors import AircanError, FactoryUnavailable, FactoryUnreachable, TookTooLong
from aircan.run import run
from aircan.status import Status

from . import config, factories, jobs, orders, publishing, reconcile, uploads
from .working import Sink, teller, watched

log = logging.getLogger(__name__)


def hand_over(job_id: str) -> None:
    """Hand a WAITING job to its factory, and carry it out here if that is what the factory wants."""
    job = jobs.get(job_id)
    if job is None or job["status"] != Status.WAITING.value or job["factory_id"] or not jobs.may_start(job):
        return
    try:
        order = orders.make(job)
        handed = factories.get(job["factory"]).submit(order)
    except FactoryUnreachable as exc:
        jobs.not_handed_over(job_id, exc)
        return
    except AircanError as exc:
        jobs.fail(job_id, exc)
        return
    if jobs.handed_over(job_id, handed.factory_id):
        if handed.here:
            carry_out(order, job["factory"])
    elif not jobs.is_active(job_id):  # cancelled while it was handed over
        _stop(job, handed.factory_id)


def stop(job_id: str) -> None:
    """Tell the factory of a cancelled job to stop."""
    if job := jobs.get(job_id):
        _stop(job, job["factory_id"])


def _stop(job: Mapping[str, Any], factory_id: str | None) -> None:
    """Stop a job's run; one whose hand-over got no answer is looked for first."""
    try:
        factory = factories.get(job["factory"])
        factory_id = factory_id or factory.find(job["id"], job["dag_id"] or "")
        if factory_id:
            factory.cancel(factory_id)
    except FactoryUnavailable as exc:
        log.warning("Job %s could not be stopped: %s", job["id"], exc, extra={"action": "job_not_stopped"})


def refresh(job_id: str) -> None:
    """Ask the factory of a silent job what became of it."""
    if job := jobs.get(job_id):
        reconcile.look_after(job)


def carry_out(order: Order, factory: str = "local") -> None:
    """Carry an order out in this process and report through the callback action."""
    tell = teller(order.job_id, factory)
    sink = Sink(order, tell)
    with watched(order, sink) as watcher:
        with scratch.folder(config.load_folder()) as folder:
            final = run(
                order,
                source=uploads.source(order.resource),
                sink=sink,
                tell=tell,
                stop=watcher.stopped,
                workdir=folder,
            )
        if final and final.status is Status.DONE:
            sink.forget()
    if watcher.overdue:
        jobs.fail(order.job_id, TookTooLong(limit_s=config.time_limit_s()))


def publish(job_id: str) -> None:
    """Publish what a worker outside CKAN has loaded through the gateway."""
    publishing.publish(job_id)

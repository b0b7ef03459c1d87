"""CKAN's background queue, seen by AirCan: put a run there, look for it, take it out.

Functions are enqueued by their dotted name, so nothing here imports the runner. Redis may be
down: nothing here waits for it longer than `TIMEOUT_S`, because a user's save may be waiting.
"""

from __future__ import annotations

import functools
import logging
from datetime import datetime, timedelta, timezone

import ckantoolkit as tk
import redis
import rq
from ckan.lib import jobs as ckan_jobs
from rq.exceptions import NoSuchJobError
from rq.job import Job as RqJob

from aircan.errors import FactoryUnavailable

from . import config

log = logging.getLogger(__name__)

TIMEOUT_S = 0.5
"""Longest wait for an answer of Redis. On loopback it answers within a millisecond."""

GRACE_S = 120
"""Seconds that a background job may live longer than the time limit of a load, to tidy up."""

REFUSED_DAYS = 2
"""Days for which the counts of refused tokens are kept."""

WRONG, LATE = "tokens-refused", "tokens-late"
"""Kinds of run tokens that are refused: it opens nothing, or it is right and its run is over."""

_RUNNER = "ckanext.aircan_connector.runner"


def _connect() -> redis.Redis:
    return _client(config.redis_url())


@functools.lru_cache(maxsize=2)
def _client(url: str) -> redis.Redis:
    """Return a client with short time-outs. It is kept: to make one takes longer than to use it."""
    return redis.Redis.from_url(url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S)


def _rq_id(job_id: str) -> str:
    return f"aircan-{job_id}"


def _unavailable(exc: Exception) -> FactoryUnavailable:
    return FactoryUnavailable(f"Redis: {type(exc).__name__}", factory="local")


def _enqueue(function: str, job_id: str, rq_id: str, timeout_s: int) -> None:
    """Queue a function of the runner under a fixed id. Raises FactoryUnavailable when Redis does not answer."""
    try:
        _connect().ping()
        tk.enqueue_job(
            f"{_RUNNER}.{function}",
            [job_id],
            title=f"AirCan {function} {job_id}",
            queue=config.queue(),
            rq_kwargs={"timeout": timeout_s, "job_id": rq_id, "result_ttl": 0, "failure_ttl": 3600},
        )
    except redis.exceptions.RedisError as exc:
        raise _unavailable(exc) from exc


def enqueue_hand_over(job_id: str) -> None:
    """Queue the hand-over of a job. Raises FactoryUnavailable when Redis does not answer."""
    _enqueue("hand_over", job_id, _rq_id(job_id), config.time_limit_s() + GRACE_S)


def enqueue_refresh(job_id: str) -> None:
    """Queue a question to the job's factory. Raises FactoryUnavailable when Redis does not answer."""
    _enqueue("refresh", job_id, f"aircan-refresh-{job_id}", 60)


def enqueue_cancel(job_id: str) -> None:
    """Queue the stop of a cancelled job at its factory. Raises FactoryUnavailable when Redis does not answer."""
    _enqueue("stop", job_id, f"aircan-stop-{job_id}", 60)


def enqueue_publish(job_id: str) -> None:
    """Queue the publishing of what a worker outside has loaded. Raises FactoryUnavailable."""
    _enqueue("publish", job_id, _publish_id(job_id), config.time_limit_s() + GRACE_S)


def _publish_id(job_id: str) -> str:
    return f"aircan-publish-{job_id}"


def publish_waits(job_id: str) -> bool:
    """Return whether a job's publishing is in the queue and not yet begun. Raises FactoryUnavailable."""
    return _status(_publish_id(job_id)) in ("queued", "deferred", "scheduled")


def status(job_id: str) -> str:
    """Return the word that RQ has for a job's background job, "" when it has none. Raises FactoryUnavailable."""
    return _status(_rq_id(job_id))


def _status(rq_id: str) -> str:
    try:
        found = RqJob.fetch(rq_id, connection=_connect()).get_status(refresh=False)
    except NoSuchJobError:
        return ""
    except redis.exceptions.RedisError as exc:
        raise _unavailable(exc) from exc
    return str(getattr(found, "value", found))


def dequeue(job_id: str) -> None:
    """Take a job's background job out of the queue, if it still waits there. Raises FactoryUnavailable."""
    try:
        job = RqJob.fetch(_rq_id(job_id), connection=_connect())
        if job.get_status(refresh=False) == "queued":
            job.delete()
    except NoSuchJobError:
        return
    except redis.exceptions.RedisError as exc:
        raise _unavailable(exc) from exc


def count_workers() -> int | None:
    """Return how many workers serve our queue, None when Redis does not answer."""
    try:
        connection = _connect()
        queue = rq.Queue(ckan_jobs.add_queue_name_prefix(config.queue()), connection=connection)
        return len(rq.Worker.all(queue=queue))
    except redis.exceptions.RedisError:
        return None


def _refused_key(kind: str, days_ago: int = 0) -> str:
    day = datetime.now(timezone.utc).date() - timedelta(days=days_ago)
    return f"aircan:{config.site_id()}:{kind}:{day.isoformat()}"


def count_refused_token(kind: str = WRONG) -> None:
    """Count a run token that was refused, by day, for `ckan aircan doctor`; without Redis there is only the log."""
    try:
        pipe = _connect().pipeline()
        pipe.incr(_refused_key(kind))
        pipe.expire(_refused_key(kind), REFUSED_DAYS * 86_400)
        pipe.execute()
    except redis.exceptions.RedisError as exc:
        log.warning("A refused token was not counted: %s", type(exc).__name__, extra={"action": "token_not_counted"})


def refused_tokens(kind: str = WRONG) -> int | None:
    """Return how many run tokens were refused yesterday and today (UTC), None when Redis does not answer."""
    try:
        counts = _connect().mget([_refused_key(kind), _refused_key(kind, 1)])
    except redis.exceptions.RedisError:
        return None
    return sum(int(count or 0) for count in counts)

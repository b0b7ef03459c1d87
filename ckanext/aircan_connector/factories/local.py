"""The factory `local`: CKAN's own background worker carries the order out, no second service needed."""

from __future__ import annotations

import hashlib
import hmac

from aircan.contract import Order

from .. import background, config
from .base import Capability, Factory, Handed, Health, Seen, State

_STATES = {"queued": State.QUEUED, "deferred": State.QUEUED, "scheduled": State.QUEUED, "started": State.WORKING}


class Local(Factory):
    """Works in the very background job that hands the order over."""

    name = "local"
    title = "CKAN background jobs"
    capabilities = Capability.CANCEL | Capability.LOGS | Capability.TASKS

    def keys(self) -> tuple[str, ...]:
        """Return the configured key, or one that is derived from the site's secret."""
        if own := config.local_key():
            return (own,)
        return (hmac.new(config.site_secret().encode(), b"aircan factory local", hashlib.sha256).hexdigest(),)

    def submit(self, order: Order) -> Handed:
        """Take the order; the caller works on it as soon as the id is kept."""
        return Handed(order.job_id, here=True)

    def see(self, factory_id: str) -> Seen:
        """Look the order's background job up in Redis."""
        raw = background.status(factory_id)
        return Seen(_STATES.get(raw, State.GONE), raw)

    def cancel(self, factory_id: str) -> None:
        """Take the order's background job out of the queue; one that runs stops by itself.

        The worker looks at the job's row every second and interrupts its own statements.
        """
        background.dequeue(factory_id)

    def health(self) -> Health:
        """Look whether Redis answers and a worker serves our queue."""
        workers = background.count_workers()
        if workers is None:
            return Health(False, "Redis does not answer, so no background job can be queued.")
        if workers == 0:
            return Health(False, f"No worker serves the queue. Start one: ckan jobs worker {config.queue()}")
        return Health(True, f"{workers} worker(s) serve the queue {config.queue()}.", {"workers": workers})

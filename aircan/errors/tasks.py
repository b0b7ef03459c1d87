"""What is wrong between the tasks of a run that is spread over workers. Imports `work`."""

from __future__ import annotations

from .base import N_, Blame
from .work import FactoryFailed


class StoreUnavailable(FactoryFailed):
    """The store between the tasks does not answer, or lacks what an earlier task left in it. Facts: url, reason."""

    code = "store_unavailable"
    blame = Blame.NETWORK
    sentence = N_("The workers could not use their store %(url)s: %(reason)s.")
    advice = N_("Run again in a while; if it fails again, tell the operators of this site.")


class StoreMisconfigured(FactoryFailed):
    """The store between the tasks is not set, not allowed, or needs a package that is missing. Facts: url, reason."""

    code = "store_misconfigured"
    retryable = False
    sentence = N_("The store %(url)s is not set up for the workers: %(reason)s.")
    advice = N_("The operators of the workers must correct it, then run again.")


class TaskFailed(FactoryFailed):
    """A task of the run ended without leaving its reason: it was killed, or never started. Facts: task."""

    code = "task_failed"
    sentence = N_("The task %(task)s of this run ended without saying why: it was killed, or never started.")
    advice = N_("Its log at the factory says more. Run again when the cause is mended.")

"""What is wrong with the work itself: the order, the factory that carries it out, we. Imports the root of the tree."""

from __future__ import annotations

from .base import N_, AircanError, Blame


class OrderRefused(AircanError):
    """The order lacks a field or holds a wrong value. Facts: field."""

    code = "order_refused"
    blame = Blame.CONFIG
    sentence = N_("The order of this run cannot be used: the field %(field)s is missing or wrong.")
    advice = N_("Check the parameters with which the run was submitted.")


class FactoryFailed(AircanError):
    """The one who should carry out the order did not."""

    code = "factory_failed"
    blame = Blame.CONFIG
    retryable = True
    sentence = N_("The factory %(factory)s did not carry out the run.")
    advice = N_("Run again; if it fails again, tell the operators of this site.")


class FactoryUnavailable(FactoryFailed):
    """The factory cannot be reached, or is not configured. Facts: factory."""

    code = "factory_unavailable"
    sentence = N_("The factory %(factory)s could not be reached or is not configured.")
    advice = N_("The operators of this site can check it with: ckan aircan doctor.")


class WorkerLost(FactoryFailed):
    """The worker that carried out the run is gone. Facts: seconds."""

    code = "worker_lost"
    blame = Blame.NETWORK
    sentence = N_("The worker that carried out this run gave no sign of life for %(seconds)s seconds and is lost.")
    advice = N_("Run again. The table is as it was before this run.")


class TookTooLong(FactoryFailed):
    """The run passed the time limit. Facts: limit_s."""

    code = "took_too_long"
    sentence = N_("The run was stopped after the time limit of %(limit_s)s seconds.")
    advice = N_("Run again when less is going on, or ask the operators of this site to raise the limit.")


class NeverStarted(FactoryFailed):
    """No worker took the run. Facts: seconds."""

    code = "never_started"
    sentence = N_("No worker took up this run within %(seconds)s seconds.")
    advice = N_("The operators of this site can check with: ckan aircan doctor.")


class JobStopped(AircanError):
    """Somebody cancelled the job, or it is final already; the run ends without a further report."""

    code = "job_stopped"
    blame = Blame.DATA
    sentence = N_("The run was cancelled.")


class Unexpected(AircanError):
    """A defect of ours: an exception that no step translated. Facts: job_id."""

    code = "unexpected"
    sentence = N_("AirCan failed in a way that it should not.")
    advice = N_("Send the id of this run to the operators of this site. The table is as it was before this run.")

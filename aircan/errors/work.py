"""What is wrong with the work itself: the order, the factory that carries it out, we. Imports the root of the tree."""

from __future__ import annotations

from .base import N_, AircanError, Blame


class OrderRefused(AircanError):
    """The order lacks a field or holds a wrong value. Facts: field."""

    code = "order_refused"
    blame = Blame.CONFIG
    sentence = N_("The order of this run cannot be used: the field %(field)s is missing or wrong.")
    advice = N_("Check the parameters with which the run was submitted.")


class OrderTooNew(OrderRefused):
    """The order is written in a version that this aircan does not know. Facts: field, version, newest."""

    code = "order_too_new"
    sentence = N_("The order of this run is of version %(version)s, and the worker reads up to version %(newest)s.")
    advice = N_("The operators of this site must update the package aircan of the workers, then run again.")


class FolderOnlyReplaced(OrderRefused):
    """Rows are to be added to a folder, or deleted from it. Facts: field, write."""

    code = "folder_only_replaced"
    sentence = N_("The rows of a folder are always replaced as a whole: this run says write=%(write)s.")
    advice = N_("Leave the parameter write out, or load into the table of a CKAN.")


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


class FactoryUnreachable(FactoryUnavailable):
    """No answer, or one that passes (busy, restarting). Whether an order arrived is not known.

    The run stays WAITING and is handed over again. Facts: factory, reason, retry_after_s (may be missing).
    """

    code = "factory_unreachable"
    blame = Blame.NETWORK
    sentence = N_("The factory %(factory)s gave no usable answer: %(reason)s.")
    advice = N_("Run again in a while; if it fails again, tell the operators of this site.")


class SignInRefused(FactoryUnavailable):
    """The factory does not let this site in. Facts: factory, reason."""

    code = "sign_in_refused"
    retryable = False
    sentence = N_("The factory %(factory)s did not accept the sign-in of this site: %(reason)s.")
    advice = N_("The operators of this site must correct the user name and password, or the token, then run again.")


class RightMissing(FactoryUnavailable):
    """The factory knows this site's user, who may not do this. Facts: factory, doing."""

    code = "right_missing"
    retryable = False
    sentence = N_("The factory %(factory)s does not allow this site's user: %(doing)s.")
    advice = N_("Its operators must give the user a role with this right, then run again.")


class NotTheFactory(FactoryUnavailable):
    """Something else answers at the factory's address. Facts: factory, url, reason."""

    code = "not_the_factory"
    retryable = False
    sentence = N_("What answers at %(url)s is not the factory %(factory)s: %(reason)s.")
    advice = N_("The operators of this site must correct the address, then check with: ckan aircan doctor.")


class FactoryMisconfigured(FactoryUnavailable):
    """An option is missing or wrong, or a library is not installed. Facts: factory, reason."""

    code = "factory_misconfigured"
    retryable = False
    sentence = N_("The factory %(factory)s is not set up on this site: %(reason)s.")
    advice = N_("The operators of this site can check it with: ckan aircan doctor.")


class DagMissing(FactoryFailed):
    """The factory has no DAG of this name. Facts: factory, dag_id."""

    code = "dag_missing"
    retryable = False
    sentence = N_("The factory %(factory)s has no DAG %(dag_id)s.")
    advice = N_("Its operators must put the DAG there, or the run must name another one, then run again.")


class DagPaused(FactoryFailed):
    """The DAG is paused, so a run of it would wait for ever. Facts: factory, dag_id."""

    code = "dag_paused"
    sentence = N_("The DAG %(dag_id)s is paused at the factory %(factory)s, so the run would never start.")
    advice = N_("Its operators must unpause the DAG, then run again.")


class DagBroken(FactoryFailed):
    """The file of the DAG cannot be read by the factory, or is gone. Facts: factory, dag_id, reason."""

    code = "dag_broken"
    retryable = False
    sentence = N_("The DAG %(dag_id)s at the factory %(factory)s cannot be run: %(reason)s.")
    advice = N_("Its operators must correct the DAG's file, then run again.")


class RunRefused(FactoryFailed):
    """The factory does not take the order as it is. Facts: factory, reason."""

    code = "run_refused"
    retryable = False
    sentence = N_("The factory %(factory)s refused the run: %(reason)s.")
    advice = N_("Check the parameters of the run, and that the DAG fits this version of AirCan.")


class RunVanished(FactoryFailed):
    """The factory does not know a run any more that it had taken. Facts: factory."""

    code = "run_vanished"
    sentence = N_("The factory %(factory)s does not know this run any more; somebody deleted it there.")
    advice = N_("Run again. The table is as it was before this run.")


class RunFailed(FactoryFailed):
    """The run failed at the factory without telling why. Facts: factory, task, tries, reason."""

    code = "run_failed"
    sentence = N_("The run failed at the factory %(factory)s in the task %(task)s, try %(tries)s: %(reason)s.")
    advice = N_("The last lines of the task are in the log below. Run again when the cause is mended.")


class RunEnded(FactoryFailed):
    """The run was ended at the factory, and no task of it failed by itself. Facts: factory."""

    code = "run_ended"
    sentence = N_("The run was ended at the factory %(factory)s before it had reported a result.")
    advice = N_("Run again; if it fails again, tell the operators of this site.")


class NothingReported(FactoryFailed):
    """The factory calls the run a success, but nothing was reported. Facts: factory, dag_id."""

    code = "nothing_reported"
    retryable = False
    sentence = N_("The factory %(factory)s calls the run a success, but nothing was reported and no table was loaded.")
    advice = N_("Its operators must check that the DAG %(dag_id)s loads into this site, then run again.")


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

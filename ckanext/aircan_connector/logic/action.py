"""The actions. Each is validated, checks access, calls `jobs` or `model`, and returns plain dicts."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model as ckan_model
from ckan.logic import validate

from aircan.contract import Report, Task
from aircan.status import Status

from .. import config, dictize, factories, jobs, model, settings
from . import lookup, schema


@validate(schema.aircan_submit)
def aircan_submit(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Submit a run for a resource, and return its job.

    For those who may edit the dataset. A run that waits for the same file already is returned instead.

    :param resource: id of the resource; `resource_id` is accepted too
    :type resource: string
    :param dataset: id or name of its dataset, to make sure (optional)
    :type dataset: string
    :param job_type: what to do (optional, default: ``LOAD``)
    :type job_type: string
    :param dag_id: which DAG, at factories that have several; editors may name those of the option
        ``ckanext.aircan_connector.submit.dags`` (optional)
    :type dag_id: string
    :param factory: which factory (optional, default: the site's)
    :type factory: string
    :param params: parameters of the run, e.g. ``{"delimiter": ";"}``; they go before the settings of the
        resource (optional)
    :type params: dict
    :returns: the job
    :rtype: dict
    """
    resource, dataset = lookup.resource_of(data_dict)
    tk.check_access("aircan_submit", context, {"dataset": dataset.id})
    lookup.check_dag(context, data_dict.get("dag_id"))
    by_hand = not context.get("aircan_by_hook")
    given = data_dict.get("params") or {}
    job = lookup.with_tables(
        jobs.submit,
        resource=resource.id,
        dataset=dataset.id,
        user=lookup.user_id(context),
        name=resource.name or (resource.url or "").rpartition("/")[2] or resource.id,
        mark=jobs.fingerprint(resource.as_dict()),
        job_type=data_dict["job_type"],
        factory=data_dict.get("factory"),
        dag_id=data_dict.get("dag_id"),
        params=lookup.with_settings(resource.id, data_dict["job_type"], given),
        given=given,
        by_hand=by_hand,
    )
    return dictize.job(job)


@validate(schema.aircan_status_update)
def aircan_status_update(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Report about a run: the callback, by which alone a factory changes a job. Return the job.

    A report that comes too late is kept in the run's log and answered normally.

    :param job_id: id of the job; or `factory_id`, the factory's own id of the run
    :type job_id: string
    :param status: ``RUNNING``, ``DONE``, ``FAILED`` or ``CANCELLED``
    :type status: string
    :param message: a line for the log (optional)
    :type message: string
    :param task: name of a task, or ``{"id", "status", "message"}`` (optional)
    :type task: string or dict
    :param progress: ``{"rows", "bytes", "total_bytes"}`` (optional)
    :type progress: dict
    :param result: merged into the result (optional)
    :type result: dict
    :param error: ``{"code", "blame", "message", "detail", "facts"}`` (optional)
    :type error: dict
    :param token: the job's run token
    :type token: string
    :returns: the job's ``id``, ``factory_id``, ``status`` and ``updated``
    :rtype: dict
    """
    tk.check_access("aircan_status_update", context, data_dict)
    job = lookup.job_of_token(data_dict)
    task = data_dict.get("task")
    told = Report(
        status=Status(data_dict["status"]),
        message=data_dict.get("message") or "",
        task=Task(task["id"], Status(task["status"]), task["message"]) if task else None,
        progress=data_dict.get("progress") or {},
        result=data_dict.get("result") or {},
        error=data_dict.get("error"),
    )
    return dictize.receipt(jobs.report(job["id"], told))


@tk.side_effect_free
@validate(schema.aircan_job_show)
def aircan_job_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return a job: whole to those who may edit the dataset, status and times to those who may read it.

    :param id: id of the job
    :type id: string
    :rtype: dict
    """
    job = lookup.job(data_dict["id"])
    lookup.check("aircan_job_show", context, job)
    whole = lookup.sees_details(context, job["dataset"])
    return dictize.job(job, whole=whole, link=lookup.is_sysadmin(context))


@tk.side_effect_free
@validate(schema.aircan_job_list)
def aircan_job_list(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return jobs, newest first: ``{"count", "results"}``.

    Without `dataset` and `resource`, sysadmins get all, others those of the datasets of organisations in which
    they may edit.

    :param dataset: id or name of a dataset (optional)
    :param resource: id of a resource (optional)
    :param user: id or name of who asked; for those who see details (optional)
    :param status: one of the five statuses (optional)
    :param job_type: e.g. ``LOAD`` (optional)
    :param q: part of an id, a name, a message or an error; for those who see details (optional)
    :param limit: most jobs to return, 1 to 100 (optional, default: 20)
    :type limit: int
    :param offset: jobs to skip (optional, default: 0)
    :type offset: int
    :param order: ``created desc`` (default), ``created asc``, ``updated desc`` or ``updated asc``
    :rtype: dict
    """
    filters = {name: data_dict.get(name) for name in ("status", "job_type", "q", "resource", "user")}
    filters["dataset"] = lookup.dataset_filter(data_dict)
    tk.check_access("aircan_job_list", context, {"dataset": filters["dataset"]})
    if filters["dataset"]:
        whole = lookup.sees_details(context, filters["dataset"])
    else:
        whole = True
        if not lookup.is_sysadmin(context):
            filters["organisations"] = lookup.own_organisations(context)
    if not whole:
        filters["user"] = filters["q"] = None
    elif filters["user"]:
        user = ckan_model.User.get(filters["user"])
        filters["user"] = user.id if user else filters["user"]
    with model.begin() as connection:
        count, rows = model.list_jobs(
            connection, filters, order=data_dict["order"], limit=data_dict["limit"], offset=data_dict["offset"]
        )
    return {"count": count, "results": [dictize.job(row, whole=whole) for row in rows]}


@tk.side_effect_free
@validate(schema.aircan_job_latest)
def aircan_job_latest(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the newest job of each resource of a dataset; a resource without a run is left out.

    :param dataset: id or name of the dataset
    :type dataset: string
    :rtype: list of dicts
    """
    dataset = lookup.dataset_filter(data_dict) or ""
    tk.check_access("aircan_job_latest", context, {"dataset": dataset})
    whole = lookup.sees_details(context, dataset)
    with model.begin() as connection:
        rows = model.latest_jobs(connection, dataset)
    return [dictize.job(row, whole=whole) for row in rows]


@tk.side_effect_free
@validate(schema.aircan_job_events)
def aircan_job_events(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the log of a run, oldest first; for those who see the run whole.

    :param id: id of the job
    :type id: string
    :param after: only events with an id above this one (optional)
    :type after: int
    :param limit: most events to return, 1 to 1000 (optional, default: 100)
    :type limit: int
    :param rejects: return the refused rows instead, in batches (optional, default: false)
    :type rejects: bool
    :param newest: of more than `limit` events return the newest, not the oldest (optional, default: false)
    :type newest: bool
    :rtype: list of dicts: ``id``, ``time``, ``task``, ``level``, ``message``, ``data``
    """
    job = lookup.job(data_dict["id"])
    lookup.check("aircan_job_events", context, job)
    if not lookup.sees_details(context, job["dataset"]):
        raise tk.NotAuthorized(tk._("Only those who may edit the dataset see the log of its runs."))
    wanted = {name: data_dict[name] for name in ("after", "limit", "rejects", "newest")}
    with model.begin() as connection:
        rows = model.list_events(connection, job["id"], **wanted)
    return [dictize.event(row) for row in rows]


@validate(schema.aircan_job_cancel)
def aircan_job_cancel(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Cancel a run that waits or runs, and return its job; the table stays as it was.

    :param id: id of the job
    :type id: string
    :rtype: dict
    """
    job = lookup.job(data_dict["id"])
    lookup.check("aircan_job_cancel", context, job)
    cancelled = jobs.cancel(job["id"], "Cancelled.", by=lookup.user_id(context))
    if cancelled is None:
        ended = jobs.get(job["id"]) or job
        message = tk._("This run is {status} already and cannot be cancelled.").format(status=ended["status"])
        raise tk.ValidationError({"id": [message]})
    return dictize.job(cancelled)


@validate(schema.aircan_job_retry)
def aircan_job_retry(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Submit the same again, as a new run with `retry_of`, and return its job.

    What was given with the first submit is given again, over the settings that the resource has now.

    :param id: id of a job that has ended
    :type id: string
    :rtype: dict
    """
    job = lookup.job(data_dict["id"])
    lookup.check("aircan_job_retry", context, job)
    if job["status"] in (Status.WAITING.value, Status.RUNNING.value):
        message = tk._("This run is {status}; only a run that has ended can be run again.")
        raise tk.ValidationError({"id": [message.format(status=job["status"])]})
    resource = ckan_model.Resource.get(job["resource"])
    if resource is None or resource.state != "active":
        raise tk.ValidationError({"id": [tk._("The resource of this run does not exist any more.")]})
    given = job["info"].get("given") or {}
    new = jobs.submit(
        resource=job["resource"],
        dataset=job["dataset"],
        user=lookup.user_id(context),
        name=resource.name or job["info"].get("name") or job["resource"],
        mark=jobs.fingerprint(resource.as_dict()),
        job_type=job["job_type"],
        factory=job["factory"],
        dag_id=job["dag_id"],
        params=lookup.with_settings(job["resource"], job["job_type"], given),
        given=given,
        retry_of=job["id"],
    )
    return dictize.job(new)


@tk.side_effect_free
@validate(schema.aircan_settings_show)
def aircan_settings_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept with a file for its next runs: ``{"resource", "params", "updated", "user"}``.

    For those who may read the dataset; `user` only for those who see its runs whole.

    :param resource: id of the resource
    :type resource: string
    :rtype: dict; without settings ``params`` is ``{}``
    """
    resource, dataset = lookup.resource_of(data_dict)
    tk.check_access("aircan_settings_show", context, {"dataset": dataset.id})
    kept = lookup.with_tables(settings.get, resource=resource.id)
    return dictize.setting(kept, whole=lookup.sees_details(context, dataset.id))


@validate(schema.aircan_settings_update)
def aircan_settings_update(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Replace what is kept with a file for its next runs, and return it.

    For those who may edit the dataset. A run that waits or works goes on with what it began with.

    :param resource: id of the resource
    :type resource: string
    :param params: parameters of a LOAD, e.g. ``{"header_rows": 2}``; ``{}`` clears them
    :type params: dict
    :rtype: dict, as of ``aircan_settings_show``
    """
    resource, dataset = lookup.resource_of(data_dict)
    tk.check_access("aircan_settings_update", context, {"dataset": dataset.id})
    user, params = lookup.user_id(context), data_dict["params"]
    return dictize.setting(lookup.with_tables(settings.put, resource=resource.id, params=params, user=user))


@tk.side_effect_free
@validate(schema.aircan_factory_list)
def aircan_factory_list(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the factories that are installed, with health and capabilities; for sysadmins.

    :rtype: list of dicts: ``name``, ``title``, ``default``, ``capabilities``, ``healthy``, ``message``
    """
    tk.check_access("aircan_factory_list", context, data_dict)
    return [dictize.factory(cls(), cls.name == config.factory()) for cls in factories.available().values()]

"""What the actions look up: resources, datasets and jobs by what was given, and who is asking."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model as ckan_model
from sqlalchemy.exc import ProgrammingError

from aircan import params
from aircan.errors import TokenRefused

from .. import config, jobs, model, settings, tokens


def with_tables(function: Any, **kwargs: Any) -> Any:
    """Call a function; a missing table becomes an error that says what to run."""
    try:
        return function(**kwargs)
    except ProgrammingError as exc:
        if getattr(exc.orig, "pgcode", "") != "42P01":
            raise
        message = tk._("The tables of jobs are missing. Run: ckan db upgrade -p aircan_connector")
        raise tk.ValidationError({"aircan": [message]}) from exc


def resource_of(data_dict: dict[str, Any]) -> tuple[Any, Any]:
    """Return the resource that was given and its dataset. Raises ObjectNotFound, ValidationError."""
    given = data_dict.get("resource") or data_dict.get("resource_id")
    if not given:
        raise tk.ValidationError({"resource": [tk._("Missing value")]})
    resource = ckan_model.Resource.get(given)
    dataset = ckan_model.Package.get(resource.package_id) if resource else None
    if resource is None or dataset is None or resource.state != "active":
        raise tk.ObjectNotFound(tk._("There is no resource {id}.").format(id=given))
    named = data_dict.get("dataset")
    if named and named not in (dataset.id, dataset.name):
        message = tk._("The resource {resource} is not in the dataset {dataset}.")
        raise tk.ValidationError({"dataset": [message.format(resource=given, dataset=named)]})
    return resource, dataset


def with_settings(resource: str, job_type: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run: those given, over the settings of its resource.

    Raises ValidationError when together they say no key where one is needed, or give one that is not used.
    """
    merged = dict(with_tables(settings.merged, resource=resource, job_type=job_type, given=given))
    if params.lacks_key(merged):
        raise tk.ValidationError(
            {"params": [tk._("Rows are to be found by their key: the parameter key must say which.")]}
        )
    if given.get("key") and merged.get("write") not in params.KEYED:
        raise tk.ValidationError({"params": [tk._("The parameter key is only used with write: upsert or delete.")]})
    return merged


def check_dag(context: Any, dag_id: str | None) -> None:
    """Raise NotAuthorized when who asks may not name this DAG: it would run as the site, with what the site may do."""
    if dag_id and not is_sysadmin(context) and dag_id not in config.submit_dags():
        raise tk.NotAuthorized(tk._("Only sysadmins may name the DAG {id}.").format(id=dag_id))


def job(job_id: str) -> dict[str, Any]:
    """Return the row of a job. Raises ObjectNotFound."""
    found = with_tables(jobs.get, job_id=job_id)
    if found is None:
        raise tk.ObjectNotFound(tk._("There is no run {id}.").format(id=job_id))
    return dict(found)


def job_of_token(data_dict: dict[str, Any]) -> dict[str, Any]:
    """Return the job that the token opens. Every way to be wrong gets the same answer."""
    job = None
    if data_dict.get("job_id"):
        job = jobs.get(data_dict["job_id"])
    elif data_dict.get("factory_id"):
        with model.begin() as connection:
            job = model.job_of_factory_id(connection, data_dict["factory_id"])
    try:
        found = tokens.check(data_dict["token"], job, door="reports", job_id=data_dict.get("job_id"))
    except TokenRefused:
        raise tk.NotAuthorized(tk._("The token does not belong to this run.")) from None
    return dict(found)


def check(name: str, context: Any, job: dict[str, Any]) -> None:
    """Check access to an action about a job. Raises NotAuthorized."""
    tk.check_access(name, context, {"id": job["id"], "dataset": job["dataset"]})


def sees_details(context: Any, dataset: str) -> bool:
    """Return whether who asks sees the runs of a dataset whole."""
    if config.readers_see_details():
        return True
    try:
        tk.check_access("aircan_job_details", context, {"dataset": dataset})
    except tk.NotAuthorized:
        return False
    return True


def dataset_filter(data_dict: dict[str, Any]) -> str | None:
    """Return the id of the dataset that a list is about, None for all. Raises ObjectNotFound."""
    if data_dict.get("dataset"):
        dataset = ckan_model.Package.get(data_dict["dataset"])
        if dataset is None:
            raise tk.ObjectNotFound(tk._("There is no dataset {id}.").format(id=data_dict["dataset"]))
        return str(dataset.id)
    if data_dict.get("resource"):
        resource = ckan_model.Resource.get(data_dict["resource"])
        if resource is None:
            raise tk.ObjectNotFound(tk._("There is no resource {id}.").format(id=data_dict["resource"]))
        return str(resource.package_id)
    return None


def _user_object(context: Any) -> Any:
    return context.get("auth_user_obj") or ckan_model.User.get(context.get("user") or "")


def user_id(context: Any) -> str | None:
    """Return the id of who asks, None when nobody is logged in."""
    user = _user_object(context)
    return str(user.id) if user and not user.is_anonymous else None


def is_sysadmin(context: Any) -> bool:
    """Return whether who asks may see everything."""
    user = _user_object(context)
    return bool(context.get("ignore_auth") or (user and getattr(user, "sysadmin", False)))


def own_organisations(context: Any) -> list[str]:
    """Return the ids of the organisations in which who asks may edit datasets."""
    fresh = {"user": context.get("user"), "auth_user_obj": context.get("auth_user_obj")}
    mine = tk.get_action("organization_list_for_user")(fresh, {"permission": "update_dataset"})
    return [organisation["id"] for organisation in mine]

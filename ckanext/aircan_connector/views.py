"""The pages: a dataset's runs, a run, and the buttons on them. Views call actions and render what they return."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import wraps
from typing import Any

import ckantoolkit as tk
from ckan import plugins as p
from flask import Blueprint, Response, abort, stream_with_context
from werkzeug.routing import BaseConverter, ValidationError

from aircan.errors import FactoryUnavailable

from . import background, downloads, form, pages, reconcile
from .csrf import protected

log = logging.getLogger(__name__)

blueprint = Blueprint("aircan_connector", __name__)


class _DatasetType(BaseConverter):
    """A part of an address that is a type of dataset; anything else is left to other routes."""

    def to_python(self, value: str) -> str:
        types = {"dataset"}.union(*(form.package_types() for form in p.PluginImplementations(p.IDatasetForm)))
        if value not in types:
            raise ValidationError
        return value


@blueprint.record
def _know_dataset_types(state: Any) -> None:
    state.app.url_map.converters["aircan_dataset_type"] = _DatasetType


_DATASET = "/<aircan_dataset_type:package_type>/<id>/actions"
_RUN = f"{_DATASET}/runs/<job_id>"
_SETTINGS = f"{_DATASET}/settings/<resource_id>"


def answering(view: Callable[..., Any]) -> Callable[..., Any]:
    """Turn the errors of actions into answers: 404, and 403 or the way to the login."""

    @wraps(view)
    def answered(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except tk.ObjectNotFound:
            return abort(404, tk._("There is no such run, or you may not see it."))
        except tk.NotAuthorized as exc:
            return _forbidden(str(exc.message or ""))

    return answered


def _forbidden(why: str) -> Any:
    if tk.current_user.is_anonymous and tk.request.method == "GET" and "live" not in str(tk.request.endpoint):
        return tk.redirect_to("user.login", came_from=tk.request.full_path.rstrip("?"))
    return tk.abort(403, why or tk._("You may not see this."))


@blueprint.route(_DATASET)
@answering
def actions(package_type: str, id: str) -> Any:
    """Show the runs of a dataset, newest first."""
    dataset = pages.read(id)
    if pages.elsewhere(dataset, package_type, id):
        return tk.redirect_to(pages.url("actions", dataset))
    return tk.render("aircan_connector/actions.html", pages.list_context(dataset))


@blueprint.route(f"{_DATASET}/live")
@answering
def live_actions(package_type: str, id: str) -> Any:
    """Return the list alone, for a page that is open."""
    return tk.render("aircan_connector/snippets/list.html", pages.list_context(pages.read(id)))


def _ask_after(job: dict[str, Any]) -> None:
    """Have a background worker ask the factory of a run that it is time to ask about; the page does not wait for it."""
    moments = {name: datetime.fromisoformat(job[name]) for name in ("created", "last_report") if job[name]}
    if not reconcile.is_due({**job, "last_report": None, **moments}):
        return
    try:
        background.enqueue_refresh(job["id"])
    except FactoryUnavailable as exc:
        log.warning("Nobody can be asked about job %s: %s", job["id"], exc, extra={"action": "job_not_asked"})


@blueprint.route(_RUN)
@answering
def run(package_type: str, id: str, job_id: str) -> Any:
    """Show a run."""
    dataset, job = pages.read_run(id, job_id)
    if pages.elsewhere(dataset, package_type, id):
        return tk.redirect_to(pages.url("run", dataset, job_id=job_id))
    _ask_after(job)
    return tk.render("aircan_connector/run.html", pages.run_context(dataset, job))


@blueprint.route(f"{_RUN}/live")
@answering
def live_run(package_type: str, id: str, job_id: str) -> Any:
    """Return the inside of a run's page, for a page that is open; now and then it has the factory asked."""
    dataset, job = pages.read_run(id, job_id)
    if tk.request.args.get("ask"):
        _ask_after(job)
    return tk.render("aircan_connector/snippets/run.html", pages.run_context(dataset, job))


@blueprint.route(f"{_RUN}/line")
@answering
def live_line(package_type: str, id: str, job_id: str) -> Any:
    """Return the line of a resource's page, for a page that is open."""
    dataset, job = pages.read_run(id, job_id)
    return tk.render("aircan_connector/snippets/resource_line.html", {"job": job, "pkg": dataset, "reload": True})


@blueprint.route("/@<organization>/<id>/actions")
@blueprint.route("/@<organization>/<id>/actions/runs/<job_id>")
@blueprint.route("/@<organization>/<id>/actions/settings/<resource_id>")
@answering
def by_organization(organization: str, id: str, **more: str) -> Any:
    """Lead from an address with the organisation's name to the page."""
    endpoint = "run" if "job_id" in more else "settings" if "resource_id" in more else "actions"
    return tk.redirect_to(pages.url(endpoint, pages.read(id), **more))


@blueprint.route(_SETTINGS)
@answering
def settings(package_type: str, id: str, resource_id: str) -> Any:
    """Show the form with what is kept with a file for its next runs."""
    dataset = pages.read(id)
    resource = pages.resource_of(dataset, resource_id)
    tk.check_access("aircan_settings_update", {}, {"dataset": dataset["id"]})
    if pages.elsewhere(dataset, package_type, id):
        return tk.redirect_to(pages.url("settings", dataset, resource_id=resource_id))
    return tk.render("aircan_connector/settings.html", pages.settings_context(dataset, resource))


@blueprint.route(_SETTINGS, methods=["POST"])
@protected
@answering
def save_settings(package_type: str, id: str, resource_id: str) -> Any:
    """Keep what the form says; load again, if that is the button."""
    dataset = pages.read(id)
    resource = pages.resource_of(dataset, resource_id)
    tk.check_access("aircan_settings_update", {}, {"dataset": dataset["id"]})
    found = pages.found_last(dataset, resource_id)
    given = form.read(tk.request.form, found)
    here = pages.url("settings", dataset, resource_id=resource_id)
    if errors := form.wrong(given):
        again = {"sections": form.sections(given, found, errors), "errors": errors}
        return tk.render("aircan_connector/settings.html", {**pages.settings_context(dataset, resource), **again})
    tk.get_action("aircan_settings_update")({}, {"resource": resource_id, "params": given})
    if "load" in tk.request.form:
        return _done("aircan_submit", dataset, {"resource": resource_id, "dataset": dataset["id"]}, here)
    tk.h.flash_success(tk._("Saved. The next run of this file begins with these settings."))
    return tk.redirect_to(here)


def _download(lines: Iterator[str], mimetype: str, name: str) -> Response:
    first = next(lines, "")
    body = stream_with_context(itertools.chain([first], lines))
    answer = Response(body, mimetype=mimetype)  # type: ignore[arg-type]
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    answer.headers["Cache-Control"] = "private, no-store"
    return answer


@blueprint.route(f"{_RUN}/rejects.csv")
@answering
def rejects(package_type: str, id: str, job_id: str) -> Any:
    """Return all kept refused rows as CSV."""
    _, job = pages.read_run(id, job_id)
    tk.get_action("aircan_job_events")({}, {"id": job["id"], "limit": 1})
    return _download(downloads.rejects_csv(job["id"]), "text/csv", f"rejects-{job['id']}.csv")


@blueprint.route(f"{_RUN}/log.txt")
@answering
def log_file(package_type: str, id: str, job_id: str) -> Any:
    """Return the whole log as text."""
    _, job = pages.read_run(id, job_id)
    tk.get_action("aircan_job_events")({}, {"id": job["id"], "limit": 1})
    return _download(downloads.log_text(job["id"]), "text/plain", f"log-{job['id']}.txt")


def _done(action: str, dataset: dict[str, Any], wanted: dict[str, Any], otherwise: str) -> Any:
    """Call an action for a button and lead to the run's page; what is wrong is said on `otherwise`."""
    try:
        job = tk.get_action(action)({}, wanted)
    except tk.ValidationError as exc:
        for sentence in exc.error_summary.values():
            tk.h.flash_error(sentence)
        return tk.redirect_to(otherwise)
    return tk.redirect_to(pages.url("run", dataset, job_id=job["id"]))


@blueprint.route(f"{_DATASET}/submit", methods=["POST"])
@protected
@answering
def submit(package_type: str, id: str) -> Any:
    """Start a run for a resource."""
    dataset = pages.read(id)
    tk.check_access("aircan_submit", {}, {"dataset": dataset["id"]})
    wanted = {"resource": tk.request.form.get("resource"), "dataset": dataset["id"]}
    return _done("aircan_submit", dataset, wanted, pages.url("actions", dataset))


@blueprint.route(f"{_RUN}/cancel", methods=["POST"])
@protected
@answering
def cancel(package_type: str, id: str, job_id: str) -> Any:
    """Cancel a run."""
    dataset, job = pages.read_run(id, job_id)
    return _done("aircan_job_cancel", dataset, {"id": job["id"]}, pages.url("run", dataset, job_id=job["id"]))


@blueprint.route(f"{_RUN}/retry", methods=["POST"])
@protected
@answering
def retry(package_type: str, id: str, job_id: str) -> Any:
    """Run again: a new run of the same file."""
    dataset, job = pages.read_run(id, job_id)
    return _done("aircan_job_retry", dataset, {"id": job["id"]}, pages.url("run", dataset, job_id=job["id"]))

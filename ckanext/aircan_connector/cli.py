"""`ckan aircan ...`: the actions from a shell, and what only an operator does: reconcile and doctor."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

import ckantoolkit as tk
import click

from aircan import params

from . import checks, config
from . import reconcile as reconciling

__all__ = ["aircan"]

_as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")


def _call(action: str, data: dict[str, Any]) -> Any:
    site_user = tk.get_action("get_site_user")({"ignore_auth": True}, {})
    try:
        return tk.get_action(action)({"user": site_user["name"], "ignore_auth": True}, data)
    except tk.ValidationError as exc:
        lines = (f"{name}: {' '.join(map(str, texts))}" for name, texts in exc.error_dict.items())
        raise click.ClickException("; ".join(lines)) from exc
    except tk.ObjectNotFound as exc:
        raise click.ClickException(str(exc)) from exc


def _say(value: Any, as_json: bool, lines: Iterable[str]) -> None:
    if as_json:
        click.echo(json.dumps(value, indent=2, default=str))
        return
    for line in lines:
        click.echo(line)


def _line(job: dict[str, Any]) -> str:
    info = job["info"]
    rows = (info.get("result") or {}).get("rows")
    words = [job["created"][:19], job["id"], job["status"].ljust(9), job["job_type"], str(info.get("name", ""))]
    return "  ".join([*words, f"{rows} rows" if rows is not None else str(info.get("message") or "")])


@click.group(short_help="Runs of AirCan: submit, look, cancel, retry, reconcile.")
def aircan() -> None:
    """Submit runs, look at them, cancel them, try them again."""


@aircan.command()
@click.argument("resource")
@click.option("--job-type", default="LOAD", show_default=True)
@click.option("--factory", help="Which factory; the site's by default.")
@click.option("--dag-id", help="Which DAG, at factories that have several.")
@click.option("--params", help='Parameters of the run as JSON, e.g. {"delimiter": ";"}.')
@_as_json
def submit(
    resource: str, job_type: str, factory: str | None, dag_id: str | None, params: str | None, as_json: bool
) -> None:
    """Submit a run for the resource with the id RESOURCE."""
    given = {"resource": resource, "job_type": job_type, "factory": factory, "dag_id": dag_id, "params": params}
    job = _call("aircan_submit", {name: value for name, value in given.items() if value})
    _say(job, as_json, [_line(job)])


@aircan.command(name="list")
@click.option("--dataset")
@click.option("--resource")
@click.option("--user")
@click.option("--status")
@click.option("--job-type")
@click.option("-q", "--query", help="Part of an id, a name, a message or an error.")
@click.option("--limit", default=20, show_default=True)
@click.option("--offset", default=0)
@_as_json
def list_(as_json: bool, query: str | None, **filters: Any) -> None:
    """List runs, newest first."""
    found = _call("aircan_job_list", {k: v for k, v in {**filters, "q": query}.items() if v})
    total = f"{found['count']} runs" if found["count"] != 1 else "1 run"
    _say(found, as_json, [*map(_line, found["results"]), total])


@aircan.command()
@click.argument("job_id")
@_as_json
def show(job_id: str, as_json: bool) -> None:
    """Show a run, with its log."""
    job = _call("aircan_job_show", {"id": job_id})
    events = _call("aircan_job_events", {"id": job_id, "limit": 1000})
    log = (f"  {e['time'][:19]}  {e['level']:<7}  {e['task'] or '':<8}  {e['message']}" for e in events)
    _say({**job, "events": events}, as_json, [_line(job), str(job["info"].get("message") or ""), *log])


@aircan.command()
@click.argument("job_id")
@_as_json
def cancel(job_id: str, as_json: bool) -> None:
    """Cancel a run that waits or runs."""
    job = _call("aircan_job_cancel", {"id": job_id})
    _say(job, as_json, [_line(job)])


@aircan.command()
@click.argument("job_id")
@_as_json
def retry(job_id: str, as_json: bool) -> None:
    """Submit the same again, as a new run."""
    job = _call("aircan_job_retry", {"id": job_id})
    _say(job, as_json, [_line(job)])


def _value(name: str, text: str) -> Any:
    """Return the value of NAME=VALUE: JSON where that can be used, else the text itself."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if params.wrong({name: value}) and not params.wrong({name: text}) else value


@aircan.command()
@click.argument("resource")
@click.argument("pairs", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--clear", is_flag=True, help="Forget what is kept, before anything given is.")
@_as_json
def settings(resource: str, pairs: tuple[str, ...], clear: bool, as_json: bool) -> None:
    """Show or change what is kept with the file of RESOURCE for its next runs.

    A value is text or JSON: header_rows=2, delimiter=";", null_words='["NA", "-"]'. NAME= forgets one.
    """
    kept = _call("aircan_settings_show", {"resource": resource})
    if pairs or clear:
        new = {} if clear else dict(kept["params"])
        for pair in pairs:
            name, equals, text = pair.partition("=")
            if not equals:
                raise click.UsageError(f"{pair} is not NAME=VALUE.")
            new.pop(name, None)
            new.update({name: _value(name, text)} if text else {})
        kept = _call("aircan_settings_update", {"resource": resource, "params": new})
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in kept["params"].items()]
    _say(kept, as_json, lines or ["Nothing is kept: all is found out, or as this site does."])


@aircan.command()
@click.option("--loop", is_flag=True, help="Go on: a round every ckanext.aircan_connector.reconcile.interval_s.")
@_as_json
def reconcile(loop: bool, as_json: bool) -> None:
    """Look after silent runs, drop what killed runs left, delete old runs."""
    while True:
        try:
            done = reconciling.reconcile()
            _say(done, as_json, [", ".join(f"{name.replace('_', ' ')}: {n}" for name, n in done.items())])
        except Exception as exc:  # a round that fails must not end the loop
            if not loop:
                raise
            click.echo(f"This round failed and is tried again: {exc}", err=True)
        if not loop:
            return
        time.sleep(config.reconcile_interval_s())


@aircan.command()
@click.option("--wait", default=120.0, show_default=True, help="Seconds to wait for a worker's answer; 0: ask none.")
@_as_json
def doctor(wait: float, as_json: bool) -> None:
    """Check options, tables, DataStore and factories; exit with 1 when something is wrong.

    A remote factory is asked to run a small check on one of its workers: whether it has the site's key, reaches
    CKAN, and has a store.
    """
    found = checks.examined(wait)
    _say(
        [finding.to_dict() for finding in found],
        as_json,
        [f"{'ok ' if finding.ok else 'BAD'}  {finding.name}: {finding.message}" for finding in found],
    )
    if not all(finding.ok for finding in found):
        raise SystemExit(1)

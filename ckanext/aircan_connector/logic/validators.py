"""Validators of our own: each says in its error what was given and what may be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import ckantoolkit as tk

from aircan import params, recipes
from aircan.status import Status

from .. import factories


def aircan_job_type(value: Any) -> str:
    """Return a job type that has a recipe."""
    if value not in recipes.MENU:
        raise tk.Invalid(
            tk._("There is no job type {given}. There are: {known}.").format(
                given=value, known=", ".join(sorted(recipes.MENU))
            )
        )
    return str(value)


def aircan_factory_name(value: Any) -> str:
    """Return the name of a factory that is installed."""
    known = factories.available()
    if value not in known:
        raise tk.Invalid(
            tk._("There is no factory {given}. There are: {known}.").format(given=value, known=", ".join(sorted(known)))
        )
    return str(value)


def aircan_json_object(value: Any) -> dict[str, Any]:
    """Return an object, given as such or as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise tk.Invalid(tk._("This is not valid JSON.")) from None
    if not isinstance(value, dict):
        raise tk.Invalid(tk._("This must be a JSON object, with names and values."))
    return value


def aircan_between(least: int, most: int) -> Callable[[Any], int]:
    """Return a validator for a whole number from `least` to `most`, both included."""

    def between(value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            number = least - 1
        if not least <= number <= most:
            raise tk.Invalid(tk._("This must be a whole number from {least} to {most}.").format(least=least, most=most))
        return number

    return between


def aircan_params(value: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run, after a look at those that every load knows."""
    if not isinstance(value, dict):  # said by the validator before; CKAN asks the next one all the same
        return value
    for name, words in params.wrong(value).items():
        raise tk.Invalid(tk._("The parameter {name} must be {words}.").format(name=name, words=tk._(words)))
    return value


def aircan_settings(value: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that are to be kept with a file; each must be known, lasting and right."""
    known = ", ".join(name for name, param in params.MENU.items() if param.lasting)
    for name in params.unknown(value) if isinstance(value, dict) else ():
        raise tk.Invalid(
            tk._("The parameter {name} cannot be kept with a file. There are: {known}.").format(name=name, known=known)
        )
    if isinstance(value, dict) and params.lacks_key(value):
        raise tk.Invalid(tk._("Rows are to be found by their key: the parameter key must say which."))
    return aircan_params(value)


def aircan_task(value: Any) -> dict[str, Any]:
    """Return a task as {"id", "status", "message"}; a bare name is a task that runs."""
    if isinstance(value, str) and not value.lstrip().startswith("{"):
        value = {"id": value, "status": Status.RUNNING.value}
    value = aircan_json_object(value)
    words = [status.value for status in Status]
    if not isinstance(value.get("id"), str) or value.get("status", "RUNNING") not in words:
        raise tk.Invalid(tk._("A task needs an id and one of the statuses {known}.").format(known=", ".join(words)))
    return {"id": value["id"], "status": value.get("status", "RUNNING"), "message": str(value.get("message") or "")}

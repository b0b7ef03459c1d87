"""What would keep runs from working, in plain words: for the log at start, and for `ckan aircan doctor`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import plugins as p
from sqlalchemy.exc import SQLAlchemyError

from aircan.contract import Publish
from aircan.errors import AircanError

from . import background, config, factories, model, settings
from .datastore import health
from .factories.base import Factory

log = logging.getLogger(__name__)

APIS = ("auto", "v2", "v1", "experimental")
AUTHS = ("password", "basic", "bearer", "composer", "mwaa", "none")

MIN_KEY = 32
"""Characters of a key that nobody guesses from the tokens made of it."""


@dataclass(frozen=True)
class Finding:
    """A thing that was looked at: its name, whether it is all right, and a sentence with what to do."""

    name: str
    ok: bool
    message: str

    def to_dict(self) -> dict[str, Any]:
        """Return {"name", "ok", "message"}."""
        return {"name": self.name, "ok": self.ok, "message": self.message}


def findings(*, far: bool = True) -> list[Finding]:
    """Return every check's finding, good ones too. Raises nothing that the outside world can cause.

    `far`: whether a factory elsewhere is asked, too.
    """
    found: list[Finding] = []
    for check in (_options, _tables, _datastore, lambda: _factory(far=far), _tokens):
        found.extend(check())
    return found


def examined(wait_s: float) -> list[Finding]:
    """Return every check's finding, with a close look at each factory in use: the site's own, and those with options.

    Takes a while; `wait_s` is for the answer of a worker, see `Factory.examine`.
    """
    found = [finding for check in (_options, _tables, _datastore, _tokens) for finding in check()]
    if config.factory() not in factories.available():
        return [*found, *_factory()]
    for name, cls in sorted(factories.available().items()):
        factory = cls()
        if name == config.factory() or factory.is_set_up():
            found += [Finding(seen.name, seen.ok, seen.message) for seen in factory.examine(wait_s)]
    return found


def log_findings() -> None:
    """Log what is wrong, a line each; a site whose database is not there yet still starts.

    A factory elsewhere is not asked: CKAN starts as fast when it is away.
    """
    for finding in findings(far=False):
        if not finding.ok:
            log.warning("AirCan: %s", finding.message, extra={"action": "check_failed", "check": finding.name})


def _bad(option: str, reader: Callable[[], Any], wanted: Callable[[Any], bool], words: str) -> Iterator[Finding]:
    try:
        good = wanted(reader())
    except (ValueError, TypeError):
        good = False
    if not good:
        yield Finding("options", False, f"The option {config.PREFIX}{option} must be {words}.")


def _is_address(url: str) -> bool:
    return not url or url.startswith(("http://", "https://"))


def _are_long(keys: tuple[str, ...]) -> bool:
    return all(len(key) >= MIN_KEY for key in keys)


def _options() -> list[Finding]:
    found = [
        *_bad("load.publish", config.publish, bool, "one of: " + ", ".join(p.value for p in Publish)),
        *_bad("load.max_reject_percent", config.max_reject_share, lambda v: 0 <= v <= 1, "a number from 0 to 100"),
        *_bad("load.connections", config.load_connections, lambda v: 1 <= v <= 16, "from 1 to 16"),
        *_bad("load.threads", config.load_threads, lambda v: 1 <= v <= 256, "from 1 to 256"),
        *_bad("load.memory_mb", config.load_memory_mb, lambda v: v >= 64, "64 or more"),
        *_bad("load.work_memory_mb", config.work_memory_mb, lambda v: v == 0 or v >= 1, "0, or 1 or more"),
        *_bad("load.max_size_bytes", config.max_size_bytes, lambda v: v > 0, "above 0"),
        *_bad("load.time_limit_s", config.time_limit_s, lambda v: v > 0, "above 0"),
        *_bad("gateway.max_body_bytes", config.max_body_bytes, lambda v: v >= 1_000_000, "1000000 or more"),
        *_bad("airflow.api", config.airflow_api, APIS.__contains__, "one of: " + ", ".join(APIS)),
        *_bad("airflow.auth", config.airflow_auth, AUTHS.__contains__, "one of: " + ", ".join(AUTHS)),
        *_bad("airflow.url", config.airflow_url, _is_address, "an address that begins with http:// or https://"),
        *_bad(
            "airflow.ckan_url", config.airflow_ckan_url, _is_address, "an address that begins with http:// or https://"
        ),
        *_bad("airflow.timeout_s", config.airflow_timeout_s, lambda v: v > 0, "above 0"),
        *_bad("airflow.key", config.airflow_keys, _are_long, f"{MIN_KEY} characters or more, as must previous_key"),
        *_bad("reconcile.lease_s", config.lease_s, lambda v: v >= 30, "30 or more"),
        *_bad("reconcile.interval_s", config.reconcile_interval_s, lambda v: v > 0, "above 0"),
    ]
    if config.show_details_to() not in ("editors", "readers"):
        message = f"The option {config.PREFIX}show_details_to must be editors or readers."
        found.append(Finding("options", False, message))
    return found or [Finding("options", True, "The options are all right.")]


def _tables() -> list[Finding]:
    try:
        with model.begin() as connection:
            known = sa.inspect(connection).get_table_names()
    except (SQLAlchemyError, AttributeError):
        return [Finding("tables", False, "CKAN's database cannot be reached.")]
    if not {model.JOB.name, model.EVENT.name, settings.SETTING.name} <= set(known):
        message = "The tables of jobs are missing. Run: ckan db upgrade -p aircan_connector"
        return [Finding("tables", False, message)]
    return [Finding("tables", True, "The tables of jobs are there.")]


def _datastore() -> list[Finding]:
    if not p.plugin_loaded("datastore"):
        message = "The DataStore is not enabled, so no table can be loaded. Add datastore to ckan.plugins."
        return [Finding("datastore", False, message)]
    problems = health.problems()
    return [Finding("datastore", False, text) for text in problems] or [
        Finding("datastore", True, "The DataStore is set up.")
    ]


def _factory(*, far: bool = True) -> list[Finding]:
    name = config.factory()
    try:
        factory = factories.get(name)
    except AircanError:
        known = ", ".join(sorted(factories.available()))
        message = f"The option {config.PREFIX}factory names {name}, which is not installed. There are: {known}."
        return [Finding("factory", False, message)]
    if factory.look_every_s is not None and not far:
        return _keyed(factory)
    health_now = factory.health()
    return [Finding("factory", health_now.ok, health_now.message)]


def _keyed(factory: Factory) -> list[Finding]:
    try:
        factory.keys()
    except AircanError as exc:
        return [Finding("factory", False, exc.message)]
    return []


def _tokens() -> list[Finding]:
    """Tell how many came with a wrong run token or too late; strangers may, so nothing is wrong with the site."""
    found = []
    if wrong := background.refused_tokens():
        message = (
            f"{wrong} requests with a wrong run token were refused yesterday and today (UTC). If workers outside CKAN "
            "fail with token_refused, set the same key on both sides."
        )
        found.append(Finding("tokens", True, message))
    if late := background.refused_tokens(background.LATE):
        message = (
            f"{late} requests with the token of a run that is over were refused yesterday and today (UTC). A worker "
            "sends a few before it hears of a cancel."
        )
        found.append(Finding("tokens", True, message))
    return found

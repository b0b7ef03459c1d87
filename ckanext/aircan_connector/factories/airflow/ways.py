"""The way to Airflow that the options describe: address, sign-in, and what is remembered of it."""

from __future__ import annotations

from dataclasses import dataclass

from aircan.errors import FactoryMisconfigured

from ... import config
from ..base import Capability
from .answers import NAME, Answer, Link
from .link import HttpLink
from .mwaa import MwaaLink
from .signin import Basic, Bearer, Composer, Nobody, Password, Remembered, SignIn, remembered

ALL = Capability.CANCEL | Capability.LOGS | Capability.TASKS | Capability.FIND


@dataclass(frozen=True)
class Way:
    """How Airflow is asked.

    Attributes:
        link: sends requests.
        memory: what this process need not ask again.
        bare: whether paths name no version there.
        capabilities: what gets through.
    """

    link: Link
    memory: Remembered
    bare: bool = False
    capabilities: Capability = ALL


def _bad(reason: str) -> FactoryMisconfigured:
    return FactoryMisconfigured(factory=NAME, reason=reason)


def _given(value: str, option: str) -> str:
    if not value:
        raise _bad(f"the option {config.PREFIX}{option} is empty")
    return value


def way(timeout_s: float) -> Way:
    """Return the way to Airflow. Raises FactoryMisconfigured, SignInRefused."""
    url, auth = config.airflow_url(), config.airflow_auth()
    if auth == "mwaa":
        name = _given(config.airflow_mwaa_environment(), "airflow.mwaa_environment")
        region = config.airflow_mwaa_region()
        link = MwaaLink(name, region, url, timeout_s)
        return Way(link, remembered(f"mwaa {region}", name), bare=True, capabilities=ALL & ~Capability.LOGS)
    url = _given(url, "airflow.url")
    memory = remembered(url, config.airflow_username())
    return Way(HttpLink(url, _sign_in(auth, url, memory, timeout_s), timeout_s), memory)


def _sign_in(auth: str, url: str, memory: Remembered, timeout_s: float) -> SignIn:
    if auth in ("password", "basic"):
        username = _given(config.airflow_username(), "airflow.username")
        password = _given(config.airflow_password(), "airflow.password")
        if auth == "basic":
            return Basic(username, password)
        door = HttpLink(url, Nobody(), timeout_s)

        def fetch(body: dict[str, str]) -> Answer:
            return door.ask("POST", "/auth/token", body=body, open_door=True)

        return Password(username, password, fetch, memory)
    if auth == "bearer":
        return Bearer(_given(config.airflow_token(), "airflow.token"))
    if auth == "composer":
        return Composer()
    if auth == "none":
        return Nobody()
    raise _bad(f"its option auth is {auth}")

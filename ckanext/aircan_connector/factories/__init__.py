"""The menu of factories: one file each, and the entry points `aircan_connector.factories` of other packages."""

from __future__ import annotations

from functools import lru_cache
from importlib.metadata import entry_points

from aircan.errors import FactoryUnavailable

from .airflow import Airflow
from .base import Factory
from .local import Local

GROUP = "aircan_connector.factories"
"""Entry point group in which another package offers its factories."""

MENU: tuple[type[Factory], ...] = (Local, Airflow)


def available() -> dict[str, type[Factory]]:
    """Return name -> class of every factory that is installed; ours win over others of the same name."""
    return {**_of_others(), **{factory.name: factory for factory in MENU}}


@lru_cache(maxsize=1)
def _of_others() -> dict[str, type[Factory]]:
    """Return what other packages offer, looked up once in a process: it takes 15 ms, and each request asks."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def get(name: str) -> Factory:
    """Return the factory of that name. Raises FactoryUnavailable when there is none."""
    try:
        return available()[name]()
    except KeyError:
        raise FactoryUnavailable(f"no factory is called {name!r}", factory=name) from None


def look_every_s(name: str) -> int | None:
    """Return after how many seconds the active runs of a factory are looked at again; None: when they are silent."""
    found = available().get(name)
    return found.look_every_s if found else None

"""`make demo`: a running site with real data in it, and a table of what happened to every file."""

from __future__ import annotations

from . import ckan, services, venv
from .say import plain
from .site import Site
from .state import State


def run(state: State, version: str, *, port: int | None) -> int:
    """Bring the demo up; 0 when only the files that are broken on purpose failed."""
    with state.lock("up"):
        (folder,) = services.up(state, venv.demo(version))
        site = Site(state, "demo", version)
        if port:
            state.section("ports")[site.web] = port
        ckan.set_up(site, folder)
        ckan.write_env(site)
        ckan.start(site, folder)
    plain(f"\n{site.url}   user {ckan.ADMIN}, password {ckan.PASSWORD}")
    return 0

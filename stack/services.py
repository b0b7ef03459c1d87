"""The servers below every site, and the environments: brought up together, the slow parts side by side."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import ckan, packages, postgres, processes, redis, solr, venv
from .say import plain, say
from .state import State


def up(state: State, *kinds: venv.Kind, quick: bool = False) -> list[Path]:
    """Install what is missing and start PostgreSQL, Redis and Solr.

    Args:
        state: the stack.
        kinds: environments to make on the way.
        quick: for tests, see `postgres.up` and `solr.up`.

    Returns:
        The folders of the environments, in the order of `kinds`.
    """
    maven = {} if solr.jars_folder().exists() else packages.MAVEN
    packages.ensure(packages.SERVERS, packages.BUILD, maven)
    # pip and Maven are slow and wait for the network: they run beside the start of the servers.
    with ThreadPoolExecutor() as pool:
        fetched = pool.submit(solr.fetch)
        made = pool.submit(lambda: [venv.ensure(state.folder, kind) for kind in kinds])
        postgres.up(state, quick=quick)
        redis.up(state)
        solr.up(state, fetched.result(), quick=quick)
        return made.result()


def down(folder: Path, state: State) -> None:
    """Stop everything that this stack started, and nothing else."""
    before = processes.names(folder)
    state.values.pop("keep", None)
    state.save()
    for name in before:
        if name.startswith("web-"):
            ckan.stop(name.removeprefix("web-"), folder)
    for name in processes.names(folder):
        if name not in (solr.NAME, redis.NAME, postgres.NAME) and processes.stop(folder, name):
            say(f"stopped {name}")
    solr.down(state)
    redis.down(state)
    postgres.down(state)
    if not before:
        plain(f"Nothing of {folder} was running.")

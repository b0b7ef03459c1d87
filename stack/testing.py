"""The tests: a stack of their own, one pytest run per phase, and the checks that need no servers."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import ckan, packages, postgres, services, solr, venv
from .airflow import Airflow
from .ports import HOST
from .say import plain, say
from .site import CORE_PLUGINS, Site
from .state import PROJECT, State

NOTHING_COLLECTED = 5
COMPOSE = "vendor.compose-spec"

QUICK = {
    "ckanext.aircan_connector.submit.on_change": "false",
    "ckanext.aircan_connector.reconcile.interval_s": "2",
    "ckanext.aircan_connector.reconcile.lease_s": "30",
    "ckanext.aircan_connector.link.allowed_hosts": HOST,
}
"""Options of the site of the tests with Airflow."""


@dataclass(frozen=True)
class Phase:
    """One pytest run.

    Attributes:
        name: what `--only` calls it.
        paths: what it runs, as far as it exists.
        needs_live: runs against a site with web server and workers.
        needs_airflow: that site is one of its own, set up for the stack's Airflow, which the tests start themselves.
        newest_only: left out for older CKAN versions.
    """

    name: str
    paths: tuple[str, ...]
    needs_live: bool = False
    needs_airflow: bool = False
    newest_only: bool = True


PHASES = (
    Phase("library", ("tests/aircan",)),
    Phase("ckan", ("tests/ckanext", "tests/contracts"), newest_only=False),
    Phase("project", ("tests/stack", "tests/dags", "tests/test_*.py"), needs_live=True),
    Phase("browser", ("tests/browser",), needs_live=True),
    Phase("airflow", ("tests/airflow",), needs_live=True, needs_airflow=True),
)


def up(state: State, version: str, site_name: str, *, is_live: bool) -> int:
    """Bring up the test stack, leave it running, and say how to use it."""
    site, folder = _prepare(state, version, site_name)
    if is_live:
        live(live_site(state, version), folder)
    state.values["keep"] = True
    state.save()
    plain(f"\nThe test stack for CKAN {version} runs. Now, as often as you like:\n")
    plain(f"    . {_short(site.env_file)}")
    plain("    pytest tests/ckanext -k something")
    plain("\n`make test-down` stops it. Several people in one folder: `make test-up SITE=name` gives own databases.")
    return 0


def run(state: State, version: str, site_name: str, *, only: tuple[str, ...], arguments: list[str]) -> int:
    """Run the tests and stop the stack, unless `up` was called for it; the exit code of the first bad phase.

    Args:
        state: the test stack.
        version: of CKAN; phases for the newest version only are left out for others.
        site_name: tests with the same name wait for each other.
        only: names of phases; all when empty.
        arguments: for pytest. Paths among them choose the phases; a selection may leave some phases without tests.
    """
    phases = _chosen(version, only, arguments)
    try:
        with state.lock("in-use", shared=True), state.lock(f"site-{site_name}-{version}"):
            codes = {}
            for phase, paths in phases:
                codes[phase.name] = _run_phase(state, version, site_name, phase, paths, arguments)
    finally:
        state.reload()
        if state.values.get("keep") or state.is_locked("in-use"):
            say("the test stack goes on running, because others use it (`make test-down` stops it)")
        else:
            services.down(state.folder, state)
    return _verdict(codes, has_selection=bool(arguments))


def _verdict(codes: dict[str, int], *, has_selection: bool) -> int:
    plain("")
    for name, code in codes.items():
        what = {0: "passed", NOTHING_COLLECTED: "no tests"}.get(code, f"FAILED (exit code {code})")
        plain(f"{name:10} {what}")
    bad = [code for code in codes.values() if code not in (0, NOTHING_COLLECTED)]
    if bad:
        return bad[0]
    nothing = [code for code in codes.values() if code == NOTHING_COLLECTED]
    if not codes or (nothing and not has_selection) or len(nothing) == len(codes):
        return NOTHING_COLLECTED
    return 0


def check(state: State, what: list[str]) -> int:
    """Run the checks named, with their pinned versions; 0 when all are content.

    `lint` is ruff, and compose.yaml against the Compose specification; `types` is mypy.
    """
    programs = venv.ensure(state.folder, venv.library()) / "bin"
    commands = {
        "lint": [["ruff", "check", "."], ["check-jsonschema", "-q", "--builtin-schema", COMPOSE, "compose.yaml"]],
        "types": [["mypy"]],
    }
    return max(_call([str(programs / name), *rest], {}) for part in what for name, *rest in commands[part])


def bench(state: State, version: str, arguments: list[str]) -> int:
    """Run the scripts of bench/ (all, or those named, each with what follows its name) against a live site.

    PostgreSQL and Solr run as they come meanwhile, and are stopped in the end: the tests want other ones.
    """
    site, folder = _prepare(state, version, "bench")
    with state.lock("up"):
        ckan.stop(live_site(state, version).slug, state.folder)
        postgres.down(state)
        postgres.up(state, quick=False, as_it_comes=True)
        solr.down(state)
        solr.up(state, solr.fetch())
    started = live(live_site(state, version), folder)
    scripts = _scripts(arguments) or [[file.name] for file in sorted((PROJECT / "bench").glob("[!_]*.py"))]
    environment = {**live_environment(started), **{f"TEST_{key}": value for key, value in site.environment().items()}}
    python = str(folder / "bin/python")
    commands = [[python, str(PROJECT / "bench" / name), *rest] for name, *rest in scripts]
    try:
        return max((_call(command, environment) for command in commands), default=0)
    finally:
        ckan.stop(started.slug, state.folder)
        postgres.down(state)
        solr.down(state)


def _scripts(arguments: list[str]) -> list[list[str]]:
    """Cut arguments into scripts: each name that ends with .py, with what follows it."""
    found: list[list[str]] = []
    for argument in arguments:
        if argument.endswith(".py") or not found:
            found.append([])
        found[-1].append(argument)
    return found


def _chosen(version: str, only: tuple[str, ...], arguments: list[str]) -> list[tuple[Phase, list[str]]]:
    """Return the phases to run and what each runs: files that exist, or those that the arguments name."""
    named = [argument for argument in arguments if _file(argument).exists()]
    chosen = []
    for phase in PHASES:
        if (only and phase.name not in only) or (phase.newest_only and version != venv.NEWEST):
            continue
        there = [file for pattern in phase.paths for file in sorted(PROJECT.glob(pattern))]
        paths = [str(file.relative_to(PROJECT)) for file in there]
        if named:
            paths = [name for name in named if any(_is_below(_file(name), file) for file in there)]
        if paths:
            chosen.append((phase, paths))
    return chosen


def _file(argument: str) -> Path:
    """Return the file that an argument of pytest names (`tests/x.py::test_y`), if it names one."""
    return PROJECT / argument.partition("::")[0]


def _is_below(file: Path, folder: Path) -> bool:
    return file == folder or folder in file.parents


def _run_phase(state: State, version: str, site_name: str, phase: Phase, paths: list[str], arguments: list[str]) -> int:
    if phase.name == "library":
        folder, environment, options = venv.ensure(state.folder, venv.library()), {}, ["-p", "no:ckan"]
    elif phase.needs_live:
        if phase.name == "browser":
            packages.ensure(packages.BROWSER)
        _, folder = _prepare(state, version, site_name)
        with state.lock("up"):
            site = airflow_site(state, version) if phase.needs_airflow else live_site(state, version)
        environment = live_environment(live(site, folder))
        options = ["-p", "no:ckan", "-p", "no:ckan_fixtures"]
    else:
        site, folder = _prepare(state, version, site_name)
        environment, options = site.environment(), [f"--ckan-ini={PROJECT / 'test.ini'}"]
    rest = [argument for argument in arguments if not _file(argument).exists()]
    say(f"{phase.name}: pytest {' '.join([*paths, *rest])}")
    return _call([str(folder / "bin/python"), "-m", "pytest", *options, *paths, *rest], environment)


def _prepare(state: State, version: str, site_name: str) -> tuple[Site, Path]:
    """Bring up the servers and the databases of a test site; return it with the environment for it."""
    with state.lock("up"):
        (folder,) = services.up(state, venv.test(version), quick=True)
        site = Site(state, site_name, version, plugins=CORE_PLUGINS)
        ckan.set_up(site, folder)
        values = site.environment()
        values["PYTEST_ADDOPTS"] = f"--ckan-ini={PROJECT / 'test.ini'}"
        lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
        lines.append(f'export PATH={shlex.quote(str(folder / "bin"))}:"$PATH"')
        site.env_file.touch(mode=0o600)
        site.env_file.write_text("\n".join(lines) + "\n")
    return site, folder


def live_site(state: State, version: str) -> Site:
    """Return the site of the tests with a browser, which may load from links that these tests serve."""
    return Site(state, "live", version, options=(("ckanext.aircan_connector.link.allowed_hosts", HOST),))


def airflow_site(state: State, version: str) -> Site:
    """Return the site of the tests with Airflow: nothing starts by itself, and whoever is silent is soon asked."""
    options = {**Airflow(state).options(), **QUICK}
    return Site(state, "airflow", version, options=tuple(options.items()))


def live(site: Site, folder: Path) -> Site:
    """Start the site that browser, packaging, Airflow's tests and benchmarks talk to."""
    with site.state.lock("up"):
        ckan.set_up(site, folder)
        ckan.write_env(site)
        ckan.start(site, folder)
    return site


def live_environment(site: Site) -> dict[str, str]:
    """Return what tests and benchmarks need to know of a live site."""
    names = {"CKAN_ADMIN": ckan.ADMIN, "CKAN_PASSWORD": ckan.PASSWORD, "STACK_FOLDER": str(site.state.folder)}
    return {**ckan.env(site), **names}


def _call(command: list[str], environment: dict[str, str]) -> int:
    return subprocess.run(command, env={**os.environ, **environment}, cwd=PROJECT, check=False).returncode


def _short(file: Path) -> str:
    return str(file.relative_to(PROJECT)) if PROJECT in file.parents else str(file)

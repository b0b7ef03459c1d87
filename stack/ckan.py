"""A CKAN site's set-up and its processes: web server, background worker, reconcile loop."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import ini, postgres, processes, solr
from .say import StackError, say, tail
from .site import Site
from .state import PROJECT

ADMIN = "admin"
PASSWORD = "aircan-demo"
WEB_WORKERS = 2
WEB_THREADS = 4
ANSWER_TIMEOUT_S = 120
SOURCES = {".py", ".yaml", ".html", ".js", ".css", ".mo"}


def set_up(site: Site, venv: Path) -> None:
    """Make databases, core, ini, tables and the sysadmin; what is there stays.

    Raises:
        StackError: CKAN's own set-up failed; with the end of its log.
    """
    is_new = [postgres.ensure_database(site.state, name) for name in site.databases()]
    solr.ensure_core(site.state, site.slug, schema(venv))
    ini.ensure(site)
    (site.folder / "storage").mkdir(exist_ok=True)
    stamps = site.state.section("set_up")
    stamp = _fingerprint(site, venv)
    if any(is_new) or stamps.get(site.slug) != stamp:
        say(f"setting up {site.slug}: tables, migrations, permissions, sysadmin")
        _inside(site, venv)
        stamps[site.slug] = stamp
        site.state.save()


def start(site: Site, venv: Path) -> None:
    """Start the site's processes that do not run and wait until it answers.

    All of them are started again when ckan.ini or our own code is not what they started with.
    """
    running = site.state.section("running")
    now = _code_and_ini(site)
    if running.get(site.slug) != now:
        stop(site.slug, site.state.folder)
    environment = {"CKAN_INI": str(site.ini), "PYTHONUNBUFFERED": "1"}
    ckan = [str(venv / "bin/ckan"), "-c", str(site.ini)]
    commands = {
        site.web: [str(venv / "bin/gunicorn"), *_gunicorn_options(site), "stack.wsgi"],
        f"worker-{site.slug}": [*ckan, "jobs", "worker"],
        f"reconcile-{site.slug}": [*ckan, "aircan", "reconcile", "--loop"],
    }
    for name, command in commands.items():
        if not processes.is_alive(site.state.folder, name):
            processes.stop(site.state.folder, name)
            say(f"starting {name}")
            processes.start(site.state.folder, name, command, env=environment, cwd=PROJECT)
    _wait(site)
    for name in commands:
        if not processes.is_alive(site.state.folder, name):
            raise StackError(f"{name} ended by itself:\n{tail(processes.log_file(site.state.folder, name))}")
    running[site.slug] = now
    site.state.save()


def stop(site_slug: str, folder: Path) -> None:
    """Stop a site's processes: no new requests first, then nobody who makes jobs, then the worker."""
    for name in (f"web-{site_slug}", f"reconcile-{site_slug}", f"worker-{site_slug}"):
        if processes.stop(folder, name):
            say(f"stopped {name}")


def env(site: Site) -> dict[str, str]:
    """Return what a client of the site needs to know."""
    return {"CKAN_URL": site.url, "CKAN_API_TOKEN": site.state.section("tokens")[site.slug], "CKAN_INI": str(site.ini)}


def write_env(site: Site) -> None:
    """Write `env` to the site's file in shell syntax, readable by the owner alone."""
    site.env_file.touch(mode=0o600)
    site.env_file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in env(site).items()))


def schema(venv: Path) -> Path:
    """Return the Solr schema that this CKAN ships."""
    return next(venv.glob("lib/python3*/site-packages/ckan/config/solr/schema.xml"))


def _gunicorn_options(site: Site) -> list[str]:
    return [
        f"--bind={site.url.removeprefix('http://')}",
        f"--workers={WEB_WORKERS}",
        f"--threads={WEB_THREADS}",
        "--timeout=300",
        "--graceful-timeout=5",
        "--no-control-socket",
        "--name=" + site.slug,
    ]


def _fingerprint(site: Site, venv: Path) -> str:
    """Return what the set-up depends on: CKAN's environment and our migrations."""
    parts = [str(venv), (venv / "base.stamp").read_text(), str(site.folder), *site.plugins]
    versions = PROJECT / "ckanext/aircan_connector/migration/aircan_connector/versions"
    parts += [file.name + file.read_text() for file in sorted(versions.glob("*.py"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _code_and_ini(site: Site) -> str:
    files = [site.ini, PROJECT / "pyproject.toml"]
    for package in ("aircan", "ckanext"):
        files += [file for file in sorted((PROJECT / package).rglob("*")) if file.suffix in SOURCES]
    parts = [f"{file} {file.stat().st_mtime_ns}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _inside(site: Site, venv: Path) -> None:
    tokens = site.state.section("tokens")
    admin = {"name": ADMIN, "email": "admin@example.org", "password": PASSWORD, "token": site.slug not in tokens}
    log = processes.log_file(site.state.folder, f"set-up-{site.slug}")
    log.parent.mkdir(exist_ok=True)
    with log.open("w") as errors:
        done = subprocess.run(
            [str(venv / "bin/python"), "-m", "stack.inside"],
            input=json.dumps({"ini": str(site.ini), "admin": admin}),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, **site.environment()},
            cwd=PROJECT,
            check=False,
        )
    if done.returncode:
        raise StackError(f"CKAN's set-up failed:\n{tail(log)}")
    answer = json.loads(done.stdout.splitlines()[-1])
    postgres.sql(site.state, answer["permissions"], database=site.databases()[1])
    if answer.get("token"):
        tokens[site.slug] = answer["token"]


def _wait(site: Site) -> None:
    end = time.monotonic() + ANSWER_TIMEOUT_S
    log = processes.log_file(site.state.folder, site.web)
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{site.url}/api/3/action/status_show", timeout=30):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if not processes.is_alive(site.state.folder, site.web):
                break
            time.sleep(0.2)
    raise StackError(f"CKAN does not answer on {site.url}:\n{tail(log)}")

"""A private PostgreSQL cluster: TCP on loopback only, passwords made once, owned by whoever may run it.

PostgreSQL refuses to run as root, so root hands it to the system user `postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from . import processes
from .ports import HOST
from .say import StackError, say, tail
from .state import State

NAME = "postgres"
USUAL_PORT = 5440
SUPERUSER = "postgres"
OWNER = "ckan"
READER = "datastore_reader"
START_TIMEOUT_S = 60

ROOMY = ("max_connections=200", "shared_buffers=256MB", "max_wal_size=2GB")
"""For several sites on one server."""

UNSAFE_BUT_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For tests: a power failure may cost the cluster, which is made anew then."""


def up(state: State, *, quick: bool, as_it_comes: bool = False) -> None:
    """Create the cluster if it is not there and start it if it does not run.

    Args:
        state: the stack.
        quick: trade safety on power failure for speed.
        as_it_comes: leave every setting as it is after installation, but address and port.

    Raises:
        StackError: initdb failed, or the server did not answer in time; with the end of its log.
    """
    if processes.is_alive(state.folder, NAME):
        return
    data = _data_folder(state)
    _forget_foreign_cluster(state, data)
    if not (data / "PG_VERSION").exists():
        _create(state, data)
    processes.stop(state.folder, NAME)
    _forget_dead_server(data)
    port = state.port(NAME, USUAL_PORT)
    settings = [
        f"listen_addresses={HOST}",
        f"port={port}",
        "unix_socket_directories=",
        *(() if as_it_comes else ROOMY),
        *(UNSAFE_BUT_QUICK if quick else ()),
    ]
    command = [str(_programs(data) / "postgres"), "-D", str(data)]
    for setting in settings:
        command += ["-c", setting]
    say(f"starting PostgreSQL on {HOST}:{port}")
    processes.start(state.folder, NAME, command, user=_system_user(), cwd=data)
    _wait(state)
    _roles(state)


def _forget_foreign_cluster(state: State, data: Path) -> None:
    """Remove the cluster of a state folder that is gone, deleted by hand: its passwords went with it."""
    if data.exists() and "superuser" not in state.section("secrets"):
        say(f"removing the cluster in {data}, whose passwords are gone")
        shutil.rmtree(data)


def down(state: State) -> None:
    """Stop the server at once but cleanly: open transactions are rolled back."""
    if processes.stop(state.folder, NAME, how=signal.SIGINT, grace_s=30):
        say("stopped PostgreSQL")


def remove(state: State) -> None:
    """Remove the cluster, also when it is outside the state folder."""
    shutil.rmtree(_data_folder(state), ignore_errors=True)


def ensure_database(state: State, name: str) -> bool:
    """Create a database that belongs to CKAN's role; True when it was not there."""
    if sql(state, f"SELECT 1 FROM pg_database WHERE datname = '{name}'").strip():
        return False
    sql(state, f"CREATE DATABASE \"{name}\" OWNER {OWNER} ENCODING 'UTF8'")
    return True


def url(state: State, role: str, database: str) -> str:
    """Return the address of a database for one of our roles, password included."""
    port = state.port(NAME, USUAL_PORT)
    return f"postgresql://{role}:{state.secret('database')}@{HOST}:{port}/{database}"


def sql(state: State, statement: str, *, database: str = "postgres") -> str:
    """Run SQL as the superuser and return the unaligned output.

    Raises:
        StackError: a statement failed; the ones before it may have been carried out.
    """
    done = _psql(state, database, statement)
    if done.returncode:
        raise StackError(f"PostgreSQL refused:\n{done.stderr.strip()}")
    return done.stdout


def _psql(state: State, database: str, statement: str) -> subprocess.CompletedProcess[str]:
    port = state.port(NAME, USUAL_PORT)
    connection = f"host={HOST} port={port} user={SUPERUSER} dbname={database} connect_timeout=5"
    return subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", connection],
        env={**os.environ, "PGPASSWORD": state.secret("superuser")},
        input=statement,
        capture_output=True,
        text=True,
        check=False,
    )


def _system_user() -> str | None:
    return SUPERUSER if os.geteuid() == 0 else None


def _identity() -> dict[str, Any]:
    user = _system_user()
    return {"user": user, "group": user, "extra_groups": []} if user else {}


def _data_folder(state: State) -> Path:
    """Return where the cluster lives: in the state folder, or where `postgres` may go when it cannot go there."""
    remembered = state.section("postgres")
    if "data" not in remembered:
        folder = state.folder / "postgres"
        user = _system_user()
        if user and not _may_enter(state.folder):
            folder = Path(pwd.getpwnam(user).pw_dir) / f"aircan{str(state.folder).replace('/', '-')}"
            say(f"the user {user} cannot enter {state.folder}: the cluster goes to {folder}")
        remembered["data"] = str(folder)
        state.save()
    return Path(remembered["data"])


def _may_enter(folder: Path) -> bool:
    return subprocess.run(["/usr/bin/test", "-x", str(folder)], check=False, **_identity()).returncode == 0


def _programs(data: Path) -> Path:
    """Return the folder of PostgreSQL's programs: of the cluster's own version if it has one, else the newest."""
    version_file = data / "PG_VERSION"
    if version_file.exists():
        return Path("/usr/lib/postgresql") / version_file.read_text().strip() / "bin"
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda file: int(file.parts[-3]))
    return found[-1].parent


def _create(state: State, data: Path) -> None:
    say("creating a PostgreSQL cluster")
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    password_file = data.with_name(data.name + ".password")
    password_file.touch(mode=0o600)
    password_file.write_text(state.secret("superuser"))
    user = _system_user()
    if user:
        for path in (data, password_file):
            shutil.chown(path, user, user)
    command = [str(_programs(data) / "initdb"), "-D", str(data), "-U", SUPERUSER, "-A", "scram-sha-256"]
    command += [f"--pwfile={password_file}", "-E", "UTF8", "--locale=C.UTF-8", "-T", "english", "--no-sync"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=data, check=False, **_identity())
    password_file.unlink()
    if done.returncode:
        shutil.rmtree(data)
        raise StackError(f"initdb failed:\n{done.stdout}{done.stderr}")


def _forget_dead_server(data: Path) -> None:
    """Remove the lock file of a server that was killed, unless that server still runs."""
    lock_file = data / "postmaster.pid"
    if not lock_file.exists():
        return
    pid = lock_file.read_text().split()[0]
    try:
        is_ours = Path(f"/proc/{pid}/cwd").resolve(strict=True) == data
    except (FileNotFoundError, PermissionError):
        is_ours = False
    if is_ours:
        raise StackError(f"A PostgreSQL that this stack does not know runs on {data} as process {pid}: stop it first.")
    lock_file.unlink()


def _wait(state: State) -> None:
    """Wait until the server takes statements; it may have to recover, or to wait for the children of a killed one."""
    end = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < end:
        if _psql(state, "postgres", "SELECT 1").returncode == 0:
            return
        if not processes.is_alive(state.folder, NAME):
            break
        time.sleep(0.1)
    raise StackError(f"PostgreSQL does not answer. The end of its log:\n{tail(processes.log_file(state.folder, NAME))}")


def _roles(state: State) -> None:
    password = state.secret("database")
    for role in (OWNER, READER):
        if not sql(state, f"SELECT 1 FROM pg_roles WHERE rolname = '{role}'").strip():
            sql(state, f"CREATE ROLE {role} LOGIN PASSWORD '{password}'")

"""A private Solr on loopback from its Maven jars, with one core for each CKAN site.

No package of Debian holds Solr, so the jars come from Maven Central, once per user, into a cache folder. The jar
`solr-test-framework` brings the embedded Jetty that Solr's own tests use; files/SolrServer.java starts it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from . import processes
from .ports import HOST
from .say import StackError, say, tail
from .state import State

NAME = "solr"
USUAL_PORT = 8990
FILES = Path(__file__).resolve().parent / "files"
START_TIMEOUT_S = 90
UNSAFE_BUT_QUICK = (
    "-Daircan.directory=solr.ByteBuffersDirectoryFactory",
    "-Daircan.lock=single",
    "-Daircan.log=false",
)
"""Indexes in memory alone: a commit, of which CKAN makes one for each change of a dataset, takes 4 ms instead of the
50 in which files reach the disk (measured 2026-11). They are empty when Solr starts."""

EMPTY_FILES = ("protwords.txt", "synonyms.txt", "stopwords.txt")


def jars_folder() -> Path:
    """Return where the jars and the compiled launcher are, or will be: in the user's cache, one folder per recipe."""
    recipe = (FILES / "pom.xml").read_bytes() + (FILES / "SolrServer.java").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "aircan"
    return cache / f"solr-{hashlib.sha256(recipe).hexdigest()[:12]}"


def fetch() -> Path:
    """Make sure that the jars and the compiled launcher are in the cache; return their folder.

    Raises:
        StackError: Maven or the Java compiler failed; the cache is left without the folder.
    """
    folder = jars_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "solr.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            say("fetching Solr from Maven Central (84 MB, once)")
            draft = folder.with_suffix(".new")
            shutil.rmtree(draft, ignore_errors=True)
            copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
            pom = str(FILES / "pom.xml")
            _run(["mvn", "-q", "-B", "-f", pom, copy, f"-DoutputDirectory={draft}/lib", "-DincludeScope=runtime"])
            _run(["javac", "-cp", f"{draft}/lib/*", "-d", f"{draft}/classes", str(FILES / "SolrServer.java")])
            draft.rename(folder)
    return folder


def up(state: State, jars: Path, *, quick: bool = False) -> None:
    """Start Solr if it does not run; returns when it answers.

    Args:
        state: the stack.
        jars: what `fetch` returned.
        quick: keep indexes for as long as Solr runs, for tests.
    """
    if processes.is_alive(state.folder, NAME):
        return
    processes.stop(state.folder, NAME)
    home = _home(state)
    home.mkdir(parents=True, exist_ok=True)
    (home / "solr.xml").write_text("<solr/>\n")
    # A killed Solr leaves its index locks; nobody else can hold them, since our Solr does not run.
    for lock in home.glob("*/data/index/write.lock"):
        lock.unlink()
    port = state.port(NAME, USUAL_PORT)
    say(f"starting Solr on {HOST}:{port}")
    options = ["-Xmx512m", "-XX:+UseSerialGC", f"-Dsolr.log.dir={state.folder}/log"]
    command = [
        "java",
        *options,
        *(UNSAFE_BUT_QUICK if quick else ()),
        "-cp",
        f"{jars}/classes:{jars}/lib/*",
        "SolrServer",
        str(home),
        str(port),
    ]
    processes.start(state.folder, NAME, command)
    end = time.monotonic() + START_TIMEOUT_S
    while _get(state, "/admin/cores?action=STATUS&indexInfo=false") is None:
        if time.monotonic() > end or not processes.is_alive(state.folder, NAME):
            raise StackError(f"Solr does not answer:\n{tail(processes.log_file(state.folder, NAME))}")
        time.sleep(0.1)


def down(state: State) -> None:
    """Stop Solr."""
    if processes.stop(state.folder, NAME):
        say("stopped Solr")


def ensure_core(state: State, core: str, schema: Path) -> None:
    """Make a core with CKAN's own schema, in a running Solr; a changed schema is taken over.

    Args:
        state: the stack.
        core: the core's name.
        schema: `ckan/config/solr/schema.xml` of the CKAN version that will use it.
    """
    folder = _home(state) / core
    conf = folder / "conf"
    is_changed = not (conf / "schema.xml").exists() or (conf / "schema.xml").read_bytes() != schema.read_bytes()
    conf.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(FILES / "solrconfig.xml", conf / "solrconfig.xml")
    shutil.copyfile(schema, conf / "schema.xml")
    for name in EMPTY_FILES:
        (conf / name).touch()
    status = _get(state, f"/admin/cores?action=STATUS&core={core}&indexInfo=false") or {}
    if not status.get("status", {}).get(core):
        answer = _get(state, f"/admin/cores?action=CREATE&name={core}&instanceDir={core}")
    elif is_changed:
        answer = _get(state, f"/admin/cores?action=RELOAD&core={core}")
    else:
        return
    if answer is None:
        raise StackError(f"Solr made no core {core}:\n{tail(processes.log_file(state.folder, NAME))}")


def url(state: State, core: str) -> str:
    """Return the address of a core, as `solr_url` wants it."""
    return f"http://{HOST}:{state.port(NAME, USUAL_PORT)}/solr/{core}"


def _home(state: State) -> Path:
    return state.folder / "solr"


def _get(state: State, path: str) -> dict[str, dict[str, object]] | None:
    """Ask Solr; None when it does not answer or says no."""
    separator = "&" if "?" in path else "?"
    address = f"http://{HOST}:{state.port(NAME, USUAL_PORT)}/solr{path}{separator}wt=json"
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)  # type: ignore[no-any-return]
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return None


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"{command[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")

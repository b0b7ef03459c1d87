"""A worker outside CKAN behind a real nginx with limits: small bodies, short requests, connections that are cut.

No Airflow is needed: a run that nobody takes up is carried out by hand, with the command `aircan run --key-env`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from aircan.keys import run_token
from stack import ports
from stack.ports import HOST
from stack.state import PROJECT

from . import files
from .nginx import Nginx, Request, free_port
from .rig import Rig, eventually

PROGRAMS = Path(sys.executable).parent
ROWS = 150_000
SMALL_ROWS = 40_000
FREE_BYTES = 2_000_000
"""Bytes of the file after which the proxy sends slowly, so that there is time to cut it."""

TROUBLE = ("too large body", "timed out", "prematurely closed")
OPTION = "ckanext.aircan_connector.gateway."

ORDER = """
import json, sys
from ckan.cli import CKANConfigLoader
from ckan.config.middleware import make_app
app = make_app(CKANConfigLoader(sys.argv[1]).get_config())
with app._wsgi_app.test_request_context():
    from ckanext.aircan_connector import jobs, orders
    print(json.dumps(orders.make(jobs.get(sys.argv[2])).to_dict()))
"""


@dataclass(frozen=True)
class Site:
    """CKAN's web server as an operator would run it behind a proxy.

    Attributes:
        nginx: what workers talk to.
        ini: the configuration file, which has the address of the proxy.
    """

    nginx: Nginx
    ini: Path


@contextlib.contextmanager
def behind(ckan: Rig, folder: Path, *, body: str, seconds: int, **options: int) -> Iterator[Site]:
    """Start a web server with these options of the gateway on CKAN's databases, and an nginx before it."""
    port = free_port()
    nginx = Nginx(folder / "nginx", f"http://{HOST}:{port}", body=body, seconds=seconds)
    ini = folder / "ckan.ini"
    ini.touch(mode=0o600)
    text = re.sub(r"(?m)^ckan\.site_url = .*$", f"ckan.site_url = {nginx.url}", ckan.site.ini.read_text())
    more = "".join(f"{OPTION}{name} = {value}\n" for name, value in options.items())
    ini.write_text(text.replace("[app:main]\n", f"[app:main]\n{more}"))
    command = [str(PROGRAMS / "gunicorn"), f"--bind={HOST}:{port}", "--threads=8", "--no-control-socket", "stack.wsgi"]
    with open(folder / "web.log", "wb") as log:
        web = subprocess.Popen(command, env={**os.environ, "CKAN_INI": str(ini)}, cwd=PROJECT, stdout=log, stderr=log)
        try:
            assert ports.wait_open(port, timeout_s=60), (folder / "web.log").read_text()
            with nginx:
                yield Site(nginx, ini)
        finally:
            web.terminate()
            web.wait(timeout=30)


class Worker:
    """The command `aircan run`, carrying out a run of the site from outside; a context manager.

    Attributes:
        folder: where it keeps its work; everything it prints is in `said`.
    """

    def __init__(self, ckan: Rig, site: Site, folder: Path, resource: str, **params: Any) -> None:
        self.job_id = ckan.submit(resource, params=params)
        made = subprocess.run(
            [sys.executable, "-c", ORDER, str(site.ini), self.job_id], capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr[-3000:]
        self.order = json.loads(made.stdout.splitlines()[-1])
        self.folder = folder / "work"
        self.folder.mkdir()
        self.said = folder / "said"
        (folder / "order.json").write_text(json.dumps(self.order))
        self._command = [str(PROGRAMS / "aircan"), "run", str(folder / "order.json"), "--key-env", "KEY", "--json"]
        self._environment = {**os.environ, "KEY": ckan.airflow.key, "TMPDIR": str(self.folder)}

    def __enter__(self) -> Worker:
        with open(self.said, "wb") as said:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=said, stderr=said)
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.kill()
        self._process.wait()

    def code(self) -> int:
        """Wait for the end; return the exit code."""
        return self._process.wait(timeout=150)

    def has_bytes(self, count: int) -> bool:
        """Tell whether so much of the file has arrived."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file()) >= count


def of_parts(requests: list[Request]) -> list[Request]:
    return [one for one in requests if one.method == "PUT" and "/parts/" in one.path]


@pytest.fixture(scope="module")
def upload(folder: Path) -> Path:
    """A file of 13 MB, most of which is still to come when the connection is cut."""
    return files.large(folder / "proxied.csv", ROWS)


def test_a_private_upload_crosses_a_proxy_of_30_seconds_and_10_megabytes(ckan: Rig, upload: Path, tmp_path: Path):
    """The proxy is reloaded while the file is on its way, which cuts the connection: the rest comes as a range."""
    resource = ckan.resource(upload, private=True)
    with behind(ckan, tmp_path, body="10m", seconds=30) as site:
        with Worker(ckan, site, tmp_path, resource) as worker:
            eventually(lambda: worker.has_bytes(FREE_BYTES), "a part of the file had arrived")
            site.nginx.reload()
            assert worker.code() == 0, worker.said.read_text()[-3000:]
        requests, written = site.nginx.requests(), site.nginx.written() + (tmp_path / "web.log").read_text()
    job = ckan.ended(worker.job_id)
    assert (job["status"], job["info"]["result"]["rows"]) == ("DONE", ROWS)
    assert ckan.api.call("datastore_search", resource_id=resource, limit=0)["total"] == ROWS
    assert [one.status for one in requests if one.path.endswith("/file")] == [200, 206]
    assert [one.method for one in requests if one.path.endswith("/publish")][:2] == ["POST", "GET"]
    assert len(of_parts(requests)) >= 5
    assert {one.status for one in requests} == {200, 202, 206}
    assert max(one.seconds for one in requests) < 30
    assert max(one.length for one in requests) < 10 << 20
    assert [words for words in TROUBLE if words in written] == []
    assert run_token(ckan.airflow.key, worker.job_id) not in written


def test_smaller_limits_are_a_matter_of_an_option(ckan: Rig, upload: Path, tmp_path: Path):
    """Parts of 2 MB would be let through packed only, after a refusal each time that they are tried plain."""
    resource = ckan.resource(upload, private=True)
    with behind(ckan, tmp_path, body="1m", seconds=5, max_body_bytes=1_000_000) as site:
        with Worker(ckan, site, tmp_path, resource, load_connections=1) as worker:
            assert worker.code() == 0, worker.said.read_text()[-3000:]
        requests, written = site.nginx.requests(), site.nginx.written()
    job = ckan.ended(worker.job_id)
    assert (job["status"], job["info"]["result"]["rows"]) == ("DONE", ROWS)
    assert worker.order["params"]["part_bytes"] == 1_000_000
    parts = of_parts(requests)
    assert len(parts) >= 12
    assert {one.status for one in requests} <= {200, 202}
    assert max(one.seconds for one in requests) < 5
    assert [words for words in TROUBLE if words in written] == []


def test_a_proxy_that_lets_less_through_than_ckan_says_ends_the_run_with_what_to_do(
    ckan: Rig, folder: Path, tmp_path: Path
):
    resource = ckan.resource(files.large(folder / "refused.csv", SMALL_ROWS))
    with behind(ckan, tmp_path, body="20k", seconds=30) as site, Worker(ckan, site, tmp_path, resource) as worker:
        assert worker.code() == 1
        requests = site.nginx.requests()
    assert [one.status for one in of_parts(requests)].count(413) == len(of_parts(requests)) > 1
    job = ckan.ended(worker.job_id)
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "body_too_large")
    assert OPTION + "max_body_bytes" in job["info"]["error"]["message"]
    assert "proxy in front of CKAN" in job["info"]["error"]["message"]
    assert ckan.hidden_tables(worker.job_id) == []

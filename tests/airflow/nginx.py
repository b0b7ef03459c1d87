"""A real nginx before a web server of CKAN's, with limits of its own, that writes down every request."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from stack import packages, ports
from stack.ports import HOST

START_S = 20
CONF = """
daemon off;
{user}
pid {folder}/pid;
error_log {folder}/error.log info;
worker_processes 1;
worker_shutdown_timeout 1s;
events {{ worker_connections 256; }}
http {{
    log_format short '$request_method|$uri|$status|$request_length|$request_time|$body_bytes_sent';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {host}:{port};
        client_max_body_size {body};
        client_body_timeout {seconds}s;
        proxy_connect_timeout {seconds}s;
        proxy_send_timeout {seconds}s;
        proxy_read_timeout {seconds}s;
        location / {{
            proxy_pass {behind};
            proxy_set_header Host $http_host;
            limit_rate_after 2m;
            limit_rate 3m;
        }}
    }}
}}
"""


@dataclass(frozen=True)
class Request:
    """One line of the access log: sizes in bytes with the headers, `seconds` until the last byte was sent."""

    method: str
    path: str
    status: int
    length: int
    seconds: float
    sent: int


class Nginx:
    """An nginx on a free port of loopback; a context manager.

    Args:
        folder: where it keeps everything it writes.
        behind: address of the server that it stands before.
        body: its `client_max_body_size`.
        seconds: every one of its time limits for a request.
    """

    def __init__(self, folder: Path, behind: str, *, body: str, seconds: int) -> None:
        self.folder = folder
        self._port = free_port()
        self.url = f"http://{HOST}:{self._port}"
        user = "user root;" if os.geteuid() == 0 else ""
        told = {"user": user, "host": HOST, "port": self._port, "behind": behind, "body": body, "seconds": seconds}
        folder.mkdir(parents=True)
        (folder / "nginx.conf").write_text(CONF.format(folder=folder, **told))

    def __enter__(self) -> Nginx:
        packages.ensure(packages.PROXY)
        command = ["nginx", "-p", str(self.folder), "-c", str(self.folder / "nginx.conf"), "-e", "stderr"]
        path = f"{os.environ.get('PATH', '')}:/usr/sbin"
        self._process = subprocess.Popen(command, env={**os.environ, "PATH": path}, stderr=subprocess.PIPE, text=True)
        if not ports.wait_open(self._port, timeout_s=START_S):
            self._process.kill()
            raise AssertionError(f"nginx did not start: {self._process.communicate()[1]}")
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.communicate(timeout=START_S)

    def reload(self) -> None:
        """Take a new worker process; the old one cuts what it has not sent within a second."""
        self._process.send_signal(signal.SIGHUP)

    def requests(self) -> list[Request]:
        """Return the requests that have ended, in the order in which they did."""
        lines = (self.folder / "access.log").read_text().splitlines()
        found = [line.split("|") for line in lines]
        return [Request(m, path, int(s), int(n), float(t), int(sent)) for m, path, s, n, t, sent in found]

    def written(self) -> str:
        """Return everything that it has written into its logs."""
        return "".join((self.folder / name).read_text(errors="replace") for name in ("access.log", "error.log"))


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])

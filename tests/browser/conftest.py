"""A real CKAN and a real Chromium. Where the CKAN is: CKAN_URL, CKAN_ADMIN, CKAN_PASSWORD, CKAN_API_TOKEN."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import urllib.request
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

PATIENCE_MS = 60_000
"""How long a page may take for anything but a run; on an idle machine it is a tenth of a second."""

expect.set_options(timeout=PATIENCE_MS)

MAX_UPLOAD_BYTES = 10 * 1024 * 1024
"""CKAN's own limit for an upload, ckan.max_resource_size."""


class Site:
    """The CKAN under test, through its API."""

    def __init__(self) -> None:
        self.url = os.environ["CKAN_URL"].rstrip("/")
        self.admin = os.environ.get("CKAN_ADMIN", "admin")
        self.password = os.environ["CKAN_PASSWORD"]
        self.token = os.environ["CKAN_API_TOKEN"]

    def action(self, name: str, /, **params: Any) -> Any:
        request = urllib.request.Request(
            f"{self.url}/api/3/action/{name}",
            data=json.dumps(params).encode(),
            headers={"Authorization": self.token, "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["result"]


@pytest.fixture(scope="session")
def site() -> Site:
    if "CKAN_URL" not in os.environ:
        pytest.skip("CKAN_URL, CKAN_PASSWORD and CKAN_API_TOKEN are not set: use make test")
    return Site()


@pytest.fixture(scope="session")
def organisation(site: Site) -> str:
    name = f"browser-{uuid.uuid4().hex[:8]}"
    site.action("organization_create", name=name, title=f"Organisation {name}")
    return name


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


def open_page(browser: Browser, site: Site, **kwargs: Any) -> Page:
    page = browser.new_context(base_url=site.url, viewport={"width": 1200, "height": 900}, **kwargs).new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


@pytest.fixture
def page(browser: Browser, site: Site):
    """A page of somebody who is logged in as a sysadmin by CKAN's own form."""
    page = open_page(browser, site)
    page.goto("/user/login")
    page.fill("#field-login", site.admin)
    page.fill("#field-password", site.password)
    page.press("#field-password", "Enter")
    page.wait_for_url(lambda url: "/user/login" not in url)
    yield page
    page.context.close()


@pytest.fixture
def stranger(browser: Browser, site: Site):
    """A page of somebody who is not logged in."""
    page = open_page(browser, site)
    yield page
    page.context.close()


@pytest.fixture
def plain(browser: Browser, site: Site):
    """A page without JavaScript."""
    page = open_page(browser, site, java_script_enabled=False)
    yield page
    page.context.close()


def make_dataset(site: Site, organisation: str) -> str:
    name = f"browser-{uuid.uuid4().hex[:8]}"
    site.action("package_create", name=name, title=f"Dataset {name}", owner_org=organisation)
    return name


@pytest.fixture
def dataset(site: Site, organisation: str) -> str:
    return make_dataset(site, organisation)


@pytest.fixture
def other_dataset(site: Site, organisation: str) -> str:
    return make_dataset(site, organisation)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "stations.csv"
    path.write_text("code,town,opened\n" + "".join(f"{n:03},Town {n},{1900 + n}-05-17\n" for n in range(1, 101)))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.csv"
    path.write_text("code,town,opened\n" + "".join(f"{n:03},Town {n}\n" for n in range(1, 101)))
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that takes some seconds to load."""
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("n,a,b,c,d,e\n")
        for n in range(150_000):
            file.write(f"{n},text of the row {n},{n * 7 % 1000}.25,2024-03-31,{n % 2},more words {n % 97}\n")
    assert path.stat().st_size < MAX_UPLOAD_BYTES
    return path


class Endless:
    """A link to a table that goes on and on until it is told to end, and so does a run that loads it.

    Attributes:
        url: of the table.
        enough: set, it ends.
    """

    def __init__(self) -> None:
        self.enough = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/endless.csv"

    def __enter__(self) -> Endless:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.enough.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(endless) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/csv")
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(b"n,word\n")
                    while not endless.enough.wait(0.05):
                        self.wfile.write(b"1,again\n")

            def log_message(self, *_: Any) -> None:
                """Keep the terminal quiet."""

        return Handler


@pytest.fixture
def endless() -> Iterator[Endless]:
    """A link whose run lasts as long as the test wants; the only background worker is busy with it."""
    with Endless() as link:
        yield link

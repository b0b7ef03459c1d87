"""A server on loopback that plays what a real Airflow answered, and judges every request it gets.

For each request (method, path, query) the recorded answers come in their order, the last one again and again: so a
run is queued, runs, and ends as it did. What was answered after a request that changes something is not played
before that request has come. A request that was not recorded, whose body is another, or that Airflow's
published OpenAPI does not describe, is kept in `wrong`; so is an answer that it does not describe.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.contracts.openapi import published

HERE = Path(__file__).parent
MOMENTS = ("run_after", "logical_date", "execution_date", "note")
"""Fields of a body that need not be the same."""

SPECS = {"3": "v2", "2": "v1"}
OTHERS = {"v2": ("/api/v1/", "/api/experimental/"), "v1": ("/api/v2/", "/api/experimental/")}
"""What no document describes: the question for another version."""

BESIDE_THE_SPEC = ("403: detail: None is not of type 'string'",)
"""Where a real Airflow (2.11.2) does not do what its own document says."""


@dataclass
class Answered:
    """What is sent back; `cut` closes the connection instead, after the request was taken."""

    status: int = 200
    kind: str = "application/json"
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False

    @property
    def data(self) -> bytes:
        if self.body is None or self.status == 204:
            return b""
        return (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()


@dataclass
class Fault:
    """Something that goes wrong with requests that match: before they have an effect (`early`), or after."""

    method: str
    path: str
    answer: Answered
    times: int = 1
    early: bool = True


class Player:
    """Plays one scenario of a recording."""

    def __init__(self, version: str, scenario: str = "good", base: str = "") -> None:
        told = json.loads((HERE / "recordings" / f"airflow-{version}.json").read_text(encoding="utf-8"))
        self.spec = SPECS.get(version[0])
        self.base = base
        self.scenarios = told["scenarios"]
        self.play(scenario)
        self.faults: list[Fault] = []
        self.asked: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}{base}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def play(self, scenario: str) -> None:
        """Begin a scenario; what it lacks, as the version, is taken from the others."""
        self.tape = self.scenarios[scenario]
        self.spare = [item for items in self.scenarios.values() for item in items if _is_general(item["request"])]
        self.at: dict[str, int] = {}
        self.acts = acts = 0
        for item in self.tape:
            item["after"] = acts
            acts += _acts(item["request"])

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def fault(self, method: str, path: str, answer: Answered, **rest: Any) -> None:
        """Let the next requests that match go wrong; `path` is a regular expression."""
        self.faults.append(Fault(method, path, answer, **rest))

    def paths(self, method: str) -> list[str]:
        """Return the paths that were asked for with a method."""
        return [item["path"] for item in self.asked if item["method"] == method]

    def answer(self, asked: dict[str, Any]) -> Answered:
        with self.lock:
            self.asked.append(asked)
            fault = self._fault(asked)
            if fault and fault.early:
                return fault.answer
            told = self._recorded(asked)
            return fault.answer if fault else told

    def _fault(self, asked: dict[str, Any]) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.method == asked["method"] and re.search(fault.path, asked["path"]):
                fault.times -= 1
                return fault
        return None

    def _recorded(self, asked: dict[str, Any]) -> Answered:
        same = [item for item in self.tape if _key(item["request"]) == _key(asked)]
        same = same or [item for item in self.spare if _key(item["request"]) == _key(asked)][:1]
        if not same:
            self.wrong.append(f"not recorded: {_key(asked)}")
            return Answered(404, "text/html", "<html>not recorded</html>")
        open_yet = [item for item in same if item.get("after", 0) <= self.acts] or same[:1]
        number = self.at.get(_key(asked), 0)
        self.at[_key(asked)] = min(number + 1, len(open_yet))
        self.acts += _acts(asked)
        item = open_yet[min(number, len(open_yet) - 1)]
        self._judge(asked, item)
        told = item["answer"]
        return Answered(told["status"], told["kind"], told["body"], told["headers"])

    def _judge(self, asked: dict[str, Any], item: dict[str, Any]) -> None:
        was, told = item["request"], item["answer"]
        if _still(was["body"]) != _still(asked["body"]):
            self.wrong.append(f"{_key(asked)}: body {asked['body']}, recorded {was['body']}")
        for name in ("accept", "auth"):
            if was[name] != asked[name]:
                self.wrong.append(f"{_key(asked)}: {name} is {asked[name]!r}, recorded {was[name]!r}")
        method, path = asked["method"], asked["path"]
        if self.spec and not path.startswith(OTHERS[self.spec]):
            judge = published("token" if path.startswith("/auth/") else self.spec)
            self.wrong += judge.wrong_in_request(method, path, asked["query"], asked["body"])
            found = judge.wrong_in_answer(method, path, told["status"], told["kind"], told["body"])
            self.wrong += [text for text in found if not text.endswith(BESIDE_THE_SPEC)]


def _is_general(request: dict[str, Any]) -> bool:
    return request["path"].endswith(("/version", "/auth/token"))


def _acts(request: dict[str, Any]) -> int:
    return int(request["method"] != "GET" and not request["path"].startswith("/auth/"))


def _key(request: dict[str, Any]) -> str:
    return f"{request['method']} {request['path']} {sorted(request['query'].items())}"


def _still(body: Any) -> Any:
    if not isinstance(body, dict):
        return body
    still = {name: value for name, value in body.items() if name not in MOMENTS or value is None}
    if isinstance(still.get("conf"), dict):  # the order has tests of its own
        still["conf"] = {name: still["conf"].get(name) for name in ("job_id", "job_type", "dag_id", "site_url")}
    return still


def _handler(player: Player) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            there = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            data = self.rfile.read(length)
            assert there.path.startswith(player.base)
            scheme, _, secret = self.headers.get("Authorization", "").partition(" ")
            told = player.answer(
                {
                    "method": self.command,
                    "path": there.path[len(player.base) :],
                    "query": dict(parse_qsl(there.query)),
                    "body": json.loads(data) if data else None,
                    "accept": self.headers.get("Accept", ""),
                    "auth": scheme,
                    "secret": secret,
                }
            )
            if told.cut:
                self.close_connection = True
                return
            self.send_response(told.status)
            for name, value in {"Content-Type": told.kind, **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(told.data)))
            self.end_headers()
            self.wfile.write(told.data)

        do_GET = do_POST = do_PATCH = do_DELETE = _do  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    return Handler


Playing = Callable[..., Player]

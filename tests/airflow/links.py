"""A web server whose links answer as a test wants: late, or not to the end."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .rig import PATIENCE_S

CSV = "id,word\n" + "".join(f"{n},word {n}\n" for n in range(500))


class Links:
    """Serves `/cut/N` (the beginning only, N times, then all) and `/held` (a piece, then silence until released)."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.asked = threading.Event()
        self.answers: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Links:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def hold(self) -> None:
        self.released.clear()
        self.asked.clear()

    def _handler(links) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _, kind, *rest = self.path.split("/")
                before = sum(path == self.path for path, _ in links.answers)
                is_cut = kind == "cut" and before < int(rest[0])
                links.answers.append((self.path, "cut" if is_cut else "whole"))
                body = CSV.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/csv")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[:100])
                if kind == "held":
                    self.wfile.flush()
                    links.asked.set()
                    links.released.wait(PATIENCE_S)
                self.wfile.write(b"" if is_cut else body[100:])

            def log_message(self, *_: Any) -> None:
                """Keep the terminal quiet."""

        return Handler

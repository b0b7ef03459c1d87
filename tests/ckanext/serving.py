"""CKAN over HTTP, in a thread of the test, with a proxy before it that can be told to misbehave."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    def log(self, *_args: Any) -> None:
        """Say nothing."""


class Proxy:
    """Stands before CKAN: `plan` gets each request's action, and how many there were, and says what to do instead.

    Requests with rows are "insert"; None lets a request through, "lost" does it and answers 502.
    """

    def __init__(self, app: Any) -> None:
        self.app, self.asked, self.headers = app, list[str](), list[dict[str, str]]()
        self.plan = lambda _action, _number: None

    def __call__(self, environ: Any, start: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        action = "insert" if b'"records": [' in body else environ["PATH_INFO"].rpartition("/")[2]
        self.asked.append(action)
        self.headers.append({name: value for name, value in environ.items() if name.startswith("HTTP_")})
        said = self.plan(action, self.asked.count(action))
        if said == "lost":
            list(self.app(environ, lambda *_args: lambda _data: None))
            said = 502
        if said:
            start(f"{said} No", [("Content-Type", "text/html")])
            return [b"<html>no</html>"]
        return self.app(environ, start)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback; give its address."""
    one = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=one.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{one.server_port}"
    finally:
        one.shutdown()
        thread.join()
        one.server_close()

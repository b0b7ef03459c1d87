"""A way to CKAN that loses things: a proxy that cuts connections, in the middle of a request or of its answer."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from typing import Any
from urllib.parse import urlsplit


class FlakyWay:
    """Passes connections on to a server and cuts some of them.

    Args:
        url: of the server.
        seed: decides which, so that a failure can be had again.
        share: of the connections that are cut.

    Attributes:
        url: of the way.
        cut: how often a connection was cut while the request ("up") or its answer ("down") was on its way.
    """

    def __init__(self, url: str, *, seed: int, share: float = 0.5) -> None:
        parts = urlsplit(url)
        self._server = (str(parts.hostname), int(parts.port or 80))
        self._random, self._share, self._lock = random.Random(seed), share, threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.cut: Counter[str] = Counter()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                doomed = self._random.random() < self._share
                direction = self._random.choice(["up", "down"])
                after = self._random.choice([0, 1, 150, 400, 3_000, 60_000]) if doomed else None
            limits: dict[str, Any] = {direction: after}
            server = socket.create_connection(self._server)
            for name, source, target in (("up", client, server), ("down", server, client)):
                arguments = (name, source, target, limits.get(name))
                threading.Thread(target=self._pass, args=arguments, daemon=True).start()

    def _pass(self, name: str, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        try:
            while piece := source.recv(65_536):
                if limit is not None and passed + len(piece) > limit:
                    target.sendall(piece[: limit - passed])
                    with self._lock:
                        self.cut[name] += 1
                    break
                target.sendall(piece)
                passed += len(piece)
        except OSError:
            return
        finally:
            for end in (source, target):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

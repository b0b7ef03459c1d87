"""A small client of CKAN's action API: JSON calls, and uploads that stream from disk."""

from __future__ import annotations

import http.client
import json
import mimetypes
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .say import StackError

TIMEOUT_S = 120
CHUNK_BYTES = 1 << 20


class Api:
    """The actions of one site, called as one user."""

    def __init__(self, url: str, token: str) -> None:
        """Remember where and as whom; nothing is called yet."""
        self._address = urlsplit(url)
        self._token = token

    def call(self, action: str, **data: Any) -> Any:
        """Call an action and return its result.

        Raises:
            StackError: CKAN said no, with its reason; or gave no answer in time.
        """
        return self._post(action, "application/json", json.dumps(data).encode())

    def find(self, action: str, **data: Any) -> Any:
        """Call a `..._show` action; None when there is no such thing."""
        try:
            return self.call(action, **data)
        except NotFound:
            return None

    def upload(self, action: str, file: Path, **fields: str) -> Any:
        """Call an action with a file as its `upload` field; the file is never in memory as a whole."""
        boundary = uuid.uuid4().hex
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += f'--{boundary}\r\nContent-Disposition: form-data; name="upload"; filename="{file.name}"\r\n'
        head += f"Content-Type: {kind}\r\n\r\n"
        foot = f"\r\n--{boundary}--\r\n"
        size = len(head.encode()) + file.stat().st_size + len(foot.encode())

        def body() -> Iterator[bytes]:
            yield head.encode()
            with file.open("rb") as source:
                while chunk := source.read(CHUNK_BYTES):
                    yield chunk
            yield foot.encode()

        return self._post(action, f"multipart/form-data; boundary={boundary}", body(), size)

    def _post(self, action: str, content_type: str, body: Any, size_bytes: int | None = None) -> Any:
        headers = {"Authorization": self._token, "Content-Type": content_type}
        if size_bytes is not None:
            headers["Content-Length"] = str(size_bytes)
        connection = http.client.HTTPConnection(self._address.netloc, timeout=TIMEOUT_S)
        try:
            connection.request("POST", f"/api/3/action/{action}", body=body, headers=headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except OSError as problem:
            raise StackError(f"CKAN did not answer {action}: {problem}") from problem
        finally:
            connection.close()
        if answer.status == http.HTTPStatus.NOT_FOUND:
            raise NotFound(f"CKAN's {action} found nothing: {text[:300]}")
        if answer.status != http.HTTPStatus.OK:
            raise StackError(f"CKAN refused {action} ({answer.status}): {text[:1000]}")
        return json.loads(text)["result"]


class NotFound(StackError):
    """CKAN has no such thing, or no such action."""

"""The state folder: ports, secrets, stamps and tokens in one JSON file, and the locks of those who use it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import processes
from .ports import choose

PROJECT = Path(__file__).resolve().parent.parent


class State:
    """One stack's folder (`.demo`, `.test`) and what it remembers between two runs."""

    def __init__(self, folder: Path, *, shift: int = 0) -> None:
        """Open or create the folder.

        Args:
            folder: where everything of this stack lives.
            shift: added to every service's usual port, so that two stacks do not meet.
        """
        self.folder = folder.resolve()
        self.shift = shift
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = self.folder / "state.json"
        self.reload()

    def reload(self) -> None:
        """Read again what another process may have written."""
        self.values: dict[str, Any] = json.loads(self._file.read_text()) if self._file.exists() else {}

    def save(self) -> None:
        """Write everything back, readable by the owner alone (it holds passwords)."""
        draft = self._file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(self.values, indent=1, sort_keys=True))
        draft.replace(self._file)

    def section(self, name: str) -> dict[str, Any]:
        """Return a part of the state that the caller may change; `save` writes it."""
        return self.values.setdefault(name, {})  # type: ignore[no-any-return]

    def secret(self, name: str) -> str:
        """Return a random secret that is made once."""
        made = self.section("secrets")
        if name not in made:
            made[name] = secrets.token_urlsafe(24)
            self.save()
        return str(made[name])

    def port(self, name: str, usual: int) -> int:
        """Return the port of a service: as it is while the service runs, else the first free one.

        Args:
            name: the service, which is also its process's name.
            usual: where it listens in a stack without a shift, when nobody else does.
        """
        given = self.section("ports")
        if name in given and processes.is_alive(self.folder, name):
            return int(given[name])
        others = {port for other, port in given.items() if other != name}
        given[name] = choose(name, given.get(name, usual + self.shift), besides=others)
        self.save()
        return int(given[name])

    @contextlib.contextmanager
    def lock(self, name: str, *, shared: bool = False) -> Iterator[None]:
        """Hold a lock of this folder; waits for whoever has it, and reads again what they have written."""
        with (self.folder / f"{name}.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            self.reload()
            yield

    def is_locked(self, name: str) -> bool:
        """Tell whether anybody holds this lock at the moment."""
        with (self.folder / f"{name}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

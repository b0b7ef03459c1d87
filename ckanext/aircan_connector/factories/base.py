"""What a factory is: it takes orders, and says what became of them. Imports the library and nothing of CKAN."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, Flag, auto
from typing import Any, ClassVar

from aircan.contract import Order
from aircan.errors import AircanError


class Capability(Flag):
    """What a factory can do beyond taking orders.

    CANCEL: stop a run. LOGS: show the log of a task that failed. TASKS: show the tasks of a run. FIND: find a run
    by the job's id, so that an order whose answer was lost is known to have arrived or not.
    """

    NONE = 0
    CANCEL = auto()
    LOGS = auto()
    TASKS = auto()
    FIND = auto()


class State(Enum):
    """What a factory knows of an order: it waits, is worked on, ended well or badly, or is not there (any more)."""

    QUEUED = "queued"
    WORKING = "working"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True)
class SeenTask:
    """A task as the factory sees it.

    Attributes:
        id: the factory's name of it.
        state: the factory's own word.
        index: number among the copies of a mapped task, None for a task that has none.
        tries: how often it began, 0 before the first time.
        started, ended: ISO 8601 with a time zone, or "".
    """

    id: str
    state: str
    index: int | None = None
    tries: int = 0
    started: str = ""
    ended: str = ""

    @property
    def label(self) -> str:
        """Name of the task, with its number if it has one: load[3]."""
        return self.id if self.index is None else f"{self.id}[{self.index}]"

    def to_dict(self) -> dict[str, Any]:
        """Return the task as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Seen:
    """What a factory says of an order.

    Attributes:
        state: in our words.
        raw: the factory's own word, "" when it has none.
        tasks: the tasks of the run, where the factory shows them.
        queued, started, ended: ISO 8601 with a time zone, or "".
        url: page of the run at the factory, for those who may see it, or "".
        error: why it cannot go well, or did not; None when nothing is known.
        log: last lines of the task that failed.
    """

    state: State
    raw: str = ""
    tasks: tuple[SeenTask, ...] = ()
    queued: str = ""
    started: str = ""
    ended: str = ""
    url: str = ""
    error: AircanError | None = None
    log: tuple[str, ...] = ()

    def to_dict(self, seen: str) -> dict[str, Any]:
        """Return what is kept with a job; `seen` is when it was seen. Of many tasks, those that went well go first.

        `count` is state -> number of tasks, of all of them.
        """
        kept = sorted(self.tasks, key=lambda task: task.state == "success")[:MAX_TASKS]
        count: dict[str, int] = {}
        for task in self.tasks:
            count[task.state] = count.get(task.state, 0) + 1
        return {
            "raw": self.raw,
            "queued": self.queued,
            "started": self.started,
            "ended": self.ended,
            "url": self.url,
            "tasks": [task.to_dict() for task in self.tasks if task in kept],
            "count": count,
            "error": self.error.to_dict() if self.error else None,
            "seen": seen,
        }

    def news(self, before: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str]]:
        """Yield (level, task, words) of what has changed since it was last kept, for the log of the run."""
        if self.error and self.state is State.QUEUED and not before.get("error"):
            yield "warning", None, self.error.message
        old = {(task["id"], task["index"]): task for task in before.get("tasks") or ()}
        for task in self.tasks:
            had = old.get((task.id, task.index), {})
            if task.state in BAD and (had.get("state"), had.get("tries")) != (task.state, task.tries):
                yield "warning", task.id, f"Try {task.tries} of the task {task.label}: {task.state}."
        failed = next((task.id for task in self.tasks if task.state == "failed"), None)
        yield from (("info", failed, line) for line in self.log)


MAX_TASKS = 200
"""Tasks of a run that are kept with a job; all are counted."""

BAD = ("failed", "up_for_retry", "upstream_failed")
"""States of a task that people should see in the log of the run."""


@dataclass(frozen=True)
class Handed:
    """The answer to an order.

    Attributes:
        factory_id: the factory's own id of the run.
        here: whether the background worker that handed the order over shall carry it out itself,
            once the id is kept.
    """

    factory_id: str
    here: bool = False


@dataclass(frozen=True)
class Health:
    """Whether a factory can work now, and a sentence for the operator."""

    ok: bool
    message: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checked:
    """A thing about a factory that was looked at: its name, whether it is all right, a sentence with what to do."""

    name: str
    ok: bool
    message: str


class Factory(ABC):
    """Executes orders. A factory is made anew for each use and keeps nothing between uses."""

    name: ClassVar[str]
    title: ClassVar[str]
    capabilities: ClassVar[Capability] = Capability.NONE
    look_every_s: ClassVar[int | None] = None
    """Seconds after which an active run is looked at again though it is not silent; None: only when it is."""

    @abstractmethod
    def keys(self) -> tuple[str, ...]:
        """Return the secrets shared with the factory; run tokens are derived from them.

        More than one while a key is changed. Raises FactoryUnavailable when there is none.
        """

    @abstractmethod
    def submit(self, order: Order) -> Handed:
        """Hand an order over; called from a background worker.

        Sent twice it must run once. Raises FactoryUnreachable when it is not known whether the order arrived: it is
        then handed over again. Raises another FactoryFailed when the factory cannot, or will not, take it.
        """

    def find(self, job_id: str, dag_id: str) -> str | None:
        """Return the factory's id of a job's run; None when there is none, or for a factory without FIND.

        `dag_id` is the job's, "" when it names none. Raises FactoryUnavailable.
        """
        return None

    @abstractmethod
    def see(self, factory_id: str) -> Seen:
        """Return what became of an order. Raises FactoryUnavailable."""

    @abstractmethod
    def cancel(self, factory_id: str) -> None:
        """Stop an order, or do nothing when it has ended, or cannot be stopped. Raises FactoryUnavailable."""

    @abstractmethod
    def health(self) -> Health:
        """Ask the factory whether it can work, within a few seconds. Raises nothing."""

    def is_set_up(self) -> bool:
        """Return whether this factory has options, so that it is checked though it is not the site's own."""
        return False

    def examine(self, wait_s: float) -> Iterator[Checked]:
        """Look closely at everything that runs need, for `ckan aircan doctor`. Raises nothing.

        `wait_s`: seconds to wait for a worker to say what it sees; 0: no worker is asked.
        """
        health = self.health()
        yield Checked("factory", health.ok, health.message)

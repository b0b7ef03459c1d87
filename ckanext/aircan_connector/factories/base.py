"""What a factory is: it takes orders, and says what became of them. Imports the library and nothing of CKAN."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import Enum, Flag, auto
from typing import Any, ClassVar

from aircan.contract import Order


class Capability(Flag):
    """What a factory can do beyond taking orders."""

    NONE = 0
    CANCEL = auto()
    LOGS = auto()
    TASKS = auto()


class State(Enum):
    """What a factory knows of an order: it waits there, it is being worked on, or it is not there (any more)."""

    QUEUED = "queued"
    WORKING = "working"
    GONE = "gone"


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


class Factory(ABC):
    """Executes orders. A factory is made anew for each use and keeps nothing between uses."""

    name: ClassVar[str]
    title: ClassVar[str]
    capabilities: ClassVar[Capability] = Capability.NONE

    @abstractmethod
    def key(self) -> str:
        """Return the secret shared with the factory; run tokens are derived from it."""

    @abstractmethod
    def submit(self, order: Order) -> Handed:
        """Hand an order over; called from a background worker.

        Sent twice it must run once. Raises FactoryUnavailable when the factory cannot be reached.
        """

    @abstractmethod
    def state(self, factory_id: str) -> State:
        """Return what became of an order. Raises FactoryUnavailable."""

    @abstractmethod
    def cancel(self, factory_id: str) -> None:
        """Stop an order, or do nothing when it has ended. Raises FactoryUnavailable."""

    @abstractmethod
    def health(self) -> Health:
        """Ask the factory whether it can work, within a few seconds. Raises nothing."""

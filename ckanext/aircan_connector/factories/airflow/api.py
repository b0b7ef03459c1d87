"""What is asked of Airflow, whatever its version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import quote

from aircan.errors import NotTheFactory

from ..base import Capability, SeenTask
from .answers import NAME, Answer, Link, refused


@dataclass(frozen=True)
class Dag:
    """A DAG: whether it is paused, and why it cannot be run ("" when it can)."""

    dag_id: str
    paused: bool = False
    broken: str = ""


@dataclass(frozen=True)
class Run:
    """A DagRun: Airflow's word for its state, times (ISO 8601 or ""), its page, and the job that it is for."""

    state: str
    queued: str = ""
    started: str = ""
    ended: str = ""
    url: str = ""
    job_id: str = field(default="", repr=False)


class Api(ABC):
    """One version of Airflow's REST API."""

    name: ClassVar[str]
    root: ClassVar[str]
    """Path in front of every request; there is none through Amazon's API."""
    probe: ClassVar[str] = "/version"
    """Path of the question by which this version is known."""
    capabilities: ClassVar[Capability]

    def __init__(self, link: Link, *, bare: bool = False) -> None:
        """Keep the way to Airflow; `bare`: paths have no root there."""
        self.link = link
        self._root = "" if bare else self.root

    def ask(self, method: str, path: str, doing: str, **rest: Any) -> Answer:
        """Send a request; return its answer. Raises what `Link.ask` and `answers.refused` do.

        `doing` says what is tried, in words that fit behind "does not allow this site's user:".
        """
        answer = self.link.ask(method, self._root + path, **rest)
        self.check(answer, doing)
        return answer

    def check(self, answer: Answer, doing: str) -> None:
        """Raise what `answers.refused` does."""
        refused(answer, doing, self.link.url)

    @classmethod
    def is_probed(cls, body: Mapping[str, Any]) -> bool:
        """Return whether this answers the question for `probe`."""
        return bool(body.get("version"))

    def one(self, answer: Answer) -> dict[str, Any]:
        """Return the object of a good answer. Raises NotTheFactory when it is not one."""
        body = answer.json
        if answer.status >= 300 or not isinstance(body, dict):
            reason = f"status {answer.status}, {answer.kind or 'no body'}"
            raise NotTheFactory(answer.said, factory=NAME, url=self.link.url, reason=reason)
        return body

    @abstractmethod
    def version(self) -> str:
        """Return Airflow's version, "" when it does not say."""

    @abstractmethod
    def health(self) -> Mapping[str, str]:
        """Return part -> "healthy" or another word of Airflow, for the parts that it has."""

    @abstractmethod
    def dag(self, dag_id: str) -> Dag:
        """Return a DAG. Raises DagMissing."""

    def import_errors(self) -> list[tuple[str, str]]:
        """Return (file, reason) of the files that Airflow cannot read; [] where it does not tell."""
        return []

    @abstractmethod
    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> bool:
        """Start a run; return False when Airflow says that there is one of this id. Raises RunRefused, DagMissing."""

    @abstractmethod
    def run(self, dag_id: str, run_id: str) -> Run | None:
        """Return a run, None when there is none."""

    @abstractmethod
    def tasks(self, dag_id: str, run_id: str) -> tuple[SeenTask, ...]:
        """Return the tasks of a run, each copy of a mapped task apart."""

    @abstractmethod
    def log(self, dag_id: str, run_id: str, task: SeenTask) -> list[str]:
        """Return the lines that a task wrote in its last try."""

    @abstractmethod
    def stop(self, dag_id: str, run_id: str, note: str) -> None:
        """End a run and its tasks."""


def q(part: str) -> str:
    """Return a piece of a path, quoted."""
    return quote(part, safe="")


def when(value: Any) -> str:
    """Return a time as it came, "" for none."""
    return str(value or "")

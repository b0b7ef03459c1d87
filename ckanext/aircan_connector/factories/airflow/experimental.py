"""Airflow 1.10's experimental API: it starts runs and tells their state, and not much more.

No run can be stopped and no log be had through it, and a task is shown only to who knows its name. A run is
addressed by its date; its id is found in the list of the DAG's runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from aircan.errors import DagMissing, FactoryUnreachable, NotTheFactory, RunRefused, SignInRefused

from ..base import Capability, SeenTask
from .answers import NAME, Answer
from .api import Api, Dag, Run, q, when

SEE = "to use its API"
EXISTS = "already exists"
"""What a second run of the same id is refused with, beside status 400 (1.10.15)."""
DELETED = "not found in DagModel"
"""What is said, beside status 400, of a DAG that is not there, nor are its runs; less is said of one it cannot read."""


class Experimental(Api):
    """Airflow 1.10."""

    name = "experimental"
    root = "/api/experimental"
    probe = "/test"
    capabilities = Capability.FIND

    @classmethod
    def is_probed(cls, body: Mapping[str, Any]) -> bool:
        """Return whether this answers the question for `probe`."""
        return body.get("status") == "OK"

    def check(self, answer: Answer, doing: str) -> None:
        """Raise what `answers.refused` does. Nobody has rights there: 403 is what a wrong password gets."""
        if answer.status == 403:
            raise SignInRefused(factory=NAME, reason=answer.said or f"status {answer.status}")
        super().check(answer, doing)

    def version(self) -> str:
        """Return the generation; there is no way to ask for more."""
        self.one(self.ask("GET", self.probe, SEE))
        return "1.10"

    def health(self) -> dict[str, str]:
        """Ask for the parts, at an address beside the API."""
        body = self.link.ask("GET", "/health", open_door=True).json
        parts = body if isinstance(body, dict) else {}
        return {name: str(part["status"]) for name, part in parts.items() if isinstance(part, dict)}

    def _list(self, dag_id: str) -> Answer:
        answer = self.link.ask("GET", f"{self._root}/dags/{q(dag_id)}/dag_runs")
        self.check(answer, SEE)
        return answer

    def _runs(self, answer: Answer) -> list[dict[str, Any]]:
        found = answer.json
        if not isinstance(found, list):
            self.one(answer)
        return [item for item in found if isinstance(item, dict)]

    def dag(self, dag_id: str) -> Dag:
        """Ask whether the DAG is there, and whether it is paused; the oldest versions do not say the latter."""
        answer = self._list(dag_id)
        if answer.status == 400:
            raise DagMissing(answer.said, factory=NAME, dag_id=dag_id)
        self._runs(answer)
        try:
            told = self.one(self.ask("GET", f"/dags/{q(dag_id)}/paused", SEE))
        except (FactoryUnreachable, NotTheFactory):
            return Dag(dag_id)
        return Dag(dag_id, str(told.get("is_paused")).lower() == "true")

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> bool:
        """Start a run. Its date has microseconds: two runs of a DAG cannot have the same one."""
        body = {
            "run_id": run_id,
            "conf": dict(conf),
            "execution_date": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
            "replace_microseconds": "false",
        }
        answer = self.ask("POST", f"/dags/{q(dag_id)}/dag_runs", "to start runs of the DAG", body=body)
        if answer.status == 400 and EXISTS in answer.said:
            return False
        if answer.status == 404:
            raise DagMissing(answer.said, factory=NAME, dag_id=dag_id)
        if answer.status == 400:
            raise RunRefused(factory=NAME, reason=answer.said)
        self.one(answer)
        return True

    def run(self, dag_id: str, run_id: str) -> Run | None:
        """Look for the run in the list of the DAG's runs. Its order is not shown: the id has to do.

        There is no list while the DAG's file cannot be read; its runs may be at work for all that.
        """
        answer = self._list(dag_id)
        if answer.status == 400 and DELETED in answer.said:
            return None
        if answer.status == 400:
            raise FactoryUnreachable(factory=NAME, reason=answer.said)
        for told in self._runs(answer):
            if told.get("run_id") == run_id:
                path = str(told.get("dag_run_url") or "")
                return Run(
                    state=str(told.get("state") or ""),
                    started=when(told.get("start_date")),
                    url=self.link.url + path if path.startswith("/") else "",
                    job_id=run_id,
                )
        return None

    def tasks(self, dag_id: str, run_id: str) -> tuple[SeenTask, ...]:
        """Return nothing: there is no list of tasks."""
        return ()

    def log(self, dag_id: str, run_id: str, task: SeenTask) -> list[str]:
        """Return nothing: there are no logs."""
        return []

    def stop(self, dag_id: str, run_id: str, note: str) -> None:
        """Do nothing: a run cannot be stopped. Its worker ends when it next speaks to CKAN."""

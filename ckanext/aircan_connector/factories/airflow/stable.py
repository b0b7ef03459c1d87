"""Airflow's stable REST API: v2 of Airflow 3, and v1 of Airflow 2."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from aircan.errors import DagBroken, DagMissing, NotTheFactory, RightMissing, RunRefused, SignInRefused

from ..base import Capability, SeenTask
from . import logs
from .answers import NAME, Answer
from .api import Api, Dag, Run, q, when

PAGE = 100
"""Tasks in an answer; Airflow gives no more, whatever is asked for."""

MAX_PAGES = 50
"""Answers after which no further tasks are asked for."""

MAX_LOG_PIECES = 20
"""Pieces of a log after which no further one is asked for."""

HEAD_START_S = 2
"""Seconds by which a run is dated back: on SQLite `now` has whole seconds, and a new run waits for the next."""

SEE = "to see DAGs and their runs"
START = "to start runs of the DAG"
STOP = "to stop runs of the DAG"


class Stable(Api):
    """What both versions have in common: paths, states, and nearly all names."""

    capabilities = Capability.CANCEL | Capability.LOGS | Capability.TASKS | Capability.FIND

    def version(self) -> str:
        """Ask for the version; no sign-in is needed."""
        return str(self.one(self.ask("GET", "/version", SEE, open_door=True)).get("version") or "")

    def _health(self, path: str) -> dict[str, str]:
        parts = self.one(self.ask("GET", path, SEE, open_door=True))
        told = {name: part.get("status") for name, part in parts.items() if isinstance(part, dict)}
        return {name: str(status) for name, status in told.items() if status}

    def _dag(self, dag_id: str) -> dict[str, Any]:
        answer = self.ask("GET", f"/dags/{q(dag_id)}", SEE)
        if answer.status == 404:
            # A file that could never be read has no DAG at all; by custom it is named after it.
            if reason := self._import_error({"fileloc": f"{dag_id}.py"}):
                raise DagBroken(answer.said, factory=NAME, dag_id=dag_id, reason=reason)
            raise DagMissing(answer.said, factory=NAME, dag_id=dag_id)
        return self.one(answer)

    def import_errors(self) -> list[tuple[str, str]]:
        """Ask for the files that cannot be read; of a stack trace the last line says why."""
        found = self.one(self.ask("GET", "/importErrors", SEE, query={"limit": PAGE}))
        return [_broken(error) for error in found.get("import_errors") or ()]

    def _import_error(self, dag: Mapping[str, Any]) -> str:
        """Return why a DAG's file cannot be read, or a general word where that cannot be seen."""
        names = [str(dag.get(name) or "/") for name in ("relative_fileloc", "fileloc")]
        try:
            found = self.import_errors()
        except (RightMissing, SignInRefused):
            return "its file has errors, which this site's user may not see" if len(dag) > 1 else ""
        return next((reason for file, reason in found if file in names or file.endswith(f"/{names[-1]}")), "")

    def _started(self, answer: Answer, dag_id: str) -> bool:
        if answer.status == 409:
            return False
        if answer.status == 404:
            raise DagMissing(answer.said, factory=NAME, dag_id=dag_id)
        if answer.status in (400, 422):
            raise RunRefused(factory=NAME, reason=answer.said)
        self.one(answer)
        return True

    def run(self, dag_id: str, run_id: str) -> Run | None:
        """Ask for the run."""
        answer = self.ask("GET", f"/dags/{q(dag_id)}/dagRuns/{q(run_id)}", SEE)
        if answer.status == 404 and "detail" in (answer.json or ()):
            return None
        told = self.one(answer)
        conf = told.get("conf")
        return Run(
            state=str(told.get("state") or ""),
            queued=when(told.get("queued_at")),
            started=when(told.get("start_date")),
            ended=when(told.get("end_date")),
            url=self._page(dag_id, run_id) if self.link.url else "",
            job_id=str((conf if isinstance(conf, Mapping) else {}).get("job_id") or ""),
        )

    def tasks(self, dag_id: str, run_id: str) -> tuple[SeenTask, ...]:
        """Ask for all tasks, page by page."""
        found: list[SeenTask] = []
        for _ in range(MAX_PAGES):
            told = self._page_of_tasks(dag_id, run_id, len(found))
            page = [_task(item) for item in told.get("task_instances") or ()]
            found += page
            if not page or len(found) >= int(told.get("total_entries") or 0):
                break
        return tuple(found)

    def _page_of_tasks(self, dag_id: str, run_id: str, offset: int) -> dict[str, Any]:
        path = f"/dags/{q(dag_id)}/dagRuns/{q(run_id)}/taskInstances"
        if self._fits(path):
            return self.one(self.ask("GET", path, SEE, query={"limit": PAGE, "offset": offset}))
        body = {"dag_ids": [dag_id], "dag_run_ids": [run_id], "page_limit": PAGE, "page_offset": offset}
        return self.one(self.ask("POST", "/dags/~/dagRuns/~/taskInstances/list", SEE, body=body))

    def _fits(self, path: str) -> bool:
        return self.link.max_path is None or len(self._root + path) <= self.link.max_path

    def _log_path(self, dag_id: str, run_id: str, task: SeenTask) -> str:
        run = f"/dags/{q(dag_id)}/dagRuns/{q(run_id)}"
        return f"{run}/taskInstances/{q(task.id)}/logs/{max(task.tries, 1)}"

    def stop(self, dag_id: str, run_id: str, note: str) -> None:
        """Set the run to failed: its tasks are ended, and those that have not begun are skipped."""
        path, body = f"/dags/{q(dag_id)}/dagRuns/{q(run_id)}", self._stopping(note)
        answer = self.ask("PATCH", path, STOP, body=body)
        if answer.status != 404:
            self.one(answer)

    def _stopping(self, note: str) -> dict[str, Any]:
        return {"state": "failed"}

    @abstractmethod
    def _page(self, dag_id: str, run_id: str) -> str:
        """Return the address of the run in Airflow's pages."""


def _broken(error: Mapping[str, Any]) -> tuple[str, str]:
    lines = str(error.get("stack_trace") or "").strip().splitlines()
    reason = logs.masked(" ".join(lines[-1:]).strip().rstrip("."), ())
    return str(error.get("filename") or ""), reason or "it has errors"


def _task(told: Mapping[str, Any]) -> SeenTask:
    index = told.get("map_index")
    return SeenTask(
        id=str(told.get("task_id") or ""),
        state=str(told.get("state") or ""),
        index=index if isinstance(index, int) and index >= 0 else None,
        tries=int(told.get("try_number") or 0),
        started=when(told.get("start_date")),
        ended=when(told.get("end_date")),
    )


class V2(Stable):
    """Airflow 3."""

    name = "v2"
    root = "/api/v2"

    def health(self) -> dict[str, str]:
        """Ask for the parts."""
        return self._health("/monitor/health")

    def dag(self, dag_id: str) -> Dag:
        """Ask for the DAG. `is_stale`: its file was not found, or could not be read, when last looked at."""
        told = self._dag(dag_id)
        broken = ""
        if told.get("has_import_errors") or told.get("is_stale"):
            broken = self._import_error(told) or "its file is not in the DAG folder any more"
        return Dag(dag_id, bool(told.get("is_paused")), broken)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> bool:
        """Start a run. `logical_date` has to be there; Amazon drops what is null, so there it is a real one."""
        now = datetime.now(timezone.utc)
        body: dict[str, Any] = {
            "dag_run_id": run_id,
            "logical_date": None if self._root else now.isoformat(),
            "run_after": (now - timedelta(seconds=HEAD_START_S)).isoformat(),
            "conf": dict(conf),
            "note": note,
        }
        return self._started(self.ask("POST", f"/dags/{q(dag_id)}/dagRuns", START, body=body), dag_id)

    def log(self, dag_id: str, run_id: str, task: SeenTask) -> list[str]:
        """Ask for the log as JSON, piece by piece; of a mapped task, with its number."""
        path = self._log_path(dag_id, run_id, task)
        if not self._fits(path):
            return []
        query: dict[str, Any] = {} if task.index is None else {"map_index": task.index}
        lines: list[str] = []
        for _ in range(MAX_LOG_PIECES):
            answer = self.ask("GET", path, SEE, query=query)
            if answer.status == 404:
                break
            told = self.one(answer)
            lines += logs.of_events(told.get("content"))
            if not told.get("continuation_token") or not told.get("content"):
                break
            query["token"] = told["continuation_token"]
        return lines

    def _stopping(self, note: str) -> dict[str, Any]:
        return {"state": "failed", "note": note}

    def _page(self, dag_id: str, run_id: str) -> str:
        return f"{self.link.url}/dags/{q(dag_id)}/runs/{q(run_id)}"


class V1(Stable):
    """Airflow 2. It answers a wrong password with 403, as it does a right that is missing."""

    name = "v1"
    root = "/api/v1"

    def ask(self, method: str, path: str, doing: str, **rest: Any) -> Answer:
        """Send a request. A reader's request that is not allowed means that the sign-in is wrong."""
        try:
            return super().ask(method, path, doing, **rest)
        except RightMissing as exc:
            if doing != SEE:
                raise
            reason = "wrong user name or password, or the user has no right to see DAGs"
            raise SignInRefused(exc.detail, factory=NAME, reason=reason) from exc

    def health(self) -> dict[str, str]:
        """Ask for the parts."""
        return self._health("/health")

    def dag(self, dag_id: str) -> Dag:
        """Ask for the DAG. Not `is_active`: its file was not found when last looked at."""
        told = self._dag(dag_id)
        broken = ""
        if told.get("has_import_errors") or told.get("is_active") is False:
            broken = self._import_error(told) or "its file is not in the DAG folder any more"
        return Dag(dag_id, bool(told.get("is_paused")), broken)

    def trigger(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> bool:
        """Start a run, without a note where Airflow is too old for one (below 2.5)."""
        path = f"/dags/{q(dag_id)}/dagRuns"
        body: dict[str, Any] = {"dag_run_id": run_id, "conf": dict(conf), "note": note}
        answer = self.ask("POST", path, START, body=body)
        if answer.status == 400 and "'note'" in answer.said:
            del body["note"]
            answer = self.ask("POST", path, START, body=body)
        return self._started(answer, dag_id)

    def log(self, dag_id: str, run_id: str, task: SeenTask) -> list[str]:
        """Ask for the log as text; its JSON is Python's way to write a list."""
        path = self._log_path(dag_id, run_id, task)
        if not self._fits(path):
            return []
        query = {} if task.index is None else {"map_index": task.index}
        answer = self.ask("GET", path, SEE, query=query, accept="text/plain")
        if answer.status == 404:
            return []
        if answer.status >= 300:
            reason = f"status {answer.status}"
            raise NotTheFactory(answer.said, factory=NAME, url=self.link.url, reason=reason)
        return answer.text.splitlines()

    def _page(self, dag_id: str, run_id: str) -> str:
        return f"{self.link.url}/dags/{q(dag_id)}/grid?dag_run_id={q(run_id)}"

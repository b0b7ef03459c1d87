"""What templates may ask: sentences, numbers and times in the reader's language, and the badges of a dataset.

Helpers run no queries, with one exception: `aircan_newest_runs` calls an action, once for a page.
CKAN's own templates of a dataset and a resource, into which the badges go, give no other door: the
view that renders them is not ours. What it found is kept for the rest of the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
from babel.core import UnknownLocaleError
from babel.dates import format_timedelta
from sqlalchemy.exc import SQLAlchemyError

from aircan.status import ACTIVE, Status

from . import atfactory, found, words

__all__ = [
    "aircan_ago",
    "aircan_duration",
    "aircan_error",
    "aircan_factory",
    "aircan_factory_state",
    "aircan_found",
    "aircan_is_active",
    "aircan_left",
    "aircan_level",
    "aircan_mark",
    "aircan_message",
    "aircan_moment",
    "aircan_newest_runs",
    "aircan_percent",
    "aircan_progress",
    "aircan_reason",
    "aircan_reject",
    "aircan_rows",
    "aircan_seconds",
    "aircan_settable",
    "aircan_status",
    "aircan_summary",
    "aircan_task",
    "aircan_type",
    "aircan_warning",
]


def aircan_error(error: Mapping[str, Any] | None) -> dict[str, str]:
    """Return {"sentence", "advice"} of a run's error, translated and filled with facts; both "" without an error."""
    return words.error(error) if error else {"sentence": "", "advice": ""}


def aircan_settable(error: Mapping[str, Any] | None) -> bool:
    """Return whether a run that failed with this error may succeed with other settings of its file."""
    return (error or {}).get("code") in words.SETTABLE


def aircan_reason(field: Mapping[str, Any]) -> str:
    """Return why a column, as `Field.to_dict()` gives it, has its type."""
    return words.reason(field)


def aircan_found(job: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what was found in the file of a run and why, as [{"label", "value", "why"}]."""
    return found.lines(job["info"])


def aircan_factory(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what the factory shows of a run, see `atfactory.shown`; None where it shows nothing."""
    return atfactory.shown(job)


def aircan_factory_state(state: str) -> str:
    """Return the word for a state at a factory."""
    return tk._(atfactory.STATES.get(state, state))


def aircan_warning(warning: Mapping[str, Any]) -> str:
    """Return what a warning says."""
    return words.by_code(words.WARNINGS, warning)


def aircan_reject(reject: Mapping[str, Any]) -> str:
    """Return why a row was refused."""
    return words.by_code(words.REJECTS, reject)


def aircan_message(text: str) -> str:
    """Return a line of the log in the reader's language."""
    return words.message(text)


def aircan_status(status: str) -> str:
    """Return the word for a status."""
    return tk._(words.STATUSES.get(status, status))


def aircan_task(task_id: str) -> str:
    """Return the title of a task."""
    return tk._(words.TASKS.get(task_id, task_id))


def aircan_level(level: str) -> str:
    """Return the word for a level of the log."""
    return tk._(words.LEVELS.get(level, level))


def aircan_type(name: str) -> str:
    """Return the word for the type of a column."""
    return tk._(words.TYPES.get(name, name))


def aircan_is_active(job: Mapping[str, Any]) -> bool:
    """Return whether a run still has a way to go."""
    return Status(job["status"]) in ACTIVE


def aircan_moment(iso: str) -> str:
    """Return an ISO 8601 moment as date and time in the site's time zone, in the reader's language."""
    moment = datetime.fromisoformat(iso).astimezone(tk.h.get_display_timezone())
    return str(tk.h.render_datetime(moment, with_hours=True, with_seconds=True))


def aircan_ago(iso: str) -> str:
    """Return how long ago an ISO 8601 moment was: "2 minutes ago"."""
    past = datetime.fromisoformat(iso) - datetime.now(timezone.utc)
    past = min(past, timedelta(seconds=-1))
    try:
        return format_timedelta(past, add_direction=True, threshold=1.2, locale=tk.h.lang() or "en")
    except (UnknownLocaleError, ValueError):
        return format_timedelta(past, add_direction=True, threshold=1.2, locale="en")


def aircan_seconds(start: str | None, end: str | None) -> float | None:
    """Return the seconds between two ISO 8601 moments, or until now; None before the start."""
    if not start:
        return None
    last = datetime.fromisoformat(end) if end else datetime.now(timezone.utc)
    return max((last - datetime.fromisoformat(start)).total_seconds(), 0.0)


def aircan_duration(seconds: float | None) -> str:
    """Return seconds as people say them: "0.4 s", "9 s", "1 min 20 s", "2 h 5 min"; "" for None."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return tk._("{seconds} s").format(seconds=tk.h.localised_number(round(seconds, 1)))
    whole = round(seconds)
    if whole < 60:
        return tk._("{seconds} s").format(seconds=whole)
    if whole < 3600:
        return tk._("{minutes} min {seconds} s").format(minutes=whole // 60, seconds=whole % 60)
    return tk._("{hours} h {minutes} min").format(hours=whole // 3600, minutes=whole % 3600 // 60)


def aircan_rows(rows: int | None) -> str:
    """Return "12,345 rows", or "" for None."""
    if rows is None:
        return ""
    return tk.ungettext("{n} row", "{n} rows", rows).format(n=tk.h.localised_number(rows))


def aircan_refused(rows: int | None) -> str:
    """Return "3 rows refused", or "" for none."""
    if not rows:
        return ""
    return tk.ungettext("{n} row refused", "{n} rows refused", rows).format(n=tk.h.localised_number(rows))


def aircan_progress(job: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return {"percent", "rows", "remaining_s", "phase", "share"} of a run that works, each None when not known.

    `percent` is of the whole run, `share` (per cent, too) and `remaining_s` are of its phase. A factory that tells
    bytes alone has one phase. None for a run that does not work.
    """
    if job["status"] != Status.RUNNING.value:
        return None
    told = job["info"].get("progress") or {}
    if told.get("phase") and told.get("percent") is not None:
        share = int((told.get("share") or 0) * 100) or None
        known = {"percent": told["percent"], "phase": told["phase"], "share": share, "remaining_s": _left(job, told)}
        return {**known, "rows": told.get("rows")}
    done, total = told.get("bytes"), told.get("total_bytes")
    share = min(done / total, 1.0) if done is not None and total else None
    elapsed = aircan_seconds(_began(job), None)
    remaining = None
    if share and 0.03 < share < 1 and elapsed and elapsed > 2:
        remaining = elapsed * (1 - share) / share
    percent = int(share * 100) if share is not None and share < 1 else None
    return {"percent": percent, "rows": told.get("rows"), "remaining_s": remaining, "phase": None, "share": None}


def _left(job: Mapping[str, Any], told: Mapping[str, Any]) -> float | None:
    """Return the seconds that were told as left of a phase, less those since then; 1 at least."""
    if not told.get("eta_s"):
        return None
    return max(float(told["eta_s"]) - (aircan_seconds(job.get("last_report"), None) or 0), 1.0)


def _began(job: Mapping[str, Any]) -> str | None:
    """Return when the task that counts bytes began, or the run."""
    running = [t for t in job["info"].get("tasks") or [] if t["status"] == Status.RUNNING.value and t.get("started")]
    return running[-1]["started"] if running else job["started"]


def aircan_summary(job: Mapping[str, Any]) -> str:
    """Return one line about a run: rows and time, how far it is, or what is wrong."""
    info, status = job["info"], job["status"]
    if status == Status.FAILED.value:
        return aircan_error(info.get("error"))["sentence"]
    if status == Status.CANCELLED.value:
        return words.message(info.get("message") or "")
    if status == Status.DONE.value:
        result = info.get("result") or {}
        return _joined(aircan_rows(result.get("rows")), aircan_refused(result.get("rejected")))
    if progress := aircan_progress(job):
        percent = aircan_percent(progress["percent"])
        phase = aircan_task(progress["phase"]) if progress["phase"] else ""
        return _joined(percent or aircan_rows(progress["rows"]), phase, aircan_left(progress))
    return tk._("waits to be taken up") if status == Status.WAITING.value else ""


def aircan_left(progress: Mapping[str, Any]) -> str:
    """Return how long a run, or the phase that it is in, still takes: "about 20 s left"; "" when not known."""
    if not progress["remaining_s"]:
        return ""
    time = aircan_duration(max(round(progress["remaining_s"]), 1))
    words = tk._("about {time} left in this step") if progress["phase"] else tk._("about {time} left")
    return str(words.format(time=time))


def aircan_percent(percent: int | None) -> str:
    """Return "61 %", or "" for None."""
    return "" if percent is None else tk._("{n} %").format(n=percent)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def aircan_newest_runs(dataset: str) -> dict[str, dict[str, Any]]:
    """Return resource id -> its newest run as its reader may see it; one action call for each request.

    A page of CKAN must not break because of us: who may not see, or a database without our tables, gets {}.
    """
    kept: dict[str, Any] = getattr(tk.g, "aircan_newest_runs", None) or {}
    if dataset not in kept:
        try:
            found = tk.get_action("aircan_job_latest")({}, {"dataset": dataset})
        except (tk.NotAuthorized, tk.ObjectNotFound, tk.ValidationError, SQLAlchemyError):
            found = []
        kept[dataset] = {job["resource"]: job for job in found}
        tk.g.aircan_newest_runs = kept
    return dict(kept[dataset])


def aircan_mark(dataset: str) -> dict[str, int]:
    """Return {"active", "failed"}: of how many resources the newest run is active or has failed."""
    statuses = [job["status"] for job in aircan_newest_runs(dataset).values()]
    active = [status for status in statuses if Status(status) in ACTIVE]
    return {"active": len(active), "failed": statuses.count(Status.FAILED.value)}

"""What a run page offers for download: the refused rows as CSV, and the log as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import ckantoolkit as tk

from . import words

_BATCH = 10
"""Events of refused rows that are read at a time; each may hold many rows."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """Return text that no spreadsheet program takes for a formula.

    An apostrophe goes before a text that begins with = + - @, a tab or a line end (OWASP, "CSV
    Injection"): the file is for people who open it in a spreadsheet. So a value -5 reads '-5 here.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def rejects(job_id: str) -> Iterator[dict[str, Any]]:
    """Yield the kept refused rows of a run, in the order of the file. Raises what the action raises at the first."""
    after = 0
    while True:
        wanted = {"id": job_id, "after": after, "limit": _BATCH, "rejects": True}
        events = tk.get_action("aircan_job_events")({}, wanted)
        for event in events:
            yield from (event["data"] or {}).get("rejects") or []
        if len(events) < _BATCH:
            return
        after = events[-1]["id"]


def _line(cells: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return out.getvalue()


def rejects_csv(job_id: str) -> Iterator[str]:
    """Yield the refused rows as CSV, every cell quoted; a byte order mark tells spreadsheets that it is UTF-8."""
    yield "\ufeff" + _line([tk._("line"), tk._("column"), tk._("reason"), tk._("value"), tk._("text of the row")])
    for reject in rejects(job_id):
        said = [reject.get("field"), words.by_code(words.REJECTS, reject), reject.get("value"), reject.get("text")]
        yield _line([reject.get("line", ""), *(safe_cell(str(text or "")) for text in said)])


def log_text(job_id: str) -> Iterator[str]:
    """Yield the log of a run, a line for each event: time, level, task, message and technical detail."""
    after = 0
    while True:
        events = tk.get_action("aircan_job_events")({}, {"id": job_id, "after": after, "limit": 1000})
        for event in events:
            detail = (event["data"] or {}).get("detail")
            said = words.message(event["message"]) + (f" [{detail}]" if detail else "")
            yield "\t".join([event["time"], event["level"], event["task"] or "-", " ".join(said.split())]) + "\n"
        if len(events) < 1000:
            return
        after = events[-1]["id"]

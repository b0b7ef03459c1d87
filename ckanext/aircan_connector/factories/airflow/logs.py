"""The last lines of a task's log: which lines say why it failed, and no secret in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

MAX_LINES = 30
"""Lines of a failed task that are kept with a run."""

MAX_LINE = 500
"""Longest line that is kept, in characters."""

HIDDEN = "***"
"""What stands where a secret was, as in Airflow's own logs."""

WHERE = "Log message source details"
"""Title of the folded part in which Airflow says where it has the log from."""

_SECRETS = (
    re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"),
    re.compile(r"\b[0-9a-f]{64}\b", re.I),
    re.compile(r"(?<=://)[^\s/@]+(?=@)"),
    re.compile(r"(?i)(?<=authorization)\W+(?:(?:bearer|basic)\s+)?\S+"),
    re.compile(r"(?i)(?<=x-aircan-token)\W+\S+"),
)
"""What looks like a secret: a JWT, one of our tokens, a user in an address, a header that signs in."""

_PREFIX = re.compile(r"^\[[^\]]*\] \{[^}]*\} [A-Z]+ - ")
"""What Airflow 1 and 2 put before a message: time, file and level."""

_REASON = re.compile(r"^(?:\w+\.)*(?:[A-Z]\w*(?:Error|Exception|Exit|Interrupt)|[A-Z][a-z]+(?:[A-Z][a-z]+)+)(?::|$)")
"""The line of a traceback that names the exception: GatewayUnreachable: ..., builtins.OSError."""

_MODULE = re.compile(r"^(?:\w+\.)+(?=[A-Z])")
_WRAPPER = "AirflowFailException: "
"""What a task of ours raises, with the message of its error, so that Airflow does not try again."""

_ERROR = re.compile(r"(?i)\b(?:error|failed|killed|terminat|signal)")


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return a text without the secrets that are known here, and without what looks like one."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, HIDDEN)
    for pattern in _SECRETS:
        text = pattern.sub(HIDDEN, text)
    return text


def tail(lines: Sequence[str], secrets: Iterable[str]) -> tuple[str, ...]:
    """Return the last lines of a log, cut and masked.

    Left out are blank lines, marks for folding, and what stands at the top: on which machine and where the log is.
    """
    kept: list[str] = []
    where = False
    for line in (line.rstrip() for text in lines for line in text.splitlines()):
        if "::group::" in line or "::endgroup::" in line:
            where = WHERE in line
        elif line.strip() and not where:
            kept.append(line)
    secrets = tuple(secrets)
    return tuple(masked(line, secrets)[:MAX_LINE] for line in kept[-MAX_LINES:])


def reason(lines: Sequence[str]) -> str:
    """Return the line that says best why a task failed, "" when there is no line."""
    bare = [_PREFIX.sub("", line).strip() for line in lines]
    for pattern in (_REASON, _ERROR):
        for line in reversed(bare):
            if pattern.search(line):
                return _MODULE.sub("", line).removeprefix(_WRAPPER).rstrip(".")
    return bare[-1].rstrip(".") if bare else ""


def of_events(content: Any) -> list[str]:
    """Return the lines of a log as API v2 tells it: objects with `event` and perhaps `error_detail`, or texts."""
    lines: list[str] = []
    for event in content if isinstance(content, list) else []:
        if not isinstance(event, dict):
            lines.append(str(event))
            continue
        lines.append(str(event.get("event") or ""))
        for error in reversed(event.get("error_detail") or ()):  # causes first, as in a traceback
            lines.append(f"{error.get('exc_type') or 'Error'}: {error.get('exc_value') or ''}".rstrip())
    return lines

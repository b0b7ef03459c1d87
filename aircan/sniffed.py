"""What `aircan sniff` prints: what was found in a file, and why, for people. Imports only `contract` and `table`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aircan.contract import Reject
from aircan.table import explain

EVIDENCE: dict[tuple[str, str], str] = {
    ("encoding", "mark"): "a byte order mark says so",
    ("encoding", "valid"): "every byte is valid",
    ("encoding", "zeros"): "every second byte is zero",
    ("encoding", "letters"): "guessed: not UTF-8, and its letters make sense in this encoding",
    ("encoding", "fallback"): "guessed: not UTF-8, and its letters speak for no other encoding",
    ("delimiter", "cells"): "{delimiter_percent} of the first records have as many cells as the header",
    ("delimiter", "sep_line"): "the first line says so",
    ("header_line", "first_line"): "nothing is above it",
    ("header_line", "below_titles"): "what is above fills fewer cells than the records below",
}
"""(fact, evidence) -> why; evidence "order" and what is not here is said in the same way for all facts."""

_SKIPPED = ("rows", "rejected", "fields", "warnings", "rejects", "delimiter_share")


def lines(found: Mapping[str, Any], rejects: Sequence[Reject]) -> Iterator[str]:
    """Yield the lines that tell what was found.

    Args:
        found: {facts..., "rows", "rejected", "fields", "warnings"}; a fact `x` may have its reason in `x_evidence`.
        rejects: the first of them.
    """
    facts = {name: value for name, value in found.items() if name not in _SKIPPED and not name.endswith("_evidence")}
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        yield f"{name:{width}}  {_value(value)}{_why(name, found)}"
    yield f"{'rows':{width}}  {found['rows']}"
    yield f"{'rejected':{width}}  {found['rejected']}"
    yield ""
    fields = found["fields"]
    width = max((len(field["id"]) for field in fields), default=0)
    for field in fields:
        yield f"{field['id']:{width}}  {field['type']:9}  {reason(field['reason'])}"
    listed = [f"warning: {reason(warning)}" for warning in found["warnings"]]
    listed += [f"rejected: line {reject.line}: {explain(reject)}" for reject in rejects]
    if found["rejected"] > len(rejects):
        listed.append(f"rejected: {found['rejected'] - len(rejects)} more")
    yield from ["", *listed] if listed else []


def _value(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value) if isinstance(value, str) and value.isprintable() and value.strip() == value else repr(value)


def _why(name: str, found: Mapping[str, Any]) -> str:
    evidence = found.get(f"{name}_evidence") or (found.get("header_evidence") if name == "header_line" else None)
    if not evidence:
        return ""
    facts = {"delimiter_percent": f"{100 * found.get('delimiter_share', 1):.3g} %"}
    said = "the parameter says so" if evidence == "order" else EVIDENCE.get((name, evidence), evidence)
    return f"  ({said.format(**facts)})"


def reason(said: Mapping[str, Any]) -> str:
    """Return {"code", facts} as a line: leading_zero: 3 values, first in line 18: '007'."""
    facts = dict(said)
    code = facts.pop("code", "")
    told = [str(facts.pop("field"))] if "field" in facts else []
    if (count := facts.pop("count", None)) is not None:
        told.append(f"{count} value{'s' * (count != 1)}" if "value" in facts else str(count))
    place = []
    if (line := facts.pop("line", None)) is not None:
        place.append(f"first in line {line}" if count is not None else f"line {line}")
    if (value := facts.pop("value", None)) is not None:
        place.append(repr(value))
    told += [": ".join(place)] if place else []
    told += [f"{name} {value!r}" for name, value in facts.items()]
    return f"{code}: {', '.join(told)}" if told else str(code)

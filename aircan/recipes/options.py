"""The parameters of a LOAD, read. Formats read those that are their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from aircan.columns.rules import Rules
from aircan.contract import REPLACE, Publish, TypeChange, Write, Writing
from aircan.errors import OrderRefused
from aircan.steps.convert import PART_BYTES

Number = TypeVar("Number", int, float)
Word = TypeVar("Word", bound=Enum)


@dataclass(frozen=True)
class Options:
    """Parameters of a LOAD; those of the format (delimiter, encoding, header_line) are its own.

    Attributes:
        max_size_bytes: largest file, 0 for no limit.
        max_reject_share: share of the records, 0 to 1, that may be rejected; a file with rejects and no
            sound row at all fails in any case.
        max_rejects_kept: rejects that are told; all are counted.
        load_connections: parts that are put at the same time.
        publish: when the new table takes the old one's place.
        writing: what the rows do to the table.
        on_type_change: what to do when a file that replaces it would change types.
        rules: how values are read.
        part_bytes: largest size of a part; those of small files are smaller.
        memory_mb: memory of the engine; the process needs about 85 MB more.
        threads: cores of the engine.
    """

    max_size_bytes: int = 0
    max_reject_share: float = 0.05
    max_rejects_kept: int = 10_000
    load_connections: int = 2
    publish: Publish = Publish.SEARCHABLE
    writing: Writing = REPLACE
    on_type_change: TypeChange = TypeChange.ADOPT
    rules: Rules = field(default_factory=Rules)
    part_bytes: int = PART_BYTES
    memory_mb: int = 64
    threads: int = 2

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> Options:
        """Read the parameters of an order. Raises OrderRefused naming the wrong one; others are ignored."""
        return cls(
            max_size_bytes=_number(params, "max_size_bytes", 0, 0, 1 << 50),
            max_reject_share=_number(params, "max_reject_share", 0.05, 0.0, 1.0),
            max_rejects_kept=_number(params, "max_rejects_kept", 10_000, 0, 1_000_000),
            load_connections=_number(params, "load_connections", 2, 1, 32),
            publish=_word(params, "publish", Publish.SEARCHABLE),
            writing=_writing(params),
            on_type_change=_word(params, "on_type_change", TypeChange.ADOPT),
            rules=Rules.of(params),
            part_bytes=_number(params, "part_bytes", PART_BYTES, 1, 64 << 20),
            memory_mb=_number(params, "memory_mb", 64, 64, 1 << 20),
            threads=_number(params, "threads", 2, 1, 256),
        )


def _word(params: Mapping[str, Any], name: str, default: Word) -> Word:
    """Return a parameter as a member of the default's enum."""
    try:
        return type(default)(params.get(name) or default)
    except ValueError as exc:
        raise OrderRefused(field=f"params.{name}") from exc


def _writing(params: Mapping[str, Any]) -> Writing:
    """Return what the rows do to the table. A key is needed where it is used; elsewhere it may wait for its time."""
    mode, key = _word(params, "write", Write.REPLACE), params.get("key") or []
    if not isinstance(key, (list, tuple)) or not all(isinstance(name, str) and name for name in key):
        raise OrderRefused(field="params.key")
    used = mode in (Write.UPSERT, Write.DELETE)
    if (used and not key) or len(set(key)) < len(key):
        raise OrderRefused(field="params.key")
    return Writing(mode, tuple(key) if used else (), rows_first=params.get("publish") == Publish.ROWS.value)


def _number(params: Mapping[str, Any], name: str, default: Number, least: Number, most: Number) -> Number:
    """Return a parameter as a number of the default's type, from `least` to `most`, both included."""
    given = params.get(name)
    if given is None or given == "":
        return default
    try:
        number = type(default)(given)
    except (TypeError, ValueError) as exc:
        raise OrderRefused(field=f"params.{name}") from exc
    if isinstance(given, bool) or not least <= number <= most:
        raise OrderRefused(field=f"params.{name}")
    return number

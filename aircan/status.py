"""The five statuses of a job and the moves between them. Imports nothing of ours."""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """Where a job stands. The values are what the database and the API show."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ACTIVE: frozenset[Status] = frozenset({Status.WAITING, Status.RUNNING})
"""Statuses that still have a way to go."""

FINAL: frozenset[Status] = frozenset(Status) - ACTIVE
"""Statuses that nothing leaves."""

MOVES: dict[Status, frozenset[Status]] = {
    Status.WAITING: frozenset({Status.RUNNING}) | FINAL,
    Status.RUNNING: frozenset({Status.RUNNING}) | FINAL,
    Status.DONE: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}
"""From each status, the statuses that a job may move to. RUNNING to RUNNING is a sign of life."""


def sources(target: Status) -> frozenset[Status]:
    """Return the statuses from which a job may move to `target`, for the WHERE of a guarded UPDATE."""
    return frozenset(source for source, targets in MOVES.items() if target in targets)

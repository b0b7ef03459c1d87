"""What our objects in the DataStore's database are called: short enough, hidden, and told apart by job.

A leading underscore hides a name from CKAN's API. Imports nothing of ours.
"""

from __future__ import annotations

import re
import uuid

PREFIX = "_aircan_"
MAX_BYTES = 63
"""PostgreSQL's limit of a name (NAMEDATALEN - 1)."""

_OURS = re.compile(r"^_aircan_([0-9a-f]{32})(?:_[0-9a-z_]+)?$")


def stage(job_id: str) -> str:
    """Return the name of a job's hidden table. Raises ValueError when the job's id is no UUID."""
    return PREFIX + uuid.UUID(job_id).hex


def parts(job_id: str) -> str:
    """Return the name of the table that lists which parts arrived."""
    return stage(job_id) + "_parts"


def vector(job_id: str) -> str:
    """Return the name of the trigger function that fills `_full_text` of a stage."""
    return stage(job_id) + "_vector"


def retired(job_id: str) -> str:
    """Return the name that the old table gets when a job's table takes its place."""
    return stage(job_id) + "_old"


def temporary(job_id: str, kind: str, number: int = 0) -> str:
    """Return a name for an index, sequence or view of a job until the swap, or after it for one of the old table."""
    return f"{stage(job_id)}_{kind}{number}"


def job_of(name: str) -> str | None:
    """Return the id of the job whose object this is, None when it is not ours."""
    found = _OURS.match(name)
    return str(uuid.UUID(found.group(1))) if found else None


def primary_key(table: str) -> str:
    """Return the name that PostgreSQL gives to the primary key of a table."""
    return _object_name(table, "", "pkey")


def sequence(table: str) -> str:
    """Return the name that PostgreSQL gives to the sequence of a table's serial column `_id`."""
    return _object_name(table, "_id", "seq")


def _object_name(table: str, column: str, label: str) -> str:
    """Cut the longer of two names first, as makeObjectName of PostgreSQL does."""
    rest = f"_{column}_{label}" if column else f"_{label}"
    return table.encode()[: MAX_BYTES - len(rest.encode())].decode(errors="ignore") + rest

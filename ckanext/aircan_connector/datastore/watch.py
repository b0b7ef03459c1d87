"""How far the indexes for searching of a run are, asked from PostgreSQL while they are built.

PostgreSQL says how many blocks of the table an index build has read (pg_stat_progress_create_index). For
GiST and GIN that is the work itself, later blocks cost a little more: measured on PostgreSQL 15, 2026-11, of
1,000,000 rows half of the blocks were read after 46 % of the time, a quarter after 19 %.
"""

from __future__ import annotations

import math
import re
import time
from typing import Any

from aircan import progress

from . import indexes, names
from .connect import Connections

PHASE = "index"
"""Name of the phase in a run's progress."""

SLOWS = 1.2
"""See `aircan.progress.remaining_s`; from the measurement above."""

SETTLED_S = 0.2
"""Younger builds are not looked at: PostgreSQL's two views are not read at one moment, and the numbers may be
those of the build before."""

_COMMAND = re.compile(r'CREATE INDEX "(?P<index>[^"]+)" ON "public"\."(?P<table>[^"]+)"')

_LOOK = (
    "SELECT a.query, p.blocks_done, p.blocks_total, extract(epoch FROM clock_timestamp() - a.query_start) "
    "FROM pg_catalog.pg_stat_progress_create_index p JOIN pg_catalog.pg_stat_activity a USING (pid) "
    "WHERE a.application_name = %s"
)


class IndexWatch:
    """Looks at the index builds of one job, from a connection of its own, which is opened at the first look.

    Args:
        job_id: UUID of the job; its connections are named after it.
        resource_id: whose table gets the indexes.
    """

    def __init__(self, job_id: str, resource_id: str) -> None:
        self._job_id, self._resource_id = job_id, resource_id
        self._connections = Connections(f"aircan watch {job_id}")
        self._began: float | None = None
        self._most = 0.0

    def look(self) -> dict[str, Any] | None:
        """Return {"phase", "share", "percent", "eta_s"} of all indexes together, None while none is being built.

        Several may be built at the same time; each counts the same. Raises leaves of LoadFailed when the
        database cannot be asked.
        """
        shares: dict[str, float] = {}
        order, built = list[str](), set[str]()
        with self._connections.transaction() as cursor:
            cursor.execute(_LOOK, (f"aircan {self._job_id}",))
            for query, done, total, seconds in cursor.fetchall():
                command = _COMMAND.match(query)
                if command and total and seconds > SETTLED_S:
                    order = order or self._order(cursor, command["table"])
                    built = built or indexes.names_on(cursor, command["table"])
                    if command["index"] in order:
                        shares[command["index"]] = float(done / total)
                        self._began = min(self._began or math.inf, time.monotonic() - float(seconds))
        return self._told(order, len((built - set(shares)).intersection(order)), shares) if shares else None

    def close(self) -> None:
        """Close the connection."""
        self._connections.close()

    def _order(self, cursor: Any, table: str) -> list[str]:
        """Return the names of the indexes for searching of a table, in the order in which they are built."""
        wanted = indexes.full_text(self._resource_id, indexes.columns_of(cursor, table))
        if table == names.stage(self._job_id):
            return [names.temporary(self._job_id, "f", number) for number in range(len(wanted))]
        return [index.name for index in wanted]

    def _told(self, order: list[str], built: int, shares: dict[str, float]) -> dict[str, Any]:
        # An index that is built but not yet committed is seen in neither place for a moment.
        whole = self._most = max(self._most, (built + sum(shares.values())) / len(order))
        # Of several, none is known to be slower at its end.
        slows = SLOWS if len(order) == 1 else 1.0
        return progress.told(PHASE, whole, time.monotonic() - (self._began or 0), slows=slows)

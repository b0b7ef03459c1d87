"""Which of the first rows of a table is its header. Imports nothing of ours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def header_at(rows: Sequence[Sequence[str] | None]) -> int | None:
    """Return the index of the header: the first row that is no title above the table; None without one.

    A title has fewer than half as many filled cells as most rows have cells. Above a table of two
    columns it must be a single cell with a blank row below, as one cell could be a header with a cell missing.

    Args:
        rows: the first rows; [] is a blank one, None one that is no sound row.
    """
    counts = Counter(len(row) for row in rows if row)
    usual = max(counts, key=lambda cells: (counts[cells], cells), default=0)
    for index, row in enumerate(rows):
        if row is None:
            return None
        if not row:
            continue
        filled = sum(bool(text.strip()) for text in row)
        blank_below = index + 1 < len(rows) and rows[index + 1] == []
        if filled * 2 < usual or (usual == 2 and len(row) == 1 and blank_below):
            continue
        return index
    return next((index for index, row in enumerate(rows) if row), None)

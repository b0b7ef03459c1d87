"""How the value of a cell becomes text. Imports nothing of ours.

Columns are converted block by block: a column whose cells are all of one kind, the usual case, costs a third
of a conversion cell by cell (measured 2026-11).
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any

Cell = str | int | float | bool | dt.date | dt.time | dt.timedelta
"""What readers give; "" is a blank cell. `datetime` is a `date`."""

_EXACT = 1e16
"""Up to here a float has no more digits than its shortest notation."""

_DURATION = re.compile(r"(-?)PT(\d+)H(\d+)M(\d+)(?:[.,](\d+))?S")


def text(cell: Cell) -> str:
    """Return the text of a cell, "" for a blank one.

    Example: 1.0 -> "1", 1e-05 -> "0.00001", True -> "TRUE", a date at midnight -> "2024-01-31", a later moment of
    it -> "2024-01-31T10:00:00", a time -> "10:00:00", 26 and a half hours -> "26:30:00".
    """
    return _TEXT[type(cell)](cell)


def _float(cell: float) -> str:
    if -_EXACT < cell < _EXACT and cell.is_integer():
        return str(int(cell))
    shown = repr(cell)
    return format(Decimal(shown), "f") if "e" in shown else shown


def _moment(cell: dt.datetime) -> str:
    if cell.hour or cell.minute or cell.second or cell.microsecond:
        return cell.isoformat() if not cell.microsecond else cell.isoformat().rstrip("0")
    return cell.isoformat()[:10]


def _time(cell: dt.time) -> str:
    return cell.isoformat() if not cell.microsecond else cell.isoformat().rstrip("0")


def _duration(cell: dt.timedelta) -> str:
    sign, cell = ("-", -cell) if cell < dt.timedelta() else ("", cell)
    minutes, seconds = divmod(cell.days * 86400 + cell.seconds, 60)
    fraction = f".{cell.microseconds:06}".rstrip("0") if cell.microseconds else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"


_TEXT: dict[type, Callable[[Any], str]] = {
    str: str,
    int: str,
    float: _float,
    bool: {True: "TRUE", False: "FALSE"}.__getitem__,
    dt.date: dt.date.isoformat,
    dt.datetime: _moment,
    dt.time: _time,
    dt.timedelta: _duration,
}


def iso_duration(value: str) -> str:
    """Return a duration of an ODS file as H:MM:SS, any other text unchanged.

    Example: "PT26H30M00S" -> "26:30:00".
    """
    found = _DURATION.fullmatch(value)
    if not found:
        return value
    sign, hours, minutes, seconds, fraction = found.groups()
    shown = "." + fraction.rstrip("0") if fraction and fraction.strip("0") else ""
    return f"{sign}{int(hours):02}:{int(minutes):02}:{int(seconds):02}{shown}"


def quoted(value: str) -> str:
    """Return text as a cell of the normal form."""
    if '"' in value or "," in value or "\n" in value or "\r" in value:
        return '"' + value.replace('"', '""') + '"'
    return value


class Converter:
    """Turns blocks of rows into lines of the normal form, and remembers what its columns hold.

    Attributes:
        filled: whether a column holds a value, by its number from 0.
        days: columns with a date cell at midnight.
        moments: columns with a date cell at another time of the day.
    """

    def __init__(self, columns: int, *, durations: bool = False) -> None:
        self._durations = durations
        self.filled = [False] * columns
        self.days: set[int] = set()
        self.moments: set[int] = set()

    def lines(self, rows: Sequence[Sequence[Cell]]) -> list[str]:
        """Return a line for each row, all rows of the same width, without line ends; a blank row is commas only."""
        columns = [self._column(index, cells) for index, cells in enumerate(zip(*rows, strict=True))]
        return list(map(",".join, zip(*columns, strict=True)))

    def _column(self, index: int, cells: Sequence[Cell]) -> Iterable[str]:
        kinds = set(map(type, cells))
        texts = list(self._texts(index, cells, kinds))
        if not self.filled[index]:
            self.filled[index] = any(texts)
        if str in kinds:
            together = "".join(texts)
            if '"' in together or "," in together or "\n" in together or "\r" in together:
                return list(map(quoted, texts))
        return texts

    def _texts(self, index: int, cells: Sequence[Any], kinds: set[type]) -> Iterable[str]:
        if kinds == {str}:
            return map(iso_duration, cells) if self._durations else cells
        if kinds == {float}:
            most = _EXACT
            return [str(int(c)) if c.is_integer() and -most < c < most else _float(c) for c in cells]
        if dt.datetime in kinds:
            self._note_moments(index, cells)
        if dt.date in kinds:
            self.days.add(index)
        if len(kinds) == 1:
            return map(_TEXT[kinds.pop()], cells)
        texts = [_TEXT[type(cell)](cell) for cell in cells]
        return map(iso_duration, texts) if self._durations else texts

    def _note_moments(self, index: int, cells: Sequence[Any]) -> None:
        midnight = dt.time()
        at_midnight = [cell.time() == midnight for cell in cells if type(cell) is dt.datetime]
        if any(at_midnight):
            self.days.add(index)
        if not all(at_midnight):
            self.moments.add(index)

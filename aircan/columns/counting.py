"""What is counted of columns over all rows of a file, so that a type can be decided on every value.

Most columns need one sum for each reading: do all cells, as they stand in the file, fit it? Only where that is
not so are blanks, null words and misfits told apart. Imports `engine`, `table` and its neighbours.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from aircan.columns import values
from aircan.columns.rules import Rules
from aircan.columns.values import Reading
from aircan.contract import Field, Type
from aircan.engine import Engine
from aircan.table import Table

SUMS_AT_ONCE = 150
"""Sums in one query. DuckDB keeps vectors for each outside its memory limit: 0.15 MB, with a FILTER 0.5 (2026-11)."""


@dataclass
class Case:
    """A column under investigation: the readings still possible, and what was found out.

    Attributes:
        index: number of the column, from 0; its cells are c<index>, without blanks around them v<index>.
        others: readings to take up when none of `readings` fits.
        is_bare: whether no cell seen so far is a null word, or blank, or has blanks around it.
        is_real: whether there is a value that is neither blank nor a null word.
        null_words: how many cells are null words.
        misfits: for each reading, how many values do not fit; where one fits all values, only whether there are any.
        proofs: for each reading, how many values prove it, or whether there are any.
        padded: whether a cell is empty within quotes, or has blanks around it.
    """

    index: int
    field: Field
    person: Type | None
    rules: Rules
    readings: list[Reading]
    nested: bool = False
    is_bare: bool = False
    is_real: bool = False
    null_words: int = 0
    misfits: tuple[int, ...] = ()
    proofs: tuple[int, ...] = ()
    padded: bool = True
    others: list[Reading] = dataclasses.field(default_factory=list)

    @property
    def v(self) -> str:
        """The SQL name of its cells without blanks around them."""
        return f"v{self.index}"

    @property
    def is_testable(self) -> bool:
        """Whether cells that fit a reading as they stand are values, and all of them may do so."""
        return self.is_bare and all(reading.takes_only_values for reading in self.readings)

    def fitting(self) -> Reading | None:
        """Return the first reading that fits all values and has its proof."""
        counted = zip(self.readings, self.misfits, self.proofs, strict=True)
        return next((reading for reading, misfits, proofs in counted if proofs and not misfits), None)

    def widen(self) -> bool:
        """Take up every reading of a person's type when none of the likely ones fits all values; whether it did.

        A reading that fits all values fits the sample, so the first of the likely ones is the first of all.
        """
        if not self.others or self.fitting():
            return False
        self.readings, self.others, self.misfits, self.proofs = self.others, [], (), ()
        return True

    def changes(self, reading: Reading) -> bool:
        """Return whether this reading gives PostgreSQL anything but the cells as they stand in the file."""
        return self.padded or self.null_words > 0 or reading.value != "{v}"


def count(cases: Sequence[Case], table: Table, engine: Engine) -> None:
    """Count, over all rows, what decides these cases; those without a reading need nothing."""
    asked = [case for case in cases if case.readings]
    for some in _batches([case for case in asked if case.is_testable], _tests):
        _look(some, table, engine)
    for some in _batches([case for case in asked if not case.misfits], _sums):
        _count(some, table, engine)


def _batches(cases: Sequence[Case], sums: Callable[[Case], list[str]]) -> Iterator[list[Case]]:
    """Yield cases, together at most SUMS_AT_ONCE sums or a single one."""
    batch, size = list[Case](), 0
    for case in cases:
        found = len(sums(case))
        if batch and size + found > SUMS_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(case)
        size += found
    if batch:
        yield batch


def _tests(case: Case) -> list[str]:
    c = f"c{case.index}"
    fits = [f"bool_and({reading.condition(c)})" for reading in case.readings]
    return fits + [f"bool_or({values.matches(c, reading.proof)})" for reading in case.readings if reading.proof]


def _look(cases: Sequence[Case], table: Table, engine: Engine) -> None:
    """Settle the cases of which all cells that are not NULL fit a reading as they stand, or all are NULL."""
    sums = [test for case in cases for test in _tests(case)]
    found = iter(engine.row(f"SELECT {', '.join(sums)} FROM {table.relation}"))  # noqa: S608 - own names
    for case in cases:
        fits = [next(found) for _ in case.readings]
        proofs = [next(found) if reading.proof else True for reading in case.readings]
        is_blank = fits[0] is None
        if is_blank or any(fit and proof for fit, proof in zip(fits, proofs, strict=True)):
            case.is_real, case.padded = not is_blank, False
            case.misfits = tuple(int(fit is False) for fit in fits)
            case.proofs = tuple(int(proof is True) for proof in proofs)


def _sums(case: Case) -> list[str]:
    v = case.v
    return [
        f"count_if({v} IS NULL OR {v} = '')",
        f"count_if({values.is_null_word(v, case.rules.null_words)})",
        f"bool_or(c{case.index} = '' OR c{case.index} <> {v})",
        *(f"count_if({values.misfit(r, v)})" for r in case.readings),
        *(f"count_if({values.matches(v, r.proof)})" for r in case.readings if r.proof),
    ]


def _count(cases: Sequence[Case], table: Table, engine: Engine) -> None:
    """Count blanks, null words, and for each reading misfits and proofs; look for padded values."""
    sums = [each for case in cases for each in _sums(case)]
    inner = ", ".join(f"c{case.index}, {values.trimmed(f'c{case.index}')} AS {case.v}" for case in cases)
    row = engine.row(f"SELECT {', '.join(sums)} FROM (SELECT {inner} FROM {table.relation})")  # noqa: S608
    found = iter([each or 0 for each in row])  # sums of no rows are NULL
    for case in cases:
        blank, case.null_words, case.padded = next(found), next(found), bool(next(found))
        case.is_real = table.rows > blank + case.null_words
        case.misfits = tuple(next(found) for _ in case.readings)
        case.proofs = tuple(next(found) if reading.proof else 1 for reading in case.readings)

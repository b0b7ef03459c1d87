"""Decide the type of each column over all its values, and say why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aircan.columns import names, values
from aircan.columns.reasons import Question, doubt, refine
from aircan.columns.rules import Rules
from aircan.columns.totals import totals_word
from aircan.columns.values import Reading
from aircan.contract import Field, Type
from aircan.engine import Engine
from aircan.table import VALUE_KEPT, Table

SAMPLE_ROWS = 2000
"""Rows that rule ways to read a column out; none is chosen on them."""

SAMPLE_CELLS = 40_000
"""Cells of the sample; wide tables have fewer rows in it."""

SUMS_AT_ONCE = 100
"""Aggregates in one query. DuckDB keeps vectors for each outside its memory limit (0.5 MB each, measured 2026-11)."""

TOTALS_ROWS = 3
"""Rows that a table must have before its last one may be called a sum of the others."""


@dataclass(frozen=True)
class Column:
    """A column whose type is decided.

    Attributes:
        reading: how its values are read; None for text.
        misfits: values that do not fit (only where a person chose the type); their rows are rejected.
        changed: whether what PostgreSQL gets is not always the cell as it stands in the file.
    """

    field: Field
    reading: Reading | None = None
    misfits: int = 0
    changed: bool = True


@dataclass(frozen=True)
class Columns:
    """The decided columns, in file order, and what a person should know about them."""

    columns: tuple[Column, ...]
    warnings: tuple[Mapping[str, Any], ...] = ()

    @property
    def fields(self) -> list[Field]:
        """The fields of the new table."""
        return [column.field for column in self.columns]


@dataclass
class _Case:
    """A column under investigation: its SQL column, the readings still possible, and what was counted."""

    index: int
    field: Field
    person: Type | None
    rules: Rules
    readings: list[Reading]
    blank: int = 0
    null_words: int = 0
    misfits: tuple[int, ...] = ()
    proofs: tuple[int, ...] = ()
    padded: bool = True
    nested: bool = False
    others: list[Reading] = dataclasses.field(default_factory=list)

    def widen(self) -> bool:
        """Take up every reading of a person's type when none of the likely ones fits all values; whether it did.

        A reading that fits all values fits the sample, so the first of the likely ones is the first of all.
        """
        if not self.others or any(proofs and not n for n, proofs in zip(self.misfits, self.proofs, strict=True)):
            return False
        self.readings, self.others = self.others, []
        return True

    @property
    def v(self) -> str:
        return f"v{self.index}"

    def real(self, rows: int) -> int:
        return rows - self.blank - self.null_words

    def changes(self, reading: Reading) -> bool:
        return self.padded or self.null_words > 0 or reading.value != "{v}"


_DEFAULT = Rules()


def infer(table: Table, engine: Engine, *, types: Mapping[str, Type], rules: Rules = _DEFAULT) -> Columns:
    """Return the columns of a table with their types.

    Args:
        table: what was read.
        engine: has the memory that the table asks for.
        types: column id -> type that a person chose; wins over inference.
        rules: what the order says about values.
    """
    fields = names.fields(table.labels)
    sample = _sample(table, engine, len(fields), rules)
    cases = [_case(i, field, types, table, rules, [row[i] for row in sample]) for i, field in enumerate(fields)]
    for some in _batches(cases):
        _count(some, table, engine)
    for some in _batches([case for case in cases if case.widen()]):
        _count(some, table, engine)
    columns = [_decide(case, table.rows) for case in cases]
    columns, nulls = _explain(columns, cases, sample, table, engine)
    return Columns(tuple(columns), (*names.warnings(fields), *nulls, *_totals(table)))


def _totals(table: Table) -> list[Mapping[str, Any]]:
    """Return a warning if the first text of the last row says that it is a sum; it stays a row."""
    if table.rows < TOTALS_ROWS:
        return []
    place = table.locate([table.rows])[table.rows]
    word = totals_word(place.text)
    return [{"code": "totals_line", "line": place.line, "value": word}] if word else []


def _sample(table: Table, engine: Engine, columns: int, rules: Rules) -> list[tuple[str | None, ...]]:
    """Return the first rows, and for columns that are blank in them three values from anywhere."""
    listed = ", ".join(values.trimmed(f"c{i}") for i in range(columns))
    count = max(20, min(SAMPLE_ROWS, SAMPLE_CELLS // columns))
    rows = engine.rows(f"SELECT {listed} FROM {table.relation} LIMIT {count}")  # noqa: S608 - own names
    if len(rows) < count:
        return rows
    blank = [i for i in range(columns) if not any(row[i] and row[i] not in rules.null_words for row in rows)]
    at: dict[int, tuple[str | None, ...]] = {}
    for start in range(0, len(blank), SUMS_AT_ONCE // 3):
        at.update(_anywhere(blank[start : start + SUMS_AT_ONCE // 3], table, engine, rules))
    more = [tuple(at[i][pick] if i in at else None for i in range(columns)) for pick in range(3)]
    return [*rows, *more]


def _anywhere(columns: Sequence[int], table: Table, engine: Engine, rules: Rules) -> dict[int, tuple[str | None, ...]]:
    """Return three values, from anywhere in the file, of each of these columns."""
    sums = []
    for i in columns:
        real = values.is_real(f"v{i}", rules.null_words)
        sums += [f"{pick}(v{i}) FILTER (WHERE {real})" for pick in ("min", "max", "any_value")]
    inner = ", ".join(f"{values.trimmed(f'c{i}')} AS v{i}" for i in columns)
    found = engine.row(f"SELECT {', '.join(sums)} FROM (SELECT {inner} FROM {table.relation})")  # noqa: S608
    return {column: found[n * 3 : n * 3 + 3] for n, column in enumerate(columns)}


def _batches(cases: Sequence[_Case]) -> Iterator[list[_Case]]:
    """Yield cases, together at most SUMS_AT_ONCE sums or a single one."""
    batch, size = list[_Case](), 0
    for case in cases:
        sums = 3 + sum(2 if reading.proof else 1 for reading in case.readings)
        if batch and size + sums > SUMS_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(case)
        size += sums
    if batch:
        yield batch


def _case(
    index: int,
    field: Field,
    types: Mapping[str, Type],
    table: Table,
    rules: Rules,
    sample: Sequence[str | None],
) -> _Case:
    person = types.get(field.id)
    nested = index in table.nested and person in (None, Type.JSON)
    readings = [] if nested else _possible(field, types, table, rules, sample)
    case = _Case(index, field, person, rules, readings, nested=nested)
    if person and len(readings) > 1:
        seen = {value for value in sample if value and value not in rules.null_words}
        case.others = readings
        likely = [r for r in readings if all(r.has_shape(value) for value in seen)] if seen else []
        case.readings = likely or readings[:1]
    return case


def _possible(
    field: Field, types: Mapping[str, Type], table: Table, rules: Rules, sample: Sequence[str | None]
) -> list[Reading]:
    person = types.get(field.id)
    if person is Type.TEXT:
        return []
    if person:
        return values.chosen(person, rules, comma_possible=table.decimal_comma)
    seen = {value for value in sample if value and value not in rules.null_words}
    if not seen:  # the sample holds values from anywhere then: there is none, at most null words
        return [replace(values.NUMERIC, null_words=rules.null_words)]
    tried = values.inferred(rules, comma_possible=table.decimal_comma)
    return [reading for reading in tried if all(reading.has_shape(value) for value in seen)]


def _count(cases: Sequence[_Case], table: Table, engine: Engine) -> None:
    """Count, over all rows, blanks, null words, and for each reading misfits and proofs; look for padded values."""
    asked = [case for case in cases if case.readings]
    if not asked:
        return
    sums = []
    for case in asked:
        v = case.v
        sums += [f"count(*) FILTER (WHERE {v} IS NULL OR {v} = '')"]
        sums += [f"count(*) FILTER (WHERE {values.is_null_word(v, case.rules.null_words)})"]
        sums += [f"coalesce(bool_or(c{case.index} = '' OR c{case.index} <> {v}), false)"]
        sums += [f"count(*) FILTER (WHERE {values.misfit(r, v)})" for r in case.readings]
        sums += [f"count(*) FILTER (WHERE {values.matches(v, r.proof)})" if r.proof else "1" for r in case.readings]
    inner = ", ".join(f"c{case.index}, {values.trimmed(f'c{case.index}')} AS {case.v}" for case in asked)
    found = iter(engine.row(f"SELECT {', '.join(sums)} FROM (SELECT {inner} FROM {table.relation})"))  # noqa: S608
    for case in asked:
        case.blank, case.null_words, case.padded = next(found), next(found), next(found)
        case.misfits = tuple(next(found) for _ in case.readings)
        case.proofs = tuple(next(found) for _ in case.readings)


def _decide(case: _Case, rows: int) -> Column:
    if case.nested:
        return Column(replace(case.field, type=Type.JSON, reason={"code": "person" if case.person else "nested"}))
    if case.person:
        return _persons(case)
    real = case.real(rows)
    for reading, misfits, proofs in zip(case.readings, case.misfits, case.proofs, strict=True):
        if real and not misfits and proofs:
            reason = {"code": reading.name, **({"layout": reading.layout} if reading.layout else {})}
            typed = replace(case.field, type=reading.type, reason=reason, layout=reading.layout, nulls=case.null_words)
            return Column(typed, reading, changed=case.changes(reading))
    text = values.STRIPPED if case.rules.strip else None
    if case.readings and not real and not case.null_words:
        return Column(replace(case.field, reason={"code": "blank"}), text, changed=text is not None)
    return Column(case.field, text, changed=text is not None)


def _persons(case: _Case) -> Column:
    kind = case.person or Type.TEXT
    reason = {"code": "person"}
    if not case.readings:
        text = values.STRIPPED if case.rules.strip else None
        return Column(replace(case.field, type=kind, reason=reason), text, changed=text is not None)
    proven = [(misfits, i) for i, (misfits, proofs) in enumerate(zip(case.misfits, case.proofs, strict=True)) if proofs]
    misfits, best = min(proven)
    reading = case.readings[best]
    typed = replace(case.field, type=kind, reason=reason, layout=reading.layout, nulls=case.null_words)
    return Column(typed, reading, misfits, changed=misfits > 0 or case.changes(reading))


def _explain(
    columns: Sequence[Column],
    cases: Sequence[_Case],
    sample: Sequence[tuple[str | None, ...]],
    table: Table,
    engine: Engine,
) -> tuple[list[Column], list[Mapping[str, Any]]]:
    """Say why a column is text, what proved a layout, and where the first null word stands."""
    questions: list[Question] = []
    for column, case in zip(columns, cases, strict=True):
        if not column.field.reason:
            seen = [row[case.index] for row in sample]
            only = bool(case.null_words) and not case.real(table.rows)
            asked = doubt(case.index, case.readings, case.misfits, seen, rules=case.rules, only_null_words=only)
            questions.append(asked)
        elif column.reading and column.reading.proof:
            questions.append(Question(case.index, "", values.matches(case.v, column.reading.proof)))
        if column.field.nulls:
            questions.append(Question(case.index, "null_words", values.is_null_word(case.v, case.rules.null_words)))
    answers = _ask(questions, table, engine)
    out, warnings = list(columns), list[Mapping[str, Any]]()
    for question, (count, line, value) in zip(questions, answers, strict=True):
        column = out[question.index]
        found = {"count": count, "line": line, "value": value}
        if question.code == "null_words":
            warnings.append({"code": "null_words", "field": column.field.id, **found})
        else:
            found = {key: fact for key, fact in found.items() if fact is not None}
            reason = {"code": refine(question, value), **column.field.reason, **found}
            out[question.index] = replace(column, field=replace(column.field, reason=reason))
    return out, warnings


Answer = tuple[int | None, int | None, str | None]
"""How many values (None: not counted), the line of the first, and its text."""


def _ask(questions: Sequence[Question], table: Table, engine: Engine) -> list[Answer]:
    found: dict[int, Answer] = {i: (None, q.row, q.value) for i, q in enumerate(questions)}
    open_ones = [i for i, q in enumerate(questions) if q.condition]
    for start in range(0, len(open_ones), SUMS_AT_ONCE // 3):
        some = open_ones[start : start + SUMS_AT_ONCE // 3]
        row = engine.row(_query([questions[i] for i in some], table))
        found.update({i: (row[n * 3], row[n * 3 + 1], row[n * 3 + 2]) for n, i in enumerate(some)})
    places = table.locate(sorted({row for _, row, _ in found.values() if row}))
    return [
        (count, places[row].line if row else None, value[:VALUE_KEPT] if value is not None else None)
        for count, row, value in (found[i] for i in range(len(questions)))
    ]


def _query(questions: Sequence[Question], table: Table) -> str:
    inner = ", ".join(f"{values.trimmed(f'c{i}')} AS v{i}" for i in sorted({q.index for q in questions}))
    sums = ", ".join(
        f"count(*) FILTER (WHERE {q.condition}), min(rn) FILTER (WHERE {q.condition}), "
        f"arg_min(v{q.index}, rn) FILTER (WHERE {q.condition})"
        for q in questions
    )
    return f"SELECT {sums} FROM (SELECT row_number() OVER () AS rn, {inner} FROM {table.relation})"  # noqa: S608

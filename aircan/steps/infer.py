"""Decide the type of each column over all its values, and say why."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aircan.columns import counting, names, values
from aircan.columns.counting import SUMS_AT_ONCE, Case
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
    tried = values.inferred(rules, comma_possible=table.decimal_comma)
    cases = [_case(i, field, types.get(field.id), table, rules, tried, sample[i]) for i, field in enumerate(fields)]
    counting.count(cases, table, engine)
    counting.count([case for case in cases if case.widen()], table, engine)
    columns = [_decide(case) for case in cases]
    columns, nulls = _explain(columns, cases, sample, table, engine)
    return Columns(tuple(columns), (*names.warnings(fields), *nulls, *_totals(table)))


def _totals(table: Table) -> list[Mapping[str, Any]]:
    """Return a warning if the first text of the last row says that it is a sum; it stays a row."""
    if table.rows < TOTALS_ROWS:
        return []
    place = table.locate([table.rows])[table.rows]
    word = totals_word(place.text)
    return [{"code": "totals_line", "line": place.line, "value": word}] if word else []


@dataclass(frozen=True)
class _Seen:
    """What was seen of a column: the first cells without blanks around them, and whether any of them had some."""

    cells: tuple[str | None, ...]
    is_padded: bool
    null_words: tuple[str, ...]

    @functools.cached_property
    def values(self) -> frozenset[str]:
        """The distinct values, which are neither blank nor a null word."""
        return frozenset(value for value in self.cells if value and value not in self.null_words)

    @property
    def is_bare(self) -> bool:
        """Whether each cell is a value as it stands, or NULL."""
        return not self.is_padded and all(value is None or value in self.values for value in set(self.cells))


def _sample(table: Table, engine: Engine, columns: int, rules: Rules) -> list[_Seen]:
    """Return, for each column, its first cells, and if they are blank three values from anywhere."""
    most = max(20, min(SAMPLE_ROWS, SAMPLE_CELLS // columns))
    listed = ", ".join(f"c{i}" for i in range(columns))
    rows = engine.rows(f"SELECT {listed} FROM {table.relation} LIMIT {most}")  # noqa: S608 - own names
    seen = [_seen(cells, rules.null_words) for cells in zip(*rows, strict=True)] if rows else [_NOTHING] * columns
    if len(rows) < most:
        return seen
    blank = [i for i, column in enumerate(seen) if not column.values]
    for start in range(0, len(blank), SUMS_AT_ONCE // 3):
        for i, found in _anywhere(blank[start : start + SUMS_AT_ONCE // 3], table, engine, rules).items():
            seen[i] = replace(seen[i], cells=(*seen[i].cells, *found))
    return seen


_NOTHING = _Seen((), is_padded=False, null_words=())


def _seen(cells: Sequence[str | None], null_words: tuple[str, ...]) -> _Seen:
    stripped = tuple(cell and cell.strip(values.BLANKS) for cell in cells)
    return _Seen(stripped, stripped != cells, null_words)


def _anywhere(columns: Sequence[int], table: Table, engine: Engine, rules: Rules) -> dict[int, tuple[str | None, ...]]:
    """Return three values, from anywhere in the file, of each of these columns."""
    sums = []
    for i in columns:
        real = f"CASE WHEN {values.is_real(f'v{i}', rules.null_words)} THEN v{i} END"
        sums += [f"{pick}({real})" for pick in ("min", "max", "any_value")]
    inner = ", ".join(f"{values.trimmed(f'c{i}')} AS v{i}" for i in columns)
    found = engine.row(f"SELECT {', '.join(sums)} FROM (SELECT {inner} FROM {table.relation})")  # noqa: S608
    return {column: found[n * 3 : n * 3 + 3] for n, column in enumerate(columns)}


def _case(
    index: int, field: Field, person: Type | None, table: Table, rules: Rules, tried: Sequence[Reading], seen: _Seen
) -> Case:
    nested = index in table.nested and person in (None, Type.JSON)
    readings = [] if nested else _possible(person, table, rules, tried, seen)
    case = Case(index, field, person, rules, readings, nested=nested, is_bare=seen.is_bare)
    if person and len(readings) > 1:
        case.others = readings
        likely = [r for r in readings if all(map(r.has_shape, seen.values))] if seen.values else []
        case.readings = likely or readings[:1]
    return case


def _possible(person: Type | None, table: Table, rules: Rules, tried: Sequence[Reading], seen: _Seen) -> list[Reading]:
    if person is Type.TEXT:
        return []
    if person:
        return values.chosen(person, rules, comma_possible=table.decimal_comma)
    if not seen.values:  # the sample holds values from anywhere then: there is none, at most null words
        return [replace(values.NUMERIC, null_words=rules.null_words)]
    return [reading for reading in tried if all(map(reading.has_shape, seen.values))]


def _decide(case: Case) -> Column:
    if case.nested:
        return Column(replace(case.field, type=Type.JSON, reason={"code": "person" if case.person else "nested"}))
    if case.person:
        return _persons(case)
    if case.is_real and (reading := case.fitting()):
        reason = {"code": reading.name, **({"layout": reading.layout} if reading.layout else {})}
        typed = replace(case.field, type=reading.type, reason=reason, layout=reading.layout, nulls=case.null_words)
        return Column(typed, reading, changed=case.changes(reading))
    text = values.STRIPPED if case.rules.strip else None
    if case.readings and not case.is_real and not case.null_words:
        return Column(replace(case.field, reason={"code": "blank"}), text, changed=text is not None)
    return Column(case.field, text, changed=text is not None)


def _persons(case: Case) -> Column:
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
    cases: Sequence[Case],
    sample: Sequence[_Seen],
    table: Table,
    engine: Engine,
) -> tuple[list[Column], list[Mapping[str, Any]]]:
    """Say why a column is text, what proved a layout, and where the first null word stands."""
    questions: list[Question] = []
    for column, case in zip(columns, cases, strict=True):
        if not column.field.reason:
            only, seen = bool(case.null_words) and not case.is_real, sample[case.index].cells
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
        f"count_if({q.condition}), min(CASE WHEN {q.condition} THEN rn END), "
        f"arg_min(v{q.index}, CASE WHEN {q.condition} THEN rn END)"
        for q in questions
    )
    return f"SELECT {sums} FROM (SELECT row_number() OVER () AS rn, {inner} FROM {table.relation})"  # noqa: S608

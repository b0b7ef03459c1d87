"""What the engine does when DuckDB refuses, and how large files are buffered."""

from __future__ import annotations

import csv
import io

import duckdb
import pytest

from aircan.contract import Type
from aircan.engine import Engine
from aircan.ports import never
from aircan.text import normal
from tests.aircan.rig import loaded


class Refusing:
    """DuckDB, but its parallel reader refuses every file."""

    def __init__(self, connection):
        self.connection, self.asked = connection, []

    def execute(self, sql):
        self.asked.append(sql)
        if normal.PARALLEL in sql:
            raise duckdb.NotImplementedException("The Parallel CSV Reader currently does not support a full read")
        return self.connection.execute(sql)

    def close(self):
        self.connection.close()


def relation(path, longest=10):
    with open(path, "wb") as out:
        normal.begin(out, 2)
        normal.write(out, [("1", "a"), ("2", None)])
    return normal.relation(path, 2, longest)


def test_a_file_that_the_parallel_reader_refuses_is_read_by_one_thread(tmp_path):
    with Engine(tmp_path, stop=never()) as engine:
        engine._connection = refusing = Refusing(engine._connection)
        assert engine.rows(f"SELECT * FROM {relation(tmp_path / 'rows.csv')}") == [("1", "a"), ("2", None)]
        assert engine.row(f"SELECT count(*) FROM {relation(tmp_path / 'rows.csv')}") == (2,)
    assert [normal.PARALLEL in sql for sql in refusing.asked if "SELECT" in sql] == [True, False, False]


def test_another_refusal_is_told(tmp_path):
    class Never(Refusing):
        def execute(self, sql):
            raise duckdb.NotImplementedException("not this")

    with Engine(tmp_path, stop=never()) as engine:
        engine._connection = Never(engine._connection)
        with pytest.raises(duckdb.NotImplementedException):
            engine.run("SELECT 1")


@pytest.mark.parametrize(
    ("longest", "size", "buffer"),
    [
        (10, 1000, normal.BUFFER_BYTES),
        (10, 1_500_000_000, 1_500_000_000 // normal.BUFFERS),
        (10, 50_000_000_000, normal.STRETCH_BYTES),
        (3_000_000, 1000, 6_000_000),
        (4_320_300, 1000, 2 * normal.STRETCH_BYTES),
        (16 << 20, 1000, 5 * normal.STRETCH_BYTES),
    ],
)
def test_buffers_leave_no_short_rest(tmp_path, longest, size, buffer):
    path = tmp_path / "rows.csv"
    with open(path, "wb") as file:
        file.truncate(size)
    assert normal.relation(path, 1, longest).endswith(f"buffer_size={buffer}, {normal.PARALLEL})")


def pretenders(columns):
    """Return rows, longer than two buffers together, whose texts hold what looks like rows of the same table."""
    text = "\n".join([",".join('"1"' for _ in range(columns))] * 2000)
    return [
        [str(number), *[text] * (columns - 1)]
        for number in range(2 * normal.BUFFER_BYTES // len(text) // (columns - 1))
    ]


@pytest.mark.parametrize("types", [{}, {"h0": Type.TEXT}])
@pytest.mark.parametrize("columns", [2, 5])
def test_texts_that_look_like_rows_are_never_taken_for_rows(columns, types):
    """Buffers of DuckDB's reader begin inside them: its parallel reader failed here, or had read wrong rows."""
    rows = pretenders(columns)
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([[f"h{n}" for n in range(columns)], *rows])
    got, rejects, result = loaded(out.getvalue().encode(), types=types)
    assert (rejects, result["rows"]) == ([], len(rows))
    assert got == rows


def test_a_serial_copy_of_a_long_file_fits_into_little_memory(tmp_path):
    """With several threads DuckDB held the whole file to keep the order."""
    path, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    with open(path, "wb") as file:
        normal.begin(file, 2)
        file.writelines(b"%d,\n" % number for number in range(4_000_000))
    with Engine(tmp_path, stop=never(), memory_mb=64) as engine:
        serial = normal.relation(path, 2, 10).replace(normal.PARALLEL, normal.SERIAL)
        engine.run(f"COPY (SELECT * FROM {serial}) TO '{out}' (FORMAT csv, HEADER false)")
    with open(out, "rb") as file:
        assert all(int(line.rstrip(b",\n")) == number for number, line in enumerate(file))

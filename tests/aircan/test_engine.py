"""What the engine does when DuckDB refuses, and how large files are buffered."""

from __future__ import annotations

import duckdb
import pytest

from aircan.engine import Engine
from aircan.ports import never
from aircan.text import normal


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
    assert len(refusing.asked) == 2


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

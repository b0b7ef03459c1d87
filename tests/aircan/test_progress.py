"""How far a run is: places on the bar, what remains, and how far a file is read."""

from __future__ import annotations

import os
import threading

import pytest

from aircan import progress
from aircan.contract import Report
from aircan.ports import never
from aircan.reporting import Reporter
from aircan.status import Status


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_the_phases_follow_each_other_without_a_gap_and_end_below_the_full():
    places = list(progress.PLACES.values())
    assert places[0][0] == 0
    assert [end for _, end in places[:-1]] == [start for start, _ in places[1:]]
    assert all(start < end for start, end in places)
    assert places[-1][1] == 99


@pytest.mark.parametrize(("share", "expected"), [(-1, 15), (0, 15), (0.5, 30), (1, 45), (7, 45)])
def test_percent_stays_in_the_place_of_its_phase(share, expected):
    assert progress.percent("load", share) == expected


def test_a_phase_that_is_not_known_has_no_place():
    assert progress.percent("polish", 0.5) is None


@pytest.mark.parametrize(
    ("elapsed", "share", "slows", "expected"),
    [
        (10, 0.5, 1.0, 10),
        (10, 0.25, 1.0, 30),
        (10, 0.25, 1.2, 43),
        (100, 0.999, 1.0, 1),
        (1.9, 0.5, 1.0, None),
        (10, 0.029, 1.0, None),
        (10, 1.0, 1.0, None),
        (10, 0.0, 1.0, None),
    ],
)
def test_what_remains(elapsed, share, slows, expected):
    assert progress.remaining_s(elapsed, share, slows=slows) == expected


def test_a_reporter_says_phase_share_and_remaining_time():
    clock, told = Clock(), list[Report]()
    reporter = Reporter(told.append, clock)
    with reporter.task("load"):
        clock.now += 10
        reporter.progress(0.2, rows=20)
        clock.now += 10
        reporter.progress(0.1, rows=10)
    assert told[1].progress == {"phase": "load", "share": 0.2, "percent": 21, "eta_s": 40, "rows": 20}
    assert told[2].progress["percent"] == 21  # never back
    assert all(report.status is Status.RUNNING for report in told)


def test_a_new_task_forgets_the_remaining_time_of_the_one_before():
    clock, told = Clock(), list[Report]()
    reporter = Reporter(told.append, clock)
    with reporter.task("sniff"):
        clock.now += 10
        reporter.progress(0.5)
    with reporter.task("infer"):
        assert told[-1].progress == {"phase": "infer", "share": 0.0, "percent": 8, "eta_s": None}


class Read:
    """A file in a folder that is read piece by piece, with a stop that is asked after each."""

    def __init__(self, folder, size=1000):
        self.shares: list[float] = []
        self.clock = Clock()
        self.path = folder / "fetched"
        self.path.write_bytes(b"x" * size)
        self.stop = progress.Reading(never(), folder, self.shares.append, self.clock)

    def ask(self):
        self.clock.now += 1
        return self.stop.is_set()

    def through(self, path=None):
        with open(path or self.path, "rb", buffering=0) as file:
            while file.read(250):
                self.ask()


@pytest.fixture
def read(tmp_path):
    if not os.path.isdir("/proc/self/fdinfo"):
        pytest.skip("this system does not say how far a file is read")
    return Read(tmp_path)


def test_a_file_that_is_read_once_fills_half(read):
    read.through()
    assert read.shares == [0.125, 0.25, 0.375, 0.5]


def test_each_further_time_fills_half_of_what_is_left(read):
    for _ in range(3):
        read.through()
    assert read.shares == sorted(read.shares)
    assert read.shares[-1] == 0.875


def test_a_copy_that_is_read_is_another_time(read):
    read.through()
    copy = read.path.with_name("text.csv")
    copy.write_bytes(b"y" * 1000)
    read.through(copy)
    assert read.shares[-1] == 0.75


def test_a_step_back_as_readers_of_archives_take_is_no_step_back_on_the_bar(read):
    with open(read.path, "rb", buffering=0) as file:
        for position in (600, 200, 700):
            file.seek(position)
            read.ask()
    assert read.shares == [0.3, 0.3, 0.35]


def test_a_file_that_is_written_does_not_count(read, tmp_path):
    with open(tmp_path / "rows.csv", "wb", buffering=0) as file:
        file.write(b"z" * 100)
        read.ask()
    assert read.shares == []


def test_nothing_is_told_from_another_thread_or_too_often(read):
    with open(read.path, "rb", buffering=0) as file:
        file.read(100)
        read.stop.is_set()  # no time has passed
        thread = threading.Thread(target=read.ask)
        thread.start()
        thread.join()
    assert read.shares == []


def test_a_system_that_does_not_say_is_no_error(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(path)

    monkeypatch.setattr(progress.os, "listdir", refused)
    shares = list[float]()
    clock = Clock()
    stop = progress.Reading(never(), tmp_path, shares.append, clock)
    clock.now += 1
    assert not stop.is_set()
    assert shares == []


def test_what_is_really_asked_decides(tmp_path):
    event = threading.Event()
    stop = progress.Reading(event, tmp_path, lambda share: None)
    assert not stop.is_set()
    event.set()
    assert stop.is_set()

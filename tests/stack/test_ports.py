"""Choosing free ports and saying so."""

from __future__ import annotations

import socket

import pytest

from stack import ports, processes
from stack.say import StackError
from stack.state import State


@pytest.fixture
def taken():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_leads_to_the_next_free_one_and_is_said(taken: int, capsys):
    chosen = ports.choose("CKAN", taken)
    assert chosen > taken
    assert f"port {taken} is taken by another program: CKAN uses {chosen}" in capsys.readouterr().out


def test_a_free_port_is_taken_without_a_word(capsys):
    free = next(port for port in range(20_000, 30_000) if ports.is_free(port))  # of those that no client is given
    assert ports.choose("CKAN", free) == free
    assert capsys.readouterr().out == ""


def test_a_port_that_listens_on_all_addresses_is_taken():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        assert not ports.is_free(listener.getsockname()[1])


def test_without_any_free_port_it_says_so(monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda port: False)
    with pytest.raises(StackError, match="No free port for CKAN between 5000 and 5099"):
        ports.choose("CKAN", 5000)


def test_the_state_gives_each_service_a_port_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    state = State(tmp_path, shift=50)
    assert state.port("web", 5000) == 5050
    assert state.port("other", 5000) == 5051
    assert State(tmp_path, shift=50).port("web", 5000) == 5050


def test_a_running_service_keeps_its_port(tmp_path, taken, monkeypatch):
    state = State(tmp_path)
    state.section("ports")["web"] = taken
    monkeypatch.setattr(processes, "is_alive", lambda folder, name: True)
    assert state.port("web", 5000) == taken

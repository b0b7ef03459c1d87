"""What a stack remembers, who may read it, and what is written for CKAN."""

from __future__ import annotations

import configparser
import stat
import threading
from pathlib import Path

import pytest

from stack import ini, ports, postgres
from stack.site import CORE_PLUGINS, Site
from stack.state import State


@pytest.fixture
def state(tmp_path: Path, monkeypatch) -> State:
    monkeypatch.setattr(ports, "is_free", lambda port: True)
    return State(tmp_path)


def test_secrets_are_made_once_and_kept_from_others(state: State):
    secret = state.secret("database")
    assert State(state.folder).secret("database") == secret
    assert stat.S_IMODE((state.folder / "state.json").stat().st_mode) == 0o600


def test_two_sites_never_share_databases_redis_or_core(state: State):
    one, two = Site(state, "demo", "2.12.0"), Site(state, "demo", "2.11.6")
    assert not set(one.databases()) & set(two.databases())
    assert one.redis_number() != two.redis_number()
    assert one.slug == "demo_2_12_0"


def test_a_site_of_tests_takes_no_port(state: State):
    assert Site(state, "test", "2.12.0", plugins=CORE_PLUGINS).url == "http://test.ckan.net"
    assert list(state.section("ports")) == []


def test_ckan_ini_follows_a_changed_port(state: State):
    site = Site(state, "demo", "2.12.0")
    assert ini.ensure(site)
    assert not ini.ensure(site)
    state.section("ports")[site.web] = 5007
    assert ini.ensure(site)
    parsed = configparser.RawConfigParser()
    parsed.read(site.ini)
    assert parsed["app:main"]["ckan.site_url"] == "http://127.0.0.1:5007"


def test_ckan_ini_keeps_what_a_person_changed(state: State):
    site = Site(state, "demo", "2.12.0")
    ini.ensure(site)
    site.ini.write_text(site.ini.read_text().replace("debug = false", "debug = true"))
    assert not ini.ensure(site)
    assert "debug = true" in site.ini.read_text()


def test_ckan_ini_is_for_its_owner_alone(state: State):
    site = Site(state, "demo", "2.12.0")
    ini.ensure(site)
    assert stat.S_IMODE(site.ini.stat().st_mode) == 0o600


def test_a_lock_that_somebody_holds_is_seen(state: State):
    assert not state.is_locked("in-use")
    with state.lock("in-use", shared=True):
        assert state.is_locked("in-use")
    assert not state.is_locked("in-use")


def test_shared_locks_do_not_wait_for_each_other(state: State):
    done = threading.Event()

    def other() -> None:
        with state.lock("in-use", shared=True):
            done.set()

    with state.lock("in-use", shared=True):
        threading.Thread(target=other, daemon=True).start()
        assert done.wait(60)


def test_a_cluster_whose_passwords_are_gone_is_removed(state: State, tmp_path: Path):
    data = tmp_path / "cluster"
    data.mkdir()
    postgres._forget_foreign_cluster(state, data)
    assert not data.exists()


def test_our_own_cluster_stays(state: State, tmp_path: Path):
    data = tmp_path / "cluster"
    data.mkdir()
    state.secret("superuser")
    postgres._forget_foreign_cluster(state, data)
    assert data.exists()

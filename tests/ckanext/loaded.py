"""CKAN as the last test had it, kept for the next test that asks for the same.

CKAN's own fixtures load and unload all plugins for each test, and once more for each application: most of the
time of a test. Loading depends on the configuration and on nothing else that a test changes, so what was loaded
serves every test that begins with an equal configuration. It is given up as soon as anything else loads or
unloads a plugin, a test with another configuration included.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import authz, logic, model
from ckan.common import config
from ckan.plugins import core
from ckan.tests import helpers
from ckanext.datastore.backend import postgres
from sqlalchemy.orm import close_all_sessions


@dataclass
class Loaded:
    """What is loaded.

    Attributes:
        asked: the configuration before plugins were loaded.
        made: the configuration after that, and after the application was made if there is one.
        services: the plugins, by name.
        engine: CKAN's connections.
        app: the application, once a test wanted it.
        app_config: its own copy of the configuration.
    """

    asked: dict[str, Any]
    made: dict[str, Any] = field(default_factory=dict)
    services: dict[str, Any] = field(default_factory=dict)
    engine: Any = None
    app: Any = None
    app_config: dict[str, Any] = field(default_factory=dict)

    def stands(self) -> bool:
        """Tell whether CKAN still has these plugins, and no others."""
        now = core._PLUGINS_SERVICE
        return now.keys() == self.services.keys() and all(now[name] is self.services[name] for name in now)

    def seen(self) -> Loaded:
        """Note what is loaded now."""
        self.made, self.services = copy.deepcopy(dict(config)), dict(core._PLUGINS_SERVICE)
        self.engine = model.meta.engine
        return self


_kept: Loaded | None = None


def plugins() -> None:
    """Load the plugins that the configuration names and no others, or find them loaded."""
    global _kept
    if _kept and _kept.stands() and _kept.asked == dict(config):
        config.clear()
        config.update(copy.deepcopy(_kept.made))
        _forget(_kept.engine)
        return
    _kept, asked = None, copy.deepcopy(dict(config))
    core.load_all()
    _kept = Loaded(asked).seen()


def no_plugins() -> None:
    """Unload what an earlier test left, except what CKAN itself always has."""
    system = getattr(core, "find_system_plugins", list)()
    core.unload(*[name for name in reversed(core._PLUGINS) if name not in system])


def client() -> Any:
    """Return a client without cookies for the application of this configuration."""
    is_ours = _kept is not None and _kept.stands() and _kept.made == dict(config)
    if not is_ours:
        return helpers._get_test_app()
    if _kept.app is None:
        made = helpers._get_test_app()
        _kept.seen()
        _kept.app, _kept.app_config = made.app, dict(made.flask_app.config)
        return made
    found = helpers.CKANTestApp(_kept.app)
    found.flask_app.config.clear()
    found.flask_app.config.update(copy.copy(_kept.app_config))
    return found


@contextmanager
def same_connections() -> Iterator[None]:
    """Give CKAN back its pool of connections: each of its migrations leaves one that connects for each query."""
    engine = model.meta.engine
    yield
    if model.meta.engine is not engine:
        model.init_model(engine)


def empty_tables() -> None:
    """Delete the rows of all tables that CKAN knows, as its own reset does, with one statement for all."""
    close_all_sessions()
    if not model.repo.tables_created_and_initialised:
        with same_connections():
            model.repo.rebuild_db()
        return
    model.Session.remove()
    with model.meta.engine.begin() as connection:
        there = set(sa.inspect(connection).get_table_names()) - {"alembic_version"}
        known = [table for table in reversed(model.repo.metadata.sorted_tables) if table.name in there]
        connection.execute(sa.text(";".join(str(sa.delete(table)) for table in known)))


_EMPTY_DATASTORE = """
SET LOCAL lock_timeout = '60s';
DO $$ DECLARE statement text; BEGIN
FOR statement IN
    SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relname)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')
    AND relname NOT IN ('_table_metadata', '_table_stats')
    UNION ALL
    SELECT format('DROP FUNCTION %s CASCADE', oid::regprocedure) FROM pg_proc WHERE starts_with(proname, '_aircan_')
    UNION ALL
    SELECT 'DELETE FROM public._table_stats' WHERE to_regclass('public._table_stats') IS NOT NULL
LOOP EXECUTE statement; END LOOP; END $$
"""
"""Whoever holds one of the tables for more than a minute is a test that has not cleaned up, and is told so."""


def empty_datastore() -> None:
    """Drop what is in the DataStore, except what CKAN itself puts there.

    Rows of jobs go with CKAN's tables; what they left in the DataStore would be found by the next test that looks
    for orphans.
    """
    with postgres.get_write_engine().begin() as connection:
        connection.execute(sa.text(_EMPTY_DATASTORE))


def _forget(engine: Any) -> None:
    """Drop what a test may have changed behind the plugins: caches of functions, sessions, connections."""
    logic.clear_actions_cache()
    logic.clear_validators_cache()
    authz.clear_auth_functions_cache()
    model.Session.remove()
    if model.meta.engine is not engine:
        model.init_model(engine)
    engine.dispose()

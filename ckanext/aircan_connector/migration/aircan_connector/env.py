"""Alembic environment of the extension's own tables; CKAN calls it by `ckan db upgrade -p aircan_connector`."""

from __future__ import annotations

from alembic import context
from ckan.model.meta import metadata
from sqlalchemy import engine_from_config, pool

NAME = "aircan_connector"
OPTIONS = {
    "target_metadata": metadata,
    "version_table": f"{NAME}_alembic_version",
    # Only our own tables: CKAN's are none of this environment's business.
    "include_object": lambda obj, name, kind, reflected, other: kind != "table" or name.startswith(NAME),
}


def run_offline() -> None:
    """Print the SQL of the migrations instead of running them."""
    context.configure(url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()


def run_online() -> None:
    """Run the migrations on the database of the configuration."""
    section = context.config.get_section(context.config.config_ini_section)
    engine = engine_from_config(section, prefix="sqlalchemy.", poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, **OPTIONS)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    run_offline()
else:
    run_online()

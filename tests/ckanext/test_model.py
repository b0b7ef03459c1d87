"""The tables: what the migration makes equals the model, and lists stay fast with a million jobs."""

from __future__ import annotations

import json

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ckan import model as ckan_model

from ckanext.aircan_connector import model, settings

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("clean_db"),
]


def test_migration_and_model_agree():
    def ours(obj, name, kind, reflected, other):
        table = obj if kind == "table" else getattr(obj, "table", None)
        return table is not None and table.name.startswith("aircan_connector_") and "alembic" not in table.name

    declared = sa.MetaData()  # CKAN 2.10's own metadata is reflected anew by its test fixtures
    for table in (model.JOB, model.EVENT, settings.SETTING):
        table.to_metadata(declared)
    with ckan_model.meta.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": ours, "compare_type": True})
        assert compare_metadata(context, declared) == []


def many(connection, count: int) -> None:
    connection.execute(
        sa.text(
            """
            INSERT INTO aircan_connector_job
                (id, job_type, created, updated, dataset, resource, "user", status, info, factory, last_report)
            SELECT 'j' || n, 'LOAD', now() - n * interval '1 second', now(), 'd' || n % 500, 'r' || n % 2000,
                   'u' || n % 50, (ARRAY['DONE', 'DONE', 'DONE', 'FAILED', 'CANCELLED'])[1 + n % 5], '{}', 'local',
                   now()
            FROM generate_series(1, :count) n
            """
        ),
        {"count": count},
    )
    connection.execute(sa.text("ANALYZE aircan_connector_job"))


def nodes(plan: dict):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def plan_of(connection, statement) -> dict:
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    found = connection.execute(sa.text("EXPLAIN (FORMAT JSON) " + str(compiled).replace(":", "\\:"))).scalar()
    return (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "aircan_connector_job_created"),
        ({"dataset": "d7"}, "aircan_connector_job_dataset"),
        ({"resource": "r7"}, "aircan_connector_job_resource"),
        ({"user": "u7"}, "aircan_connector_job_user"),
        ({"status": "FAILED"}, "aircan_connector_job_status_created"),
    ],
)
def test_a_page_of_a_list_reads_an_index_in_order(filters, index):
    """Neither a sequential scan nor a sort: the cost does not grow with the table."""
    with ckan_model.meta.engine.connect() as connection:
        transaction = connection.begin()
        many(connection, 50_000)
        statement = model.list_statement(filters, order="created desc", limit=20, offset=0)
        plan = list(nodes(plan_of(connection, statement)))
        transaction.rollback()
    assert {node.get("Index Name") for node in plan} - {None} == {index}
    assert not {"Sort", "Seq Scan"} & {node["Node Type"] for node in plan}


def test_silent_jobs_are_found_by_the_index_of_active_ones():
    with ckan_model.meta.engine.connect() as connection:
        transaction = connection.begin()
        many(connection, 50_000)
        statement = sa.select(model.JOB.c.id).where(model.JOB.c.status.in_(["WAITING", "RUNNING"]))
        plan = list(nodes(plan_of(connection, statement)))
        transaction.rollback()
    assert "Seq Scan" not in {node["Node Type"] for node in plan}

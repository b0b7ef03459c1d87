from __future__ import annotations

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model
from ckan.cli.cli import ckan as ckan_cli

from ckanext.aircan_connector import jobs, settings

TABLES = {"aircan_connector_job", "aircan_connector_job_event", "aircan_connector_setting"}


def tables() -> set[str]:
    return {name for name in sa.inspect(ckan_model.meta.engine).get_table_names() if name in TABLES}


@pytest.fixture
def migrate(cli):
    def run(word: str, *args: str) -> None:
        result = cli.invoke(ckan_cli, ["db", word, "-p", "aircan_connector", *args])
        assert result.exit_code == 0, result.output

    yield run
    run("upgrade")


@pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector")
@pytest.mark.usefixtures("clean_db", "clean_queues")
class TestMigration:
    def test_up_and_down_from_empty(self, migrate):
        migrate("downgrade")
        assert tables() == set()
        migrate("upgrade")
        assert tables() == TABLES

    def test_up_and_down_with_rows(self, migrate, submit):
        submit()
        ckan_model.Session.remove()
        migrate("downgrade")
        assert tables() == set()
        migrate("upgrade")
        assert jobs.get("anything") is None

    def test_settings_are_a_step_of_their_own(self, migrate, submit):
        job = submit()
        settings.put("r1", {"delimiter": ";"}, None)
        ckan_model.Session.remove()
        migrate("downgrade", "-v", "aircan_0001")
        assert tables() == TABLES - {"aircan_connector_setting"}
        migrate("upgrade")
        assert (settings.get("r1")["params"], jobs.get(job["id"])["id"]) == ({}, job["id"])

    def test_up_again_changes_nothing(self, migrate, submit):
        job = submit()
        migrate("upgrade")
        assert jobs.get(job["id"])["id"] == job["id"]

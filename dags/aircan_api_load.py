"""The DAG aircan_api_load, for Airflow 2 and 3: a load into a CKAN that offers only its DataStore API.

By hand: a resource's id, and a link if not the resource's own file is meant. docs/airflow.md has the rest.
"""

from datetime import datetime, timezone

try:  # Airflow 3
    from airflow.sdk import Connection, Param, dag, task
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models import Connection, Param
    from airflow.utils.log.secrets_masker import mask_secret
try:  # from Airflow 3.2 on
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:
    from airflow.exceptions import AirflowFailException, AirflowSkipException

from aircan import apiload, staged

SINCE = datetime(2024, 1, 1, tzinfo=timezone.utc)
ASKED = {"resource_id": Param("", type="string"), "url": Param("", type="string"), "params": Param({}, type="object")}


@dag("aircan_api_load", schedule=None, start_date=SINCE, catchup=False, params=ASKED, tags=["aircan"])
def aircan_api_load():
    """Load a file into a table of CKAN's DataStore through its API."""

    @task(task_id="load")
    def load(dag_run=None):
        run = apiload.ApiRun.of(dag_run, staged.connection(Connection, apiload.connection_id()))
        mask_secret(run.secrets)
        return staged.step(apiload.load, run, fail=AirflowFailException, skip=AirflowSkipException)

    load()


aircan_api_load()

"""The DAG aircan_load, for Airflow 2 and 3. It needs `pip install "aircan[airflow]"`; docs/airflow.md has the rest."""

from datetime import datetime, timedelta, timezone

try:  # Airflow 3
    from airflow.sdk import DAG, Connection, get_current_context, task
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2
    from airflow.decorators import task
    from airflow.models import DAG, Connection
    from airflow.operators.python import get_current_context
    from airflow.utils.log.secrets_masker import mask_secret
try:  # from Airflow 3.2 on
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:
    from airflow.exceptions import AirflowFailException, AirflowSkipException

from aircan import staged

SINCE = datetime(2024, 1, 1, tzinfo=timezone.utc)
AGAIN = {"retries": 3, "retry_delay": timedelta(seconds=20), "retry_exponential_backoff": True}


def _step(function, *given):
    run = staged.Run.of(get_current_context()["dag_run"], staged.connection(Connection))
    mask_secret(run.secrets)
    return staged.step(function, run, *given, fail=AirflowFailException, skip=AirflowSkipException)


with DAG("aircan_load", schedule=None, start_date=SINCE, catchup=False, default_args=AGAIN, tags=["aircan"]) as dag:
    dag.doc_md = "Loads a file of CKAN into its DataStore. The order is the run's conf, as CKAN gives it."
    fetched = task(task_id="fetch")(lambda: _step(staged.fetch))()
    batches = task(task_id="convert")(lambda: _step(staged.convert))()
    loaded = task(task_id="load")(lambda batch: _step(staged.load, batch)).expand(batch=batches)
    published = task(task_id="publish")(lambda: _step(staged.publish))()
    fetched >> batches >> loaded >> published
    task(task_id="report", trigger_rule="all_done")(lambda done: _step(staged.report, done))(published)

"""The DAG aircan_doctor, for Airflow 2 and 3: started by `ckan aircan doctor`, it says what a worker sees."""

from datetime import datetime, timezone

try:  # Airflow 3
    from airflow.sdk import Connection, dag, get_current_context, task
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2
    from airflow.decorators import dag, task
    from airflow.models import Connection
    from airflow.operators.python import get_current_context
    from airflow.utils.log.secrets_masker import mask_secret
try:  # from Airflow 3.2 on
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:
    from airflow.exceptions import AirflowFailException, AirflowSkipException

from aircan import staged
from aircan.staged import doctor

SINCE = datetime(2024, 1, 1, tzinfo=timezone.utc)


def _check(function):
    run = staged.Run.of(get_current_context()["dag_run"], staged.connection(Connection))
    mask_secret(run.secrets)
    return staged.step(function, run, fail=AirflowFailException, skip=AirflowSkipException)


@dag("aircan_doctor", schedule=None, start_date=SINCE, catchup=False, tags=["aircan"])
def aircan_doctor():
    """Look whether this worker has the site's key, reaches the site, and has a store; three tasks side by side."""
    task(task_id="same_key", retries=0)(lambda: _check(doctor.same_key))()
    task(task_id="reach_ckan", retries=0)(lambda: _check(doctor.reach_ckan))()
    task(task_id="keep_files", retries=0)(lambda: _check(doctor.keep_files))()


aircan_doctor()

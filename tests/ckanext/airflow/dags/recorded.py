"""DAGs for the recordings: each does one thing that a factory must understand. Runs on Airflow 2 and 3."""

import time

try:
    from airflow.sdk import Param, dag, get_current_context, task
except ImportError:
    from airflow.decorators import dag, task
    from airflow.models.param import Param
    from airflow.operators.python import get_current_context

COPIES = 101
"""One more than Airflow shows in one answer."""


@dag(schedule=None)
def rec_good():
    @task
    def first():
        return 1

    @task
    def second(number):
        return number

    second(first())


@dag(schedule=None)
def rec_fails():
    @task
    def load():
        """Print what looks like a run's token, as a careless DAG would, and fail."""
        print("X-AirCan-Token: " + "5" * 64)  # noqa: T201
        raise ValueError("the file has no rows")

    @task
    def publish(loaded):
        return loaded

    publish(load())


@dag(schedule=None)
def rec_tries():
    @task(retries=1, retry_delay=2)
    def load():
        if get_current_context()["ti"].try_number == 1:
            raise ValueError("not yet")

    load()


@dag(schedule=None, max_active_tasks=16)
def rec_mapped():
    @task
    def load(number):
        return number

    load.expand(number=list(range(COPIES)))


@dag(schedule=None)
def rec_slow():
    @task
    def load():
        time.sleep(120)

    @task
    def publish(loaded):
        return loaded

    publish(load())


@dag(schedule=None, params={"job_type": Param("OTHER", enum=["OTHER"])})
def rec_params():
    @task
    def first():
        return 1

    first()


@dag(schedule=None, is_paused_upon_creation=True)
def rec_paused():
    @task
    def first():
        return 1

    first()


for made in (rec_good, rec_fails, rec_tries, rec_mapped, rec_slow, rec_params, rec_paused):
    made()

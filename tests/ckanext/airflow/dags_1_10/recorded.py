"""DAGs for the recordings of Airflow 1.10, which knows no `@dag` and no `@task`. Runs on Python 3.8."""

import time
from datetime import datetime

from airflow import DAG
from airflow.operators.python_operator import PythonOperator

SLOW_S = 15


def fail():
    raise ValueError("the file has no rows")


def made(dag_id, work, **rest):
    with DAG(dag_id, schedule_interval=None, start_date=datetime(2020, 1, 1), **rest) as dag:  # noqa: DTZ001
        load = PythonOperator(task_id="load", python_callable=work)
        load >> PythonOperator(task_id="publish", python_callable=lambda: None)
    return dag


rec_good = made("rec_good", lambda: None)
rec_fails = made("rec_fails", fail)
rec_slow = made("rec_slow", lambda: time.sleep(SLOW_S))
rec_paused = made("rec_paused", lambda: None, is_paused_upon_creation=True)

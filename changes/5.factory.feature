The factory `airflow`: runs are DagRuns of Apache Airflow with the job's id; states, tasks and the log of a failed task come to the run page, and
a run whose hand-over got no answer is handed over again.

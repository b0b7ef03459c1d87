The factory `airflow`: runs are DagRuns of Apache Airflow 3, 2 or 1.10 (also at Google Cloud Composer, Amazon MWAA and Astronomer) with the job's
id; states, tasks and the log of a failed task come to the run page, and a run whose hand-over got no answer is handed over again.
`ckan aircan doctor` looks at Airflow, its DAGs and, by the DAG `aircan_doctor`, at what a worker sees: same key, CKAN reachable, store usable.

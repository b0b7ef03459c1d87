`dags/aircan_load.py` carries runs out on Airflow 2 and 3, a large file on many workers at once. A worker needs `pip install "aircan[airflow]"`,
which brings nothing of CKAN, and a Connection with the key; its tasks hand files on through a folder, S3 or Google Cloud Storage.
A DAG of one's own stands on the same functions: docs/dags.md.

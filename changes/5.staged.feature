The tasks of a run can be spread over workers: they hand their files on through a store (a folder, S3 or Google Cloud Storage), and
`pip install "aircan[airflow]"` is all that a worker needs.

A CKAN that offers its DataStore API and nothing of ours can be loaded too, by the DAG `aircan_api_load`: the same reading and
typing, sent in batches; the old rows go only when all new ones are there.
The page of a run at another factory says what is seen of it there: its tasks with their states, tries and times, how long it waited, why it does not
begin; sysadmins get a link to its page there.
docs/airflow.md takes an operator to a run on Airflow: on a plain server, Google Cloud Composer, Amazon MWAA and Astronomer.

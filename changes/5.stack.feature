`make airflow` brings up a real Airflow 3 beside the demo's CKAN, loads a file of 336,776 rows through it and prints the two pages
of the run. The tests run against a real Airflow 3 and a real Airflow 2.

Editors can name a DAG in a submit only if the option `submit.dags` lists it; it would run as the site.

"""A private CKAN on one machine: PostgreSQL, Redis, Solr, CKAN and its workers, for the demo and for the tests.

Everything here runs before anything is installed, so it uses Python's standard library only and imports neither
`aircan` nor `ckanext`. `inside.py`, `wsgi.py` and `gunicorn.conf.py` are the exceptions: CKAN's own Python runs them.
"""

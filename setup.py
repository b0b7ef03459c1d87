"""Packaging lives in pyproject.toml; here is only what it cannot say: where sentences for translation are."""

from setuptools import setup

setup(
    message_extractors={
        "aircan": [("**.py", "python", None)],
        "ckanext": [
            ("**.py", "python", None),
            ("**/templates/**.html", "ckan", None),
        ],
    },
)

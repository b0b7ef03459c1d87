"""Packaging lives in pyproject.toml; here is only what it cannot say: where sentences for translation are.

After a sentence has changed (docs/developers.md):

    python setup.py extract_messages update_catalog
    (translate what is new in ckanext/aircan_connector/i18n/*/LC_MESSAGES/*.po)
    python setup.py compile_catalog
"""

from setuptools import setup

DOMAIN = "ckanext-aircan_connector"
I18N = "ckanext/aircan_connector/i18n"

setup(
    message_extractors={
        "aircan": [("**.py", "python", None)],
        "ckanext": [
            ("**.py", "python", None),
            ("**/templates/**.html", "ckan", None),
        ],
    },
    options={
        "extract_messages": {
            "input_paths": "aircan,ckanext",
            "output_file": f"{I18N}/{DOMAIN}.pot",
            "project": "AirCan",
            "copyright_holder": "the authors of AirCan",
            "omit_header": False,
            "no_location": True,
            "sort_output": True,
            "width": 110,
        },
        "update_catalog": {
            "domain": DOMAIN,
            "input_file": f"{I18N}/{DOMAIN}.pot",
            "output_dir": I18N,
            "no_fuzzy_matching": True,
            "ignore_obsolete": True,
            "width": 110,
        },
        "compile_catalog": {"domain": DOMAIN, "directory": I18N},
    },
)

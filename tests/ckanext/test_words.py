"""The sentences in the reader's language: here German, with its numbers."""

from __future__ import annotations

import pytest

from aircan import errors
from ckanext.aircan_connector import words

pytestmark = [pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector")]


@pytest.fixture(autouse=True)
def german(with_plugins, test_request_context):
    with test_request_context(environ_overrides={"CKAN_LANG": "de", "CKAN_LANG_IS_DEFAULT": False}):
        yield


def test_facts_are_shown_in_the_manner_of_the_language():
    told = words.error(errors.TooLarge(size_bytes=99, limit_bytes=10737418240).to_dict())
    assert told["sentence"] == "Die Datei ist größer als die Grenze von 10.737.418.240 Byte."
    assert told["advice"].startswith("Teilen Sie die Datei")


def test_english_inside_a_fact_is_known_again():
    error = errors.RowsRefused(rejected=2, rows=9, limit_percent="5", line=4211, first="14 cells instead of 19")
    assert "Zeile 4.211: 14 Zellen statt 19." in words.error(error.to_dict())["sentence"]


@pytest.mark.parametrize(
    ("text", "german_text"),
    [
        ("Submitted.", "Aufgenommen."),
        ("Handed over to the factory local.", "An die Fabrik local übergeben."),
        ("1234 rows in 2 parts.", "1.234 Zeilen in 2 Teilen."),
        ("Somebody else's line", "Somebody else's line"),
    ],
)
def test_lines_of_the_log_are_known_again(text, german_text):
    assert words.message(text) == german_text


def test_the_type_of_a_refused_value_is_named():
    told = {"code": "value", "facts": {"type": "numeric"}}
    assert words.by_code(words.REJECTS, told) == "Der Wert passt nicht zum Typ der Spalte: Zahl."

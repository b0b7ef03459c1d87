"""The translations: complete, in step with the sentences, and compiled."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

ROOT = Path(__file__).parents[2]
I18N = ROOT / "ckanext/aircan_connector/i18n"
DOMAIN = "ckanext-aircan_connector"
LANGUAGES = sorted(path.name for path in I18N.iterdir() if path.is_dir())
EXTRACTORS = [("**.py", "python"), ("**/templates/**.html", "ckan")]
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}|%%")


def catalog(path: Path, locale: str | None = None) -> Catalog:
    return read_po(io.BytesIO(path.read_bytes()), locale=locale)


def ids(messages: Catalog) -> set[str]:
    return {message.id if isinstance(message.id, str) else message.id[0] for message in messages if message.id}


def po(language: str) -> Catalog:
    return catalog(I18N / language / "LC_MESSAGES" / f"{DOMAIN}.po", language)


def forms(value) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def test_the_template_holds_every_sentence_of_the_code():
    found = set()
    for folder in ("aircan", "ckanext"):
        for _, _, message, _, _ in extract_from_dir(str(ROOT / folder), EXTRACTORS):
            found.add(forms(message)[0])
    assert ids(catalog(I18N / f"{DOMAIN}.pot")) == found - {""}


def test_there_is_a_second_language():
    assert "de" in LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_every_sentence_and_no_other(language):
    assert ids(po(language)) == ids(catalog(I18N / f"{DOMAIN}.pot"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_translation_is_empty_or_a_guess(language):
    messages = [message for message in po(language) if message.id]
    assert [m.id for m in messages if m.fuzzy or not all(forms(m.string))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_translations_have_the_placeholders_of_their_sentence(language):
    wrong = []
    for message in po(language):
        expected = set(PLACEHOLDER.findall(forms(message.id)[-1]))
        if message.id and any(set(PLACEHOLDER.findall(text)) != expected for text in forms(message.string)):
            wrong.append(message.id)
    assert wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_is_what_is_written(language):
    path = I18N / language / "LC_MESSAGES" / f"{DOMAIN}.mo"
    compiled = {forms(m.id)[0]: forms(m.string) for m in read_mo(io.BytesIO(path.read_bytes())) if m.id}
    assert compiled == {forms(m.id)[0]: forms(m.string) for m in po(language) if m.id}

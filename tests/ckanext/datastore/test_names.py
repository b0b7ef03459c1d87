"""Names of our objects, which PostgreSQL must not cut."""

from __future__ import annotations

import uuid

import pytest

from ckanext.aircan_connector.datastore import names

JOB = str(uuid.uuid4())


@pytest.mark.parametrize("name", [names.stage, names.parts, names.vector, names.retired])
def test_names_are_short_hidden_and_lead_back_to_the_job(name):
    made = name(JOB)
    assert made.startswith("_")
    assert len(made.encode()) <= names.MAX_BYTES
    assert names.job_of(made) == JOB


def test_temporary_names_are_short_for_as_many_as_there_can_be():
    assert len(names.temporary(JOB, "pkey", 1600)) <= names.MAX_BYTES


@pytest.mark.parametrize("name", ["_aircan_", "_aircan_notes", "aircan_" + "0" * 32, "_aircan_" + "g" * 32, "x"])
def test_other_names_are_not_ours(name):
    assert names.job_of(name) is None


def test_an_id_that_is_no_uuid_is_refused():
    with pytest.raises(ValueError, match="badly formed"):
        names.stage('x"; DROP TABLE y')


@pytest.mark.parametrize("length", [10, 36, 54, 57, 58, 63])
def test_key_and_sequence_are_named_as_postgresql_does(query, length):
    table = "ä" + "t" * (length - 2)
    query(f'CREATE TABLE "{table}" (_id serial PRIMARY KEY)')
    found = {
        name
        for (name,) in query(
            "SELECT c.relname FROM pg_class c WHERE c.relkind IN ('i', 'S') AND c.relname ~ 't_+(pkey|id_seq)$'"
        )
    }
    query(f'DROP TABLE "{table}"')
    assert {names.primary_key(table), names.sequence(table)} <= found

"""Loads through Airflow: what ends well ends as in CKAN itself, what ends badly says why."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from stack import airflow

from . import files
from .links import Links
from .rig import Rig, eventually


@pytest.fixture(scope="module")
def outside(rig: Rig, mixed: Path):
    """A private upload that Airflow has loaded: its job, and its table."""
    resource = rig.resource(mixed, private=True)
    job = rig.load(resource)
    assert job["status"] == "DONE", rig.story(job["id"])
    return job, rig.table(resource)


def test_a_private_upload_becomes_the_table_that_ckan_itself_makes(rig: Rig, outside: Any):
    job, (fields, rows) = outside
    assert job["factory_id"] == f"aircan_load/{job['id']}"
    assert len(rows) == 2999
    inside = rig.load(job["resource"], factory="local")
    assert inside["status"] == "DONE"
    assert rig.table(job["resource"]) == (fields, rows)
    for name in ("rows", "rejected", "fields", "bytes"):
        assert job["info"]["result"][name] == inside["info"]["result"][name], name
    assert [task["id"] for task in job["info"]["tasks"]] == [task["id"] for task in inside["info"]["tasks"]]
    assert {task["status"] for task in job["info"]["tasks"]} == {"DONE"}


def test_what_airflow_shows_of_a_run_is_kept_with_it(rig: Rig, outside: Any):
    job, _ = outside
    eventually(lambda: rig.job(job["id"])["info"]["factory"]["raw"] == "success", "CKAN saw the run's end")
    seen = rig.job(job["id"])["info"]["factory"]
    assert seen["queued"] <= seen["started"] <= seen["ended"]
    assert seen["url"].startswith(rig.airflow.url)
    assert {task["state"] for task in seen["tasks"]} == {"success"}
    assert {"fetch", "convert", "load", "publish", "report"} <= {task["id"] for task in seen["tasks"]}


def test_the_store_is_empty_after_a_run(rig: Rig, outside: Any):
    job, _ = outside
    eventually(lambda: not rig.stored(job["id"]), "the store was flushed")
    assert rig.hidden_tables(job["id"]) == []


@pytest.mark.only(3)
def test_a_large_file_is_loaded_in_many_parts(rig: Rig, large: Path):
    job = rig.load(rig.resource(large), params={"part_bytes": 250_000})
    assert job["status"] == "DONE", rig.story(job["id"])
    assert job["info"]["result"]["rows"] == files.LARGE_ROWS


def test_a_file_that_is_no_table_fails_with_the_sentence_that_ckan_itself_says(rig: Rig, folder: Path):
    resource = rig.resource(files.web_page(folder / "page.csv"))
    outside = rig.load(resource)
    inside = rig.load(resource, factory="local")
    assert outside["status"] == inside["status"] == "FAILED"
    assert outside["info"]["error"] == inside["info"]["error"]
    eventually(lambda: rig.run_state(outside["id"]) == "failed", "the run is red in Airflow, too")


@pytest.mark.only(3)
def test_a_key_that_comes_twice_is_found_in_the_file(rig: Rig, folder: Path):
    resource = rig.resource(files.key_twice(folder / "twice.csv"))
    params = {"write": "upsert", "key": ["id"]}
    outside = rig.load(resource, params=params)
    inside = rig.load(resource, factory="local", params=params)
    assert outside["status"] == inside["status"] == "FAILED"
    assert outside["info"]["error"] == inside["info"]["error"]


@pytest.mark.only(3)
def test_a_link_that_breaks_off_costs_a_retry_and_no_more(rig: Rig, links: Links):
    job = rig.load(rig.link(f"{links.url}/cut/1"))
    assert job["status"] == "DONE", rig.story(job["id"])
    assert [how for path, how in links.answers if path == "/cut/1"] == ["cut", "whole"]


def test_a_paused_dag_is_not_queued_but_said(rig: Rig, mixed: Path):
    job = rig.load(rig.resource(mixed), dag_id="paused")
    assert job["status"] == "FAILED"
    assert "paused" in job["info"]["error"]["message"]
    assert rig.run_state(job["id"], "paused") == ""


@pytest.mark.only(3)
def test_a_dag_that_is_not_there_is_said(rig: Rig, mixed: Path):
    job = rig.load(rig.resource(mixed), dag_id="nobody_wrote_it")
    assert job["status"] == "FAILED"
    assert "nobody_wrote_it" in job["info"]["error"]["message"]


@pytest.mark.only(3)
def test_a_dag_whose_file_breaks_is_said_with_its_error(rig: Rig, mixed: Path):
    rig.write_dag("breaks", tail="\nimport a_module_that_is_not_there\n")
    eventually(lambda: rig.knows("breaks", has_import_errors=True), "Airflow saw that the file is broken")
    job = rig.load(rig.resource(mixed), dag_id="breaks")
    assert job["status"] == "FAILED"
    assert "a_module_that_is_not_there" in json.dumps(job["info"]["error"])


@pytest.mark.only(3)
def test_a_wrong_password_is_said_and_never_shown(rig: Rig, mixed: Path):
    passwords = airflow.passwords_file(rig.airflow)
    passwords.write_text(json.dumps({airflow.USER: "another one"}))
    try:
        job = rig.load(rig.resource(mixed))
    finally:
        passwords.write_text(json.dumps({airflow.USER: rig.airflow.password}))
    assert job["status"] == "FAILED"
    assert job["info"]["error"]["blame"] == "CONFIG"
    assert rig.airflow.password not in json.dumps(job)


@pytest.mark.only(3)
def test_a_submit_while_airflow_is_away_is_taken_up_when_it_is_back(rig: Rig, mixed: Path):
    rig.stop()
    job_id = rig.submit(rig.resource(mixed))
    time.sleep(5)
    assert rig.job(job_id)["status"] == "WAITING"
    rig.start()
    assert rig.ended(job_id)["status"] == "DONE"

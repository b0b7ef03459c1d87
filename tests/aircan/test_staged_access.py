"""What a worker reads of its Airflow: the connection, the DagRun, and how a task ends there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aircan import staged
from aircan.errors import DatastoreUnavailable, FileEmpty, JobStopped, OrderRefused
from aircan.keys import run_token
from aircan.staged import Access, Run


def connection(host=None, port=None, schema=None, password="key", **extra):
    return SimpleNamespace(host=host, port=port, schema=schema, password=password, extra_dejson=extra)


class TestAccess:
    def test_the_key_is_the_password_and_the_previous_one_stands_in_the_extra(self):
        assert Access.of(connection(), {}).keys == ("key",)
        assert Access.of(connection(previous_key="old"), {}).keys == ("key", "old")
        assert Access.of(connection(password=None), {}).keys == ()

    def test_keys_are_shown_nowhere(self):
        access = Access.of(connection(previous_key="old-secret", password="new-secret"), {})
        assert "secret" not in repr(access)

    def test_the_connection_names_the_store_before_the_environment_does(self):
        environ = {"AIRCAN_STORE": "/from/environment"}
        assert Access.of(connection(), environ).store == "/from/environment"
        assert Access.of(connection(store="s3://b"), environ).store == "s3://b"
        assert Access.of(connection(), {}).store == ""

    @pytest.mark.parametrize("given", [["a.example.org", "127.0.0.1:8000"], "a.example.org 127.0.0.1:8000"])
    def test_hosts_are_a_list_or_words(self, given):
        assert Access.of(connection(allow_hosts=given), {}).allow_hosts == ("a.example.org", "127.0.0.1:8000")

    @pytest.mark.parametrize(
        ("conn", "good", "bad"),
        [
            (
                {"host": "https://a.org"},
                ["https://a.org", "https://a.org:443/", "https://A.org/ckan"],
                ["http://a.org"],
            ),
            ({"host": "a.org"}, ["https://a.org", "http://a.org"], ["https://b.org", "https://a.org.evil.org"]),
            ({"host": "a.org", "port": 5000}, ["http://a.org:5000"], ["http://a.org", "http://a.org:5001"]),
            ({"host": "a.org", "schema": "https"}, ["https://a.org"], ["http://a.org"]),
            ({"host": "http://a.org:5000"}, ["http://a.org:5000/"], ["http://a.org", "http://a.org@b.org:5000"]),
            ({"host": "https://a.org/data"}, ["https://a.org/data", "https://a.org/data/"], ["https://a.org/other"]),
            ({}, ["https://a.org", "http://127.0.0.1:5000"], []),
        ],
    )
    def test_the_host_is_the_one_ckan_that_is_served(self, conn, good, bad):
        access = Access.of(connection(**conn), {})
        for url in good:
            access.check(url)
        for url in bad:
            with pytest.raises(OrderRefused) as caught:
                access.check(url)
            assert caught.value.facts == {"field": "site_url"}

    @pytest.mark.parametrize("url", ["http://a.org:port", "http://a.org:99999"])
    def test_an_address_that_is_none_is_refused(self, url):
        with pytest.raises(OrderRefused):
            Access.of(connection(host="a.org"), {}).check(url)

    def test_airflow_2_and_3_are_asked_for_the_connection_by_their_own_names(self, monkeypatch):
        of_2 = SimpleNamespace(get_connection_from_secrets=lambda conn_id: f"2 {conn_id}")
        of_3 = SimpleNamespace(get=lambda conn_id: f"3 {conn_id}")
        monkeypatch.delenv("AIRCAN_CONNECTION", raising=False)
        assert [staged.connection(kind) for kind in (of_2, of_3)] == ["2 aircan_ckan", "3 aircan_ckan"]
        assert staged.connection(of_3, "other") == "3 other"
        monkeypatch.setenv("AIRCAN_CONNECTION", "mine")
        assert staged.connection(of_2) == "2 mine"

    def test_the_connection_may_have_another_id(self):
        assert staged.connection_id({}) == "aircan_ckan"
        assert staged.connection_id({"AIRCAN_CONNECTION": "other"}) == "other"


def test_a_run_is_read_from_a_dagrun_and_knows_what_is_to_be_masked():
    dag_run = SimpleNamespace(conf={"job_id": "j"}, dag_id="aircan_load", run_id="r")
    run = Run.of(dag_run, connection(previous_key="old"))
    assert (run.conf, run.dag_id, run.run_id) == ({"job_id": "j"}, "aircan_load", "r")
    assert run.secrets == ["key", "old", run_token("key", "j"), run_token("old", "j")]
    assert Run.of(SimpleNamespace(conf=None, dag_id="d", run_id="r"), connection()).conf == {}


class TestStep:
    class Fail(Exception):
        pass

    class Skip(Exception):
        pass

    def step(self, function, *given):
        return staged.step(function, None, *given, fail=self.Fail, skip=self.Skip)

    def raising(self, error):
        def function(run):
            raise error

        return function

    def test_what_is_returned_goes_through(self):
        assert self.step(lambda run, batch: {"rows": batch}, 3) == {"rows": 3}
        assert self.step(lambda run: [{"first": 0}]) == [{"first": 0}]

    def test_what_may_pass_is_left_to_be_tried_again(self):
        with pytest.raises(DatastoreUnavailable):
            self.step(self.raising(DatastoreUnavailable()))

    def test_what_will_not_pass_fails_at_once(self):
        with pytest.raises(self.Fail, match="The file is empty"):
            self.step(self.raising(FileEmpty()))

    def test_a_job_that_is_over_is_no_failure(self):
        with pytest.raises(self.Skip, match="the job is CANCELLED"):
            self.step(self.raising(JobStopped("the job is CANCELLED")))

    def test_a_report_of_a_failure_fails_the_run_of_the_factory(self):
        with pytest.raises(self.Fail, match="no rows"):
            self.step(lambda run: {"status": "FAILED", "message": "no rows"})
        assert self.step(lambda run: {"status": "DONE", "message": "x"})["status"] == "DONE"

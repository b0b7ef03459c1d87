"""`ckan aircan doctor` and Airflow: what it sees from here, and what a worker sees (recorded)."""

from __future__ import annotations

import uuid

import pytest
from ckan.cli.cli import ckan as ckan_cli

from aircan.staged import doctor as knock
from ckanext.aircan_connector import checks, factories
from ckanext.aircan_connector.factories.airflow import doctor

from .player import Answered
from .record import KEY, WORKERS_KEY, job_id

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.ckan_config("ckanext.aircan_connector.factory", "airflow"),
    pytest.mark.usefixtures("clean_db", "with_request_context"),
]

BOTH = pytest.mark.parametrize("version", ["3.3.2", "2.11.2"])
CKAN = Answered(200, body={"success": True, "result": {"ckan_version": "2.12.0"}})


@pytest.fixture
def examined(playing, monkeypatch):
    """Examine the Airflow of a scenario; return [(name, ok, message)]."""
    monkeypatch.setattr(doctor, "LOOK_S", 0)

    def look(version, scenario="doctor", *, wait_s=30, ckan=CKAN, faults=(), **given):
        monkeypatch.setattr(doctor.uuid, "uuid4", lambda: uuid.UUID(job_id(scenario)))
        player = playing(version, scenario, **given)
        for fault in faults:
            player.fault(*fault, times=99)
        if ckan:
            # CKAN's own address is not Airflow's; here one server plays both, but the order says what was recorded.
            monkeypatch.setattr(doctor, "_callback", lambda url, real=doctor._callback: real(player.url))
            player.fault("GET", "status_show$", ckan)
        return [(found.name, found.ok, found.message) for found in factories.get("airflow").examine(wait_s)]

    return look


def bad(found):
    return [message for _, ok, message in found if not ok]


@BOTH
def test_what_a_worker_sees_is_told_task_by_task(examined, version):
    """Here the keys are the same and the store works, but the worker cannot reach CKAN."""
    found = examined(version, key=WORKERS_KEY)
    assert ("worker", True, "A worker has the key of this site.") in found
    assert ("worker", True, "A worker can keep files in its store.") in found
    (message,) = bad(found)
    assert message.startswith("A worker says in the task reach_ckan: GatewayUnreachable: ")
    assert "could not reach CKAN at http://ckan.example" in message


@BOTH
def test_another_key_on_the_worker(examined, version):
    messages = " ".join(bad(examined(version, "doctor_key", key=KEY)))
    assert "in the task same_key: " in messages
    assert "the same key in CKAN and in the connection" in messages


@BOTH
def test_what_is_sent_to_the_worker_tells_no_key(playing, monkeypatch, version):
    monkeypatch.setattr(doctor, "LOOK_S", 0)
    monkeypatch.setattr(doctor.uuid, "uuid4", lambda: uuid.UUID(job_id("doctor")))
    player = playing(version, "doctor", key=WORKERS_KEY, previous_key=KEY)
    list(factories.get("airflow").examine(30))
    conf = next(item["body"]["conf"] for item in player.asked if item["path"].endswith("dagRuns"))
    assert set(conf) == {"site_url", "nonce", "proofs"}
    assert len(conf["proofs"]) == 2
    assert WORKERS_KEY not in str(conf)


@BOTH
def test_no_worker_is_asked_when_nobody_waits(examined, version):
    found = examined(version, wait_s=0)
    assert bad(found) == []
    assert "worker" not in {name for name, _, _ in found}
    assert ("dag", True, "The DAG rec_good is there and not paused.") in found
    assert any(message.startswith(f"Airflow {version} answers at") for _, _, message in found)


def test_a_worker_that_does_not_come(examined):
    queued = Answered(200, body={"state": "queued", "conf": {}})
    stopped = Answered(200, body={"state": "failed", "conf": {}})
    path = f"/dagRuns/{job_id('doctor')}$"
    found = examined("3.3.2", wait_s=0.05, faults=[("GET", path, queued), ("PATCH", path, stopped)])
    assert "No worker has finished a run of aircan_doctor within 0 seconds; the run is queued." in bad(found)[0]


def test_the_doctors_dag_is_not_there(examined):
    missing = Answered(404, body={"detail": "not found"})
    empty = Answered(200, body={"import_errors": [], "total_entries": 0})
    found = examined("3.3.2", faults=[("GET", "/dags/aircan_doctor$", missing), ("GET", "importErrors$", empty)])
    assert bad(found) == [
        "No worker can be asked what it sees. The factory airflow has no DAG aircan_doctor. "
        "Its operators must put the DAG there, or the run must name another one, then run again."
    ]


@pytest.mark.parametrize("given", [{"is_paused": True}, {"is_stale": True}])
def test_a_dag_that_would_not_run(examined, given):
    dag = {"dag_id": "rec_good", "is_paused": False, "is_stale": False, "has_import_errors": False, **given}
    found = examined("3.3.2", wait_s=0, faults=[("GET", "/dags/rec_good$", Answered(200, body=dag))])
    assert "rec_good" in bad(found)[0]


def test_files_of_ours_that_airflow_cannot_read(examined):
    errors = [
        {"filename": "dags/aircan_load.py", "stack_trace": "Traceback\nImportError: no aircan"},
        {"filename": "dags/another.py", "stack_trace": "ImportError: no pandas"},
    ]
    told = Answered(200, body={"import_errors": errors, "total_entries": 2})
    found = examined("3.3.2", wait_s=0, faults=[("GET", "importErrors$", told)])
    assert bad(found) == ["Airflow cannot read the file dags/aircan_load.py: ImportError: no aircan."]


@pytest.mark.parametrize(
    ("ckan", "words"),
    [
        (Answered(200, "text/html", "<html>sign in</html>"), "is not CKAN (status 200)"),
        (Answered(302, "text/html", ""), "is not CKAN (status 302)"),
        (Answered(503, "text/html", ""), "is not CKAN (status 503)"),
        (Answered(cut=True), "CKAN does not answer at"),
    ],
)
def test_the_address_of_ckan_is_tried_from_here(examined, ckan, words):
    assert words in bad(examined("3.3.2", wait_s=0, ckan=ckan))[0]


def test_part_of_airflow_that_is_unwell(examined):
    sick = Answered(200, body={"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}, "t": None})
    found = examined("3.3.2", wait_s=0, faults=[("GET", "monitor/health$", sick)])
    assert bad(found) == ["Airflow's scheduler is unhealthy."]


def test_what_stops_the_doctor_is_the_last_finding(examined):
    found = examined("3.3.2", faults=[("POST", "/auth/token$", Answered(401, body={"detail": "Invalid credentials"}))])
    assert "Invalid credentials" in found[-1][2]
    assert found[-1][1] is False


def test_no_key(options):
    options(url="http://127.0.0.1:1", key="")
    (found,) = factories.get("airflow").examine(0)
    assert "no key" in found.message


def test_airflow_is_examined_beside_the_sites_own_factory_once_it_has_an_address(options, monkeypatch, ckan_config):
    monkeypatch.setitem(ckan_config, "ckanext.aircan_connector.factory", "local")
    options(url="")
    assert not [found for found in checks.examined(0) if found.name == "airflow"]
    options(url="http://127.0.0.1:1")
    assert [found for found in checks.examined(0) if found.name == "airflow" and not found.ok]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("api", "v9", "experimental"),
        ("auth", "smile", "composer"),
        ("url", "airflow.example", "http://"),
        ("ckan_url", "ckan.example", "http://"),
        ("timeout_s", 0, "above 0"),
        ("key", "k" * 31, "32 characters"),
        ("previous_key", "k" * 31, "32 characters"),
    ],
)
def test_option_that_cannot_be_used_is_named(options, option, value, words):
    options(**{"url": "http://127.0.0.1:1", option: value})
    wrong = [found.message for found in checks.findings() if found.name == "options" and not found.ok]
    assert len(wrong) == 1
    assert words in wrong[0]


def test_key_of_just_enough_characters(options):
    options(url="http://127.0.0.1:1", key="k" * 32)
    assert [found.ok for found in checks.findings() if found.name == "options"] == [True]


def test_the_command(options, cli):
    options(url="http://127.0.0.1:1")
    result = cli.invoke(ckan_cli, ["aircan", "doctor", "--wait", "0"])
    assert result.exit_code == 1
    assert "BAD  airflow: The factory airflow gave no usable answer: the connection failed." in result.output


def test_the_gateway_answers_a_knock_as_the_worker_expects(make_app, options):
    """`aircan.staged.doctor.reach_ckan` knows the gateway by this answer."""
    options(url="http://127.0.0.1:1")
    path = f"/api/aircan/v1/jobs/{knock.NO_JOB}/columns"
    answer = make_app().get(path, headers={"X-AirCan-Token": "0" * 64}, status=403)
    assert answer.json["error"]["code"] == "token_refused"


def test_ckan_starts_without_asking_airflow(playing):
    player = playing("3.3.2", "health")
    checks.log_findings()
    assert player.asked == []


def test_ckan_says_at_its_start_that_there_is_no_key(options, monkeypatch, caplog):
    options(url="http://127.0.0.1:1", key="")
    monkeypatch.setattr(checks.log, "disabled", False)  # migrations of CKAN disable every logger
    checks.log_findings()
    assert "no key" in caplog.text

"""`ckan aircan doctor` with a real Airflow: what it says when all is well, and of a key that is another one there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .rig import Rig, eventually

ANOTHER = "another-key-" * 4


def doctor(ini: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit code of the command and what it found."""
    command = [str(Path(sys.executable).parent / "ckan"), "-c", str(ini), "aircan", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    start = done.stdout.find("[\n")
    assert start >= 0, done.stdout + done.stderr[-3000:]
    return done.returncode, json.loads(done.stdout[start:])


@pytest.fixture
def examined(rig: Rig) -> Rig:
    eventually(lambda: rig.knows("aircan_doctor"), "Airflow saw the doctor's DAG")
    return rig


def test_all_is_well_and_a_worker_has_said_so(examined: Rig):
    code, found = doctor(examined.site.ini)
    assert (code, [one for one in found if not one["ok"]]) == (0, [])
    said = {(one["name"], one["message"].partition(" at http")[0]) for one in found}
    wanted = {
        ("dag", "The DAG aircan_load is there and not paused."),
        ("callback", "CKAN answers"),
        ("worker", "A worker has the key of this site."),
        ("worker", "A worker reaches this CKAN"),
        ("worker", "A worker can keep files in its store."),
    }
    assert wanted - said == set()


@pytest.mark.only(3)
def test_a_key_that_is_another_one_on_the_worker_is_told_and_neither_is_shown(examined: Rig, tmp_path: Path):
    ini = tmp_path / "ckan.ini"
    ini.touch(mode=0o600)
    key = "ckanext.aircan_connector.airflow.key"
    ini.write_text(re.sub(rf"(?m)^{re.escape(key)} = .*$", f"{key} = {ANOTHER}", examined.site.ini.read_text()))
    code, found = doctor(ini)
    (bad,) = [one for one in found if not one["ok"]]
    assert (code, bad["name"]) == (1, "worker")
    assert "in the task same_key: " in bad["message"]
    assert "the same key in CKAN and in the connection" in bad["message"]
    assert [secret for secret in (ANOTHER, examined.airflow.key) if secret in json.dumps(found)] == []

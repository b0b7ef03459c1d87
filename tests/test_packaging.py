"""The wheel: everything is in it, and installed alone beside CKAN it carries a file the whole way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent
PACKAGES = ("aircan", "ckanext")
NOT_SHIPPED = {".pyc", ".po~"}

UPLOAD = """
import io, json, sys, uuid
from werkzeug.datastructures import FileStorage
from ckan.cli import CKANConfigLoader
from ckan.config.middleware import make_app
from ckan.plugins import toolkit

app = make_app(CKANConfigLoader(sys.argv[1]).get_config())._wsgi_app
import aircan, ckanext.aircan_connector
with app.test_request_context():
    name = "wheel-" + uuid.uuid4().hex[:8]
    context = lambda: {"ignore_auth": True, "user": "admin"}
    toolkit.get_action("organization_create")(context(), {"name": name})
    toolkit.get_action("package_create")(context(), {"name": name, "owner_org": name})
    upload = FileStorage(io.BytesIO("id,city\\n1,Ouro Preto\\n2,Łódź\\n3,Nagoya\\n".encode()), "cities.csv")
    resource = toolkit.get_action("resource_create")(
        context(), {"package_id": name, "url": "cities.csv", "format": "CSV", "upload": upload}
    )
page = app.test_client().get(f"/dataset/{name}/actions")
paths = [aircan.__file__, *ckanext.aircan_connector.__path__]
print(json.dumps({"resource": resource["id"], "page": page.status_code, "paths": paths}))
"""


def run(*command: str | Path, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build from a copy, so that nothing is left in the source tree and nothing old gets in."""
    source = tmp_path_factory.mktemp("source") / "project"
    skip = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(PROJECT, source, symlinks=True, ignore=skip)
    target = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", target, source)
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_file_of_both_packages_is_in_the_wheel(names: set[str]):
    """Templates, assets, translations, migrations, declarations: whatever lies in the folders."""
    there = {
        str(file.relative_to(PROJECT))
        for package in PACKAGES
        for file in (PROJECT / package).rglob("*")
        if file.is_file() and file.suffix not in NOT_SHIPPED
    }
    assert there - names == set()


@pytest.mark.parametrize(
    "part",
    [
        "ckanext/aircan_connector/config_declaration.yaml",
        "ckanext/aircan_connector/templates/",
        "ckanext/aircan_connector/assets/",
        "ckanext/aircan_connector/i18n/",
        "ckanext/aircan_connector/migration/aircan_connector/alembic.ini",
        "ckanext/aircan_connector/migration/aircan_connector/versions/",
        "aircan/py.typed",
    ],
)
def test_what_is_no_python_is_in_the_wheel(names: set[str], part: str):
    assert any(name.startswith(part) for name in names)


def test_nothing_else_is_in_the_wheel(names: set[str]):
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == set(PACKAGES)


def test_ckanext_stays_a_namespace_for_all(names: set[str]):
    assert "ckanext/__init__.py" not in names


def test_the_licence_is_in_the_wheel(wheel: Path, names: set[str]):
    (licence,) = [name for name in names if ".dist-info" in name and name.endswith("LICENSE")]
    with zipfile.ZipFile(wheel) as archive:
        assert b"GNU AFFERO GENERAL PUBLIC LICENSE" in archive.read(licence)


def _link(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory) -> Path:
    """Return a new environment with the packages of the tests' own, but the wheel in place of the source tree."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder)
    ours = Path(sysconfig.get_paths()["purelib"])
    (theirs,) = folder.glob("lib/python3*/site-packages")
    source_tree = shutil.ignore_patterns("__editable__*", "ckanext_aircan_connector*", "__pycache__")
    shutil.copytree(ours, theirs, copy_function=_link, ignore=source_tree, dirs_exist_ok=True)
    run(folder / "bin" / "python", "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel)
    return folder


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    """Return the live site's configuration under another site id: its worker leaves our queue alone."""
    if "CKAN_INI" not in os.environ:
        pytest.fail("CKAN_INI is not set: run `make test ONLY=project`, which brings a site up")
    file = tmp_path / "ckan.ini"
    text = Path(os.environ["CKAN_INI"]).read_text()
    lines = ["ckan.site_id = wheel" if line.startswith("ckan.site_id") else line for line in text.splitlines()]
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_installed_wheel_carries_an_upload_the_whole_way(clean: Path, ini: Path, tmp_path: Path):
    python = clean / "bin" / "python"
    ckan = [python, "-c", "from ckan.cli.cli import ckan; ckan()", "-c", ini]
    run(*ckan, "db", "upgrade", "-p", "aircan_connector", cwd=tmp_path)
    made = json.loads(run(python, "-c", UPLOAD, ini, cwd=tmp_path).splitlines()[-1])
    assert all(path.startswith(str(clean)) for path in made["paths"])
    assert made["page"] == 200
    run(*ckan, "jobs", "worker", "--burst", cwd=tmp_path)
    (job,) = json.loads(run(*ckan, "aircan", "list", "--json", "--resource", made["resource"], cwd=tmp_path))["results"]
    assert (job["status"], job["info"]["result"]["rows"]) == ("DONE", 3)
    assert (clean / "bin" / "aircan").exists()

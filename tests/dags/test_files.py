"""What every file in dags/ must be: short, without secrets or addresses, and in need of nothing but the library."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

FILES = sorted((Path(__file__).parents[2] / "dags").glob("*.py"))
ALLOWED = {"airflow", "aircan", "__future__"}


def named(path: Path) -> str:
    return path.name


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def test_there_are_files():
    assert "aircan_load.py" in [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_worker_needs_airflow_and_the_library_only(path: Path):
    assert imported(path) - ALLOWED - set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("path", FILES, ids=named)
def test_no_secret_and_no_address_stands_in_a_file(path: Path):
    text = path.read_text()
    assert not re.search(r"https?://|postgres|password|api_key|token\s*=", text, re.I)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_a_file_is_found_by_airflow_and_its_dag_has_its_name(path: Path):
    """Airflow looks for both words before it parses a file."""
    text = path.read_text().lower()
    assert "dag" in text
    assert "airflow" in text
    assert re.search(rf'(@dag|with dag)\("{path.stem}"', text)


@pytest.mark.parametrize("path", FILES, ids=named)
def test_what_is_secret_is_masked_before_anything_is_done(path: Path):
    text = path.read_text()
    assert 0 < text.index("mask_secret(run.secrets)") < text.index("staged.step(")

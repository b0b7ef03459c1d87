"""Docs and code, held together: every option, action, parameter, column and error is described."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from aircan.errors import leaves

ROOT = Path(__file__).parent.parent
EXT = ROOT / "ckanext" / "aircan_connector"
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


def rows(text: str) -> dict[str, str]:
    """Return first cell -> whole row of every table row whose first cell is code."""
    return {match[1]: match[0] for match in re.finditer(r"^\| `([^`]+)` \|.*$", text, re.M)}


def options() -> dict[str, dict]:
    declared = yaml.safe_load((EXT / "config_declaration.yaml").read_text())
    return {option["key"]: option for group in declared["groups"] for option in group["options"]}


def test_every_option_is_described_with_its_default():
    described = rows(REFERENCE)
    for key, option in options().items():
        default = option["default"]
        shown = str(default).lower() if isinstance(default, bool) else str(default)
        assert (f"| `{shown}` |" if shown else "| (empty) |") in described[key]


def test_no_option_is_described_that_does_not_exist():
    described = {name for name in rows(REFERENCE) if name.startswith("ckanext.aircan_connector.")}
    assert described == set(options())


def test_options_named_anywhere_exist():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        named = set(re.findall(r"ckanext\.aircan_connector\.[a-z_]+(?:\.[a-z_]+)*", page.read_text()))
        modules = {"ckanext.aircan_connector.plugin", "ckanext.aircan_connector.interfaces"}
        assert named - set(options()) - modules == set(), page.name


def actions() -> dict[str, ast.FunctionDef]:
    tree = ast.parse((EXT / "logic" / "action.py").read_text())
    return {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")}


def parameters_of_schemas() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for node in ast.parse((EXT / "logic" / "schema.py").read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("aircan_"):
            returned = next(n.value for n in ast.walk(node) if isinstance(n, ast.Return))
            found[node.name] = {key.value for key in returned.keys}
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(node.value, ast.Name) and node.value.id in found:
                    found[target.id] = found[node.value.id]
    return found


@pytest.mark.parametrize("name", sorted(actions()))
def test_every_action_and_parameter_is_described(name):
    section = re.search(rf"^### `{name}`.*?(?=^##)", REFERENCE, re.M | re.S)
    assert section, f"{name} is not in docs/reference.md"
    documented = set(re.findall(r":param (\w+):", ast.get_docstring(actions()[name]) or ""))
    in_schema = parameters_of_schemas()[name]
    assert in_schema <= documented | {"resource_id", "factory_id"}
    assert documented <= set(rows(section[0]))


def test_every_action_has_a_schema_and_an_auth_function():
    auth = {n.name for n in ast.parse((EXT / "logic" / "auth.py").read_text()).body if isinstance(n, ast.FunctionDef)}
    assert set(actions()) == set(parameters_of_schemas())
    assert set(actions()) <= auth


def test_every_column_is_described():
    tree = ast.parse((EXT / "model.py").read_text())
    described = rows(REFERENCE)
    for table in (n for n in tree.body if isinstance(n, ast.ClassDef)):
        for node in table.body:
            if isinstance(node, ast.Assign) and "Column" in ast.unparse(node.value):
                assert node.targets[0].id in described, f"{table.name}.{node.targets[0].id}"


@pytest.mark.parametrize("code", sorted(leaves()))
def test_every_error_is_described(code):
    cls = leaves()[code]
    row = rows(REFERENCE)[code]
    assert f"| {cls.blame.value} |" in row
    assert cls.sentence in row
    assert cls.advice in row


def sentences() -> set[str]:
    """Return the codes that have a sentence on the pages: of reasons, warnings and rejects."""
    found: set[str] = set()
    for node in ast.parse((EXT / "words.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and node.target.id in ("REASONS", "WARNINGS", "REJECTS"):
            found |= {key.value for key in node.value.keys}
    return found


@pytest.mark.parametrize("section", ["### Reasons", "## Rejects", "## Warnings"])
def test_every_code_of_a_run_has_a_sentence(section):
    text = (ROOT / "docs" / "formats.md").read_text().partition(f"\n{section}\n")[2]
    cells = re.findall(r"^\| (`[^|]+) \|", re.split(r"\n##+ ", text)[0], re.M)
    codes = {code for cell in cells for code in re.findall(r"`([a-z_]+)`", cell)}
    assert codes
    assert codes - sentences() == set()


def test_every_error_says_what_to_do():
    silent = [code for code, cls in leaves().items() if not cls.advice and code not in ("aircan", "job_stopped")]
    assert silent == []


def test_readme_is_short_and_names_what_a_newcomer_needs():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    for word in ("make demo", "make test", "ckan.plugins", "aircan_submit", "docs/operators.md"):
        assert word in text


def test_links_between_pages_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"

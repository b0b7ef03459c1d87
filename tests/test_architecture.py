"""The rules of the house, checked: who may import whom, who may write, how large things may get."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXT = "ckanext.aircan_connector"

LIBRARY = [
    ["aircan.status", "aircan.errors", "aircan.keys", "aircan.frictionless", "aircan.scratch"],
    ["aircan.contract", "aircan.ports"],
    ["aircan.params"],
    [
        *("aircan.apart", "aircan.engine", "aircan.progress", "aircan.reporting", "aircan.table", "aircan.text"),
        *("aircan.columns", "aircan.net", "aircan.sheets"),
    ],
    ["aircan.remote", "aircan.store"],
    ["aircan.formats"],
    ["aircan.steps"],
    ["aircan.recipes"],
    ["aircan.run", "aircan.staged"],
    ["aircan.folder", "aircan.sniffed", "aircan.ckanapi", "aircan.apisink", "aircan.apiload"],
    ["aircan.cli"],
]
CONNECTOR = [
    [f"{EXT}.{name}" for name in ("config", "model", "interfaces", "settings")],
    [f"{EXT}.{name}" for name in ("background", "datastore", "incoming", "ranges", "uploads")],
    [f"{EXT}.factories"],
    [f"{EXT}.{name}" for name in ("jobs", "orders", "checks", "words", "dictize", "tokens")],
    [f"{EXT}.{name}" for name in ("triggers", "reconcile")],
    [f"{EXT}.{name}" for name in ("gateway", "logic", "publishing", "runner", "working")],
    [f"{EXT}.{name}" for name in ("atfactory", "cli", "csrf", "downloads", "form", "found")],
    [f"{EXT}.{name}" for name in ("gateway_views", "helpers", "pages", "views")],
    [f"{EXT}.plugin"],
]
"""Rungs, lowest first: a module imports from its own rung or below."""

MAX_MODULE = 300
MAX_FUNCTION = 40
MAX_PLUGIN = 60
MAX_DAG = 40


def files() -> list[Path]:
    found = [*(ROOT / "aircan").rglob("*.py"), *(ROOT / "ckanext").rglob("*.py")]
    return sorted(path for path in found if "versions" not in path.parts)


def name_of(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def rung(name: str, ladder: list[list[str]]) -> int | None:
    for number, modules in enumerate(ladder):
        if any(name == module or name.startswith(module + ".") for module in modules):
            return number
    return None


@pytest.mark.parametrize("ladder", [LIBRARY, CONNECTOR], ids=["library", "connector"])
def test_imports_go_down(ladder):
    wrong = []
    for path in files():
        here = rung(name_of(path), ladder)
        for there in imports(path):
            level = rung(there, ladder)
            if here is not None and level is not None and level > here:
                wrong.append(f"{name_of(path)} imports {there}")
    assert wrong == []


@pytest.mark.parametrize("folder", ["formats", "factories"])
def test_a_menu_is_not_imported_sideways(folder):
    """One format or factory does not know another; what they share is in `base` or `text`."""
    wrong = []
    for path in files():
        package, _, leaf = name_of(path).rpartition(".")
        if not package.endswith(f".{folder}") or path.name == "__init__.py":
            continue
        for there in imports(path):
            module = there.removeprefix(package + ".").split(".")[0]
            if there.startswith(package + ".") and module not in (leaf, "base"):
                wrong.append(f"{name_of(path)} imports {there}")
    assert wrong == []


@pytest.mark.parametrize("forbidden", ["ckan", "ckanext", "ckantoolkit", "flask", "sqlalchemy", "airflow", "psycopg2"])
def test_the_library_is_pure(forbidden):
    for path in files():
        if name_of(path).split(".")[0] == "aircan":
            assert forbidden not in {there.split(".")[0] for there in imports(path)}, path


def test_every_module_has_its_place_on_the_ladder():
    known = {"aircan", EXT, "ckanext"}
    unknown = [
        name
        for name in map(name_of, files())
        if name not in known and ".migration." not in name and rung(name, LIBRARY + CONNECTOR) is None
    ]
    assert unknown == []


def calls(path: Path, names: set[str]) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            found |= {called} & names
    return found


def test_jobs_is_the_only_writer_of_a_status():
    writers = {name_of(path) for path in files() if calls(path, {"update_job", "insert_job"})}
    assert writers == {f"{EXT}.jobs"}


def test_config_is_the_only_reader_of_options():
    readers = {name_of(path) for path in files() if "tk.config" in path.read_text() and path.name != "config.py"}
    assert readers == set()


def test_only_the_datastore_folder_connects_to_the_datastore():
    for path in files():
        if "datastore" not in path.parts:
            assert "psycopg2" not in {there.split(".")[0] for there in imports(path)}, path


def test_no_module_state_is_read_from_config_at_import():
    """Options are read when they are needed; a call of `config.x()` at module level would read them at import."""
    for path in files():
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
                found = [n for n in ast.walk(node.value) if isinstance(n, ast.Call)]
                named = {ast.unparse(call.func) for call in found if not _inside_lambda(node.value, call)}
                assert not any(name.startswith("config.") for name in named), path


def _inside_lambda(tree: ast.AST, call: ast.Call) -> bool:
    return any(call in ast.walk(node.body) for node in ast.walk(tree) if isinstance(node, ast.Lambda))


def lines_of_code(path: Path) -> int:
    """Return the lines of a file without blank ones and docstrings, of which there may be as many as help."""
    text = path.read_text()
    told: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            told |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(1 for number, line in enumerate(text.splitlines(), 1) if line.strip() and number not in told)


def test_modules_stay_small():
    sizes = {name_of(path): lines_of_code(path) for path in files()}
    assert {name: size for name, size in sizes.items() if size > MAX_MODULE} == {}
    assert sizes[f"{EXT}.plugin"] <= MAX_PLUGIN


def test_functions_stay_small():
    """The docstring does not count: a long one is welcome."""
    long = {}
    for path in files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                size = (node.end_lineno or 0) - (body[0].lineno if body else node.lineno) + 1
                if size > MAX_FUNCTION:
                    long[f"{name_of(path)}.{node.name}"] = size
    assert long == {}


def test_dags_stay_short():
    long = [path.name for path in (ROOT / "dags").glob("*.py") if len(path.read_text().splitlines()) > MAX_DAG]
    assert long == []


def test_nothing_is_told_by_print_in_the_connector():
    for path in files():
        if EXT in name_of(path):
            assert not calls(path, {"print"}), path

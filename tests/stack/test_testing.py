"""Which tests a run of `make test` starts, and when it counts as passed."""

from __future__ import annotations

from stack import demo_data, packages, testing, venv


def names(version: str = venv.NEWEST, only: tuple[str, ...] = (), arguments: list[str] | None = None) -> list[str]:
    return [phase.name for phase, _ in testing._chosen(version, only, arguments or [])]


def test_the_newest_version_runs_everything_that_exists():
    assert {"ckan", "project"} <= set(names())


def test_an_older_version_runs_the_tests_of_ckan_only():
    assert names("2.10.11") == ["ckan"]


def test_a_named_test_chooses_its_phase_and_nothing_else():
    file = "tests/stack/test_testing.py::test_a_named_test_chooses_its_phase_and_nothing_else"
    (chosen,) = testing._chosen(venv.NEWEST, (), [file, "-q"])
    assert chosen[0].name == "project"
    assert chosen[1] == [file]


def test_a_phase_without_tests_fails_unless_tests_were_selected():
    assert testing._verdict({"library": 0, "ckan": 5}, has_selection=False) == 5
    assert testing._verdict({"library": 0, "ckan": 5}, has_selection=True) == 0
    assert testing._verdict({"library": 5, "ckan": 5}, has_selection=True) == 5
    assert testing._verdict({}, has_selection=False) == 5


def test_a_failed_phase_fails_the_run():
    assert testing._verdict({"library": 0, "ckan": 1, "project": 0}, has_selection=False) == 1


def test_only_missing_packages_are_named():
    assert packages.missing({"here": lambda: True, "away": lambda: False}) == ["away"]


def test_every_file_of_the_demo_has_its_own_name():
    files = [file for dataset in demo_data.DATASETS for file in dataset.files]
    assert len({file.file_name for file in files}) == len(files)
    assert any(file.is_broken for file in files)


def test_a_file_of_the_demo_is_made_once(tmp_path):
    (tmp_path / "source.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    file = demo_data.File("Torn", "torn.csv", "source.csv", demo_data._ragged, True)
    made = demo_data.make(file, tmp_path, tmp_path / "files")
    assert made.read_text() == "a,b\n1,2\n3,4\n5\n"
    made.write_text("kept")
    assert demo_data.make(file, tmp_path, tmp_path / "files").read_text() == "kept"

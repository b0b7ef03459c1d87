"""Memory of CKAN's web workers while ten clients send parts of a table at once, and how it depends on a part's size.

    python bench/gateway.py [PARTS]        default 4 parts of 2 MB from each client, and as many bytes in parts of 8 MB

The clients send plain text, then gzip. The memory is the most that a worker process has had since just before (VmHWM,
set back by the kernel); beside it stands what it had before, CKAN itself.
"""

from __future__ import annotations

import concurrent.futures
import gzip
import os
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from _common import ckan_site, make_dataset, peak_mb, seconds

CLIENTS = 10
SIZES_MB = (2, 8)
MORE_MB = 40
"""Most that the parts may add to a worker, whatever their size: threads, buffers, and what the allocator keeps."""


def web_workers() -> list[int]:
    """Return the ids of the processes that serve the site's requests: the children of who listens at its address."""
    address = urlsplit(os.environ["CKAN_URL"]).netloc
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_ours = f"--bind={address}".encode() in (folder / "cmdline").read_bytes().split(b"\0")
            children = (folder / "task" / folder.name / "children").read_text().split()
        except OSError:
            continue
        if is_ours and children:
            return [int(child) for child in children]
    raise RuntimeError(f"nobody serves {address}")


def made_part(size_mb: int) -> tuple[int, bytes]:
    """Return (rows, COPY text) of about this size."""
    rows, text, size = 0, [], 0
    while size < size_mb << 20:
        rows += 1
        line = (
            f'{rows},{rows * 7 % 100003 / 100:.2f},"Name {rows * 31 % 50021}",2024-05-{rows % 28 + 1:02},"some words"\n'
        )
        text.append(line)
        size += len(line)
    return rows, "".join(text).encode()


class Job:
    """A job of a new resource, seen from a worker outside."""

    def __init__(self) -> None:
        import ckantoolkit as tk

        from aircan.keys import run_token
        from ckanext.aircan_connector import factories, jobs

        dataset = make_dataset()["id"]
        site = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
        given = {"package_id": dataset, "url": "http://127.0.0.1/none"}
        resource = tk.get_action("resource_create")({"user": site, "ignore_auth": True}, given)["id"]
        self.job = jobs.submit(resource=resource, dataset=dataset, user=None, name="bench", mark="bench")
        jobs.handed_over(self.job["id"], "bench")
        self._token = run_token(factories.get("local").keys()[0], self.job["id"])

    def ask(self, method: str, door: str, body: bytes = b"", **headers: str) -> bytes:
        """Send a request to one of the job's doors. Raises for an answer that is an error."""
        address = f"{os.environ['CKAN_URL']}/api/aircan/v1/jobs/{self.job['id']}{door}"
        told = {"X-AirCan-Token": self._token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        request = urllib.request.Request(address, body or None, told, method=method)
        with urllib.request.urlopen(request, timeout=300) as answer:
            return bytes(answer.read())

    def begin(self) -> None:
        """Declare the table."""
        names = (("amount", "numeric"), ("name", "text"), ("day", "date"), ("note", "text"))
        told = ", ".join(f'{{"id": "{name}", "label": "{name}", "type": "{kind}"}}' for name, kind in names)
        self.ask("PUT", "/stage", f'{{"fields": [{told}]}}'.encode(), Content_Type="application/json")

    def end(self) -> None:
        """Drop the table and close the job."""
        from ckanext.aircan_connector import jobs

        self.ask("DELETE", "/stage")
        jobs.cancel(self.job["id"], "The benchmark is over.")


def measure(job: Job, size_mb: int, parts: int, *, packed: bool) -> float:
    """Send the parts from all clients at once, print, and return what the largest worker had on top, in MB."""
    rows, data = made_part(size_mb)
    headers = {"X_AirCan_Rows": str(rows), "Content_Type": "text/csv"}
    if packed:
        data, headers["Content_Encoding"] = gzip.compress(data, 1), "gzip"
    job.begin()
    workers = web_workers()
    for pid in workers:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = {pid: peak_mb(pid) for pid in workers}

    def client(first: int) -> None:
        for number in range(first, first + parts):
            job.ask("PUT", f"/parts/{number}", data, **headers)

    def all_clients() -> None:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(client, range(0, CLIENTS * parts, parts)))

    took = seconds(all_clients)
    after = {pid: peak_mb(pid) for pid in workers}
    assert set(web_workers()) == set(workers), "a worker was replaced meanwhile"
    more = max(after[pid] - before[pid] for pid in workers)
    count = CLIENTS * parts
    print(
        f"{CLIENTS} clients, {count} parts of {size_mb} MB, {'gzip' if packed else 'plain'}:"
        f" {count * rows / took:.0f} rows/s; {len(workers)} web workers, before {max(before.values()):.0f} MB,"
        f" peak {max(after.values()):.0f} MB, {more:.0f} MB more (at most {MORE_MB})",
        flush=True,
    )
    return more


def main(arguments: list[str]) -> None:
    """Measure each size, plain and packed."""
    parts = int(arguments[0]) if arguments else 4
    with ckan_site():
        job = Job()
        try:
            measure(job, 1, 1, packed=False)  # so that what each worker makes once is made
            found = {size: measure(job, size, max(parts * 2 // size, 1), packed=False) for size in SIZES_MB}
            measure(job, SIZES_MB[0], parts, packed=True)
        finally:
            job.end()
    small, large = (found[size] for size in SIZES_MB)
    print(f"parts of {SIZES_MB[1]} MB against {SIZES_MB[0]} MB: {large - small:+.0f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])

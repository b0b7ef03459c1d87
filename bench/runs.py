"""The run list with 1,000,000 jobs in the table against the same page with 100."""

from __future__ import annotations

import statistics
import sys

import sqlalchemy as sa
from _common import ckan_site, make_dataset, median_ms, seconds

JOBS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
ROUNDS = 30

FILL = """
INSERT INTO aircan_connector_job
    (id, job_type, created, updated, dataset, resource, "user", status, info, factory, last_report)
SELECT 'bench-' || n, 'LOAD', now() - n * interval '1 second', now(),
       CASE WHEN n <= 100 THEN :dataset ELSE 'd' || n % 5000 END, 'r' || n % 20000, 'u' || n % 50,
       (ARRAY['DONE', 'DONE', 'DONE', 'FAILED', 'CANCELLED'])[1 + n % 5],
       '{"name": "a.csv", "result": {"rows": 100, "rejected": 0}}', 'local', now()
FROM generate_series(CAST(:first AS int), CAST(:last AS int)) n
"""


def main() -> None:
    """Time the dataset's page and the list of everything, small and large."""
    with ckan_site() as app:
        import ckantoolkit as tk
        from ckan import model

        site = tk.get_action("get_site_user")({"ignore_auth": True}, {})
        context = {"user": site["name"], "ignore_auth": True}
        dataset = make_dataset()
        client = app.test_client()

        def fill(first: int, last: int) -> None:
            with model.meta.engine.begin() as connection:
                connection.execute(sa.text(FILL), {"dataset": dataset["id"], "first": first, "last": last})
                connection.execute(sa.text("ANALYZE aircan_connector_job"))

        def page() -> None:
            assert client.get(f"/dataset/{dataset['name']}/actions").status_code == 200

        def everything() -> None:
            tk.get_action("aircan_job_list")(dict(context), {})

        def measure(function: object) -> float:
            return statistics.median(seconds(function) for _ in range(ROUNDS))

        with model.meta.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM aircan_connector_job WHERE id LIKE 'bench-%'"))
        fill(1, 100)
        page()
        small = {"page of a dataset": measure(page), "list of everything": measure(everything)}
        fill(101, JOBS)
        large = {"page of a dataset": measure(page), "list of everything": measure(everything)}
        with model.meta.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM aircan_connector_job WHERE id LIKE 'bench-%'"))
    for name, before in small.items():
        after = large[name]
        print(
            f"runs: {name}: {median_ms([before]):.1f} ms with 100 jobs, {median_ms([after]):.1f} ms with {JOBS:,}:"
            f" {after / before:.2f}x"
        )


if __name__ == "__main__":
    main()

"""What the hook adds to `resource_create`: saves with and without the plugin, alternating, in one process.

The runs are queued where no worker takes them: what is measured is the save, not a load beside it on
the same cores. Aim: at most 5 ms at the median of 200 saves each.
"""

from __future__ import annotations

import sys
import uuid

from _common import ckan_site, make_dataset, median_ms, seconds

QUEUE = "bench-that-nobody-serves"
SAVES = int(sys.argv[1]) if len(sys.argv) > 1 else 200


def main() -> None:
    """Save, unload the plugin, save, load it, ... and print the medians."""
    with ckan_site():
        import ckantoolkit as tk
        from ckan import model, plugins
        from ckan.lib import jobs as ckan_jobs

        from ckanext.aircan_connector import triggers

        tk.config["ckanext.aircan_connector.queue"] = QUEUE
        site = tk.get_action("get_site_user")({"ignore_auth": True}, {})

        def act(action: str, **data: object) -> dict:
            return tk.get_action(action)({"user": site["name"], "ignore_auth": True}, data)

        def save(dataset: str) -> None:
            act("resource_create", package_id=dataset, url=f"http://example.org/{uuid.uuid4()}.csv", format="CSV")
            model.Session.remove()

        with_plugin: list[float] = []
        without: list[float] = []
        for number in range(SAVES):
            tk.config["ckanext.aircan_connector.queue"] = QUEUE
            datasets = [make_dataset()["id"] for _ in range(2)]
            turns = [(True, with_plugin), (False, without)]
            for is_loaded, times in turns if number % 2 else turns[::-1]:
                dataset = datasets.pop()
                if plugins.plugin_loaded("aircan_connector") != is_loaded:
                    (plugins.load if is_loaded else plugins.unload)("aircan_connector")
                    save(dataset)  # CKAN fills its caches of actions and validators anew
                times.append(seconds(lambda dataset=dataset: save(dataset)))
                triggers.forget(dataset=dataset)
        ckan_jobs.get_queue(QUEUE).empty()
    plain, ours = median_ms(without), median_ms(with_plugin)
    print(f"hook: resource_create {plain:.1f} ms without, {ours:.1f} ms with the plugin at the median of {SAVES}")
    print(f"hook: adds {ours - plain:.1f} ms, {ours / plain:.3f} of the time without (aim: at most 5 ms)")


if __name__ == "__main__":
    main()

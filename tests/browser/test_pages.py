"""What people do: upload, watch, read an error, mend the file, run again, cancel. All without reloading a page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .conftest import Endless, Site

LONG_MS = 120_000
"""Longest wait for a run of a small file; the background worker may be busy with another one."""

WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}

TITLE = ".aircan-title [data-aircan-status]"


def upload(page: Page, dataset: str, file: Path) -> None:
    """Add a resource by CKAN's own form."""
    page.goto(f"/dataset/{dataset}/resource/new")
    page.set_input_files("input[type=file][name=upload]", file)
    page.fill("input[name=name]", file.name)
    page.locator("button[name=save][value='go-metadata'], button[name=save][value='again']").first.wait_for()
    page.click("button[name=save][value='go-metadata'], button[name=save][value='go-dataset-complete']")
    page.wait_for_url(re.compile(rf"/dataset/{dataset}(/resource/[-0-9a-f]+)?$"))


def replace(page: Page, dataset: str, resource: str, file: Path) -> None:
    """Give a resource a new file by CKAN's own form."""
    page.goto(f"/dataset/{dataset}/resource/{resource}/edit")
    page.locator(".btn-remove-url:visible, button:has-text('Remove'):visible").first.click()
    page.set_input_files("input[type=file][name=upload]", file)
    page.click("button[name=save][type=submit]:not(.btn-danger)")
    page.wait_for_url(re.compile(rf"/resource/{resource}$"))


def link(page: Page, site: Site, dataset: str, endless: Endless) -> None:
    """Add the endless link, and wait until its run is at work."""
    site.action("resource_create", package_id=dataset, url=endless.url, format="CSV", name="endless")
    open_run(page, site, dataset)
    expect(page.locator(TITLE)).to_have_attribute("data-aircan-status", "RUNNING", timeout=LONG_MS)


def newest(site: Site, dataset: str) -> dict[str, Any]:
    return site.action("aircan_job_list", dataset=dataset)["results"][0]


def open_run(page: Page, site: Site, dataset: str) -> None:
    """Go from the dataset's page by its badge to the newest run, and mark the page so that a reload is noticed."""
    page.goto(f"/dataset/{dataset}")
    page.locator(".aircan-badge").first.click()
    page.wait_for_url(re.compile(r"/actions/runs/"))
    page.evaluate("window.notReloaded = true")


def ends_as(page: Page, status: str) -> None:
    """Wait until the page shows a final status, without having been reloaded."""
    expect(page.locator(TITLE)).to_have_attribute("data-aircan-status", status, timeout=LONG_MS)
    assert page.evaluate("window.notReloaded === true")


def barriers(page: Page, part: str = ".primary") -> list[str]:
    found = Axe().run(page, part, WCAG).response["violations"]
    return [f"{v['id']}: {[n['html'][:120] for n in v['nodes']]}" for v in found]


def test_an_upload_is_watched_until_its_table_stands(page, site, dataset, other_dataset, large, endless):
    """Its run waits for another one until its page is open."""
    link(page, site, other_dataset, endless)
    upload(page, dataset, large)
    open_run(page, site, dataset)
    expect(page.locator(TITLE)).to_have_attribute("data-aircan-status", "WAITING")
    endless.enough.set()
    ends_as(page, "DONE")
    expect(page.locator("[data-aircan-end]")).to_contain_text("has ended: DONE")
    for seen in ("Rows in the table", "150,000", "Every value is a number.", "Submitted."):
        expect(page.locator(".primary")).to_contain_text(seen)
    assert barriers(page) == []
    page.get_by_role("link", name="Open the file's page").click()
    expect(page.locator(".aircan-line")).to_contain_text("150,000 rows")
    preview = page.frame_locator(".resource-view iframe").locator("body")
    expect(preview).to_contain_text("text of the row 7", timeout=LONG_MS)


def test_a_broken_file_is_explained_mended_and_run_again(page, site, dataset, good, broken):
    upload(page, dataset, good)
    open_run(page, site, dataset)
    ends_as(page, "DONE")
    resource = newest(site, dataset)["resource"]
    replace(page, dataset, resource, broken)
    open_run(page, site, dataset)
    ends_as(page, "FAILED")
    box = page.locator(".aircan-error").first
    expect(box).to_contain_text("100 of 100 rows do not fit the table, first in line 2")
    expect(box).to_contain_text("Correct the rows listed below and upload the file again.")
    expect(box).to_contain_text("The table still shows the 100 rows of")
    expect(page.locator(".primary")).to_contain_text("2 cells, but the header has 3.")
    assert barriers(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the refused rows").click()
    assert "001,Town 1" in Path(download.value.path()).read_text()
    page.goto(f"/dataset/{dataset}")
    expect(page.locator(".nav-tabs, .nav-pills").first).to_contain_text("1 failed")
    replace(page, dataset, resource, good)
    open_run(page, site, dataset)
    ends_as(page, "DONE")
    again = page.url
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: url != again)
    page.evaluate("window.notReloaded = true")
    ends_as(page, "DONE")
    expect(page.locator(".primary")).to_contain_text("another try of an earlier run")


def test_a_long_run_is_cancelled(page, site, dataset, endless):
    link(page, site, dataset, endless)
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(TITLE)).to_have_attribute("data-aircan-status", "CANCELLED")
    expect(page.locator(".primary")).to_contain_text("There is no table of this file yet.")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()
    assert barriers(page) == []


def test_the_list_shows_every_run_and_starts_one(page, site, dataset, good):
    page.goto(f"/dataset/{dataset}/actions")
    expect(page.locator(".primary")).to_contain_text("Nothing has run yet.")
    upload(page, dataset, good)
    page.goto(f"/dataset/{dataset}/actions")
    page.evaluate("window.notReloaded = true")
    first = page.locator(".aircan-runs tbody tr").first.locator("[data-aircan-status]")
    expect(first).to_have_attribute("data-aircan-status", "DONE", timeout=LONG_MS)
    assert page.evaluate("window.notReloaded === true")
    page.get_by_role("button", name="Run").click()
    page.wait_for_url(re.compile(r"/actions/runs/"))
    page.evaluate("window.notReloaded = true")
    ends_as(page, "DONE")
    page.get_by_role("link", name="All runs of this dataset").click()
    expect(page.locator(".aircan-runs tbody tr")).to_have_count(2)
    page.select_option("#aircan-status", "FAILED")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator(".primary")).to_contain_text("No run matches this filter.")
    page.get_by_role("link", name="Show all").click()
    expect(page.locator(".aircan-runs tbody tr")).to_have_count(2)
    assert barriers(page) == []


def test_a_reader_sees_that_it_is_done_and_no_button(page, stranger, site, dataset, good):
    upload(page, dataset, good)
    open_run(page, site, dataset)
    ends_as(page, "DONE")
    stranger.goto(page.url)
    expect(stranger.locator(TITLE)).to_have_attribute("data-aircan-status", "DONE")
    expect(stranger.locator(".primary form")).to_have_count(0)
    expect(stranger.locator(".aircan-log")).to_have_count(0)
    assert barriers(stranger) == []


def test_a_page_that_loses_touch_says_so_and_finds_back(page, site, dataset, good):
    upload(page, dataset, good)
    url = f"/dataset/{dataset}/actions/runs/{newest(site, dataset)['id']}"
    page.route(re.compile(r"/live"), lambda route: route.abort())
    html = re.sub(r'data-aircan-state="\w+"', 'data-aircan-state="active"', page.request.get(url).text())
    page.route(re.compile(rf"{url}$"), lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(url)
    expect(page.locator("[data-aircan-lost]")).to_contain_text("lost touch")
    assert barriers(page) == []
    page.unroute(re.compile(r"/live"))
    page.evaluate("window.notReloaded = true")
    ends_as(page, "DONE")
    expect(page.locator("[data-aircan-lost]")).to_be_hidden()


def test_without_javascript_the_same_page_has_a_link_to_refresh(plain, page, site, dataset, endless):
    link(page, site, dataset, endless)
    job = newest(site, dataset)
    plain.goto(f"/dataset/{dataset}/actions/runs/{job['id']}")
    expect(plain.get_by_role("link", name="Refresh")).to_be_visible()
    expect(plain.locator(TITLE)).to_have_count(1)
    site.action("aircan_job_cancel", id=job["id"])
    plain.get_by_role("link", name="Refresh").click()
    expect(plain.locator(TITLE)).to_have_attribute("data-aircan-status", "CANCELLED")


@pytest.mark.parametrize("width", [360, 1200])
def test_the_keyboard_reaches_everything_and_narrow_screens_do_not_scroll_sideways(page, site, dataset, good, width):
    upload(page, dataset, good)
    open_run(page, site, dataset)
    ends_as(page, "DONE")
    page.set_viewport_size({"width": width, "height": 800})
    address = page.url
    for path in (f"/dataset/{dataset}/actions", address):
        page.goto(path)
        assert page.evaluate("(p => p.scrollWidth - p.clientWidth)(document.querySelector('.primary'))") <= 0
    page.locator("#aircan-retry").focus()
    assert page.evaluate("document.activeElement.id") == "aircan-retry"
    page.keyboard.press("Tab")
    assert "Open the file" in page.evaluate("document.activeElement.textContent")


def test_a_file_is_read_otherwise_by_its_settings_and_so_is_the_next(page, site, dataset, tmp_path):
    """Two rows of names, of which the first is no header by itself: said once, kept with the file."""
    file = tmp_path / "survey.csv"
    file.write_text("place,place,count\ntown,country,people\n" + "".join(f"T{n},AT,{n}\n" for n in range(20)))
    upload(page, dataset, file)
    open_run(page, site, dataset)
    ends_as(page, "DONE")
    page.get_by_role("link", name="Settings of this file").click()
    page.get_by_label("Lines to skip at the top").fill("two")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".alert-danger")).to_contain_text("This must be a whole number, 0 or more.")
    assert barriers(page) == []
    page.get_by_label("Lines to skip at the top").fill("1")
    page.get_by_role("button", name="Save and load again").click()
    page.wait_for_url(re.compile("/actions/runs/"))
    page.evaluate("window.notReloaded = true")
    ends_as(page, "DONE")
    expect(page.locator(".aircan-found")).to_contain_text("It is set for this file.")
    expect(page.locator("[data-aircan-part=columns]")).to_contain_text("country")
    assert barriers(page) == []
    replace(page, dataset, newest(site, dataset)["resource"], file)
    open_run(page, site, dataset)
    ends_as(page, "DONE")
    assert newest(site, dataset)["info"]["params"] == {"skip_lines": 1}
    expect(page.locator("[data-aircan-part=columns]")).to_contain_text("country")


def test_a_run_is_tried_again_from_the_list(page, site, dataset, broken):
    upload(page, dataset, broken)
    open_run(page, site, dataset)
    ends_as(page, "FAILED")
    page.goto(f"/dataset/{dataset}/actions")
    assert barriers(page) == []
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(re.compile("/actions/runs/"))
    expect(page.locator(".primary")).to_contain_text("another try of an earlier run")

"""The whole way: a save, the queue, a worker, the table."""

from __future__ import annotations

import contextlib
import http.server
import io
import os
import threading

import pytest
from ckan import plugins as p
from ckan.lib import uploader
from ckan.tests import factories as ckan_factories
from ckan.tests import helpers
from werkzeug.datastructures import FileStorage

from aircan import scratch
from aircan.contract import Report
from aircan.keys import run_token
from aircan.status import Status
from ckanext.aircan_connector import background, config, factories, interfaces, jobs, model, runner, working
from ckanext.aircan_connector.datastore import janitor, publish, watch
from ckanext.aircan_connector.interfaces import IAircan
from ckanext.aircan_connector.working import Sink

from .conftest import row_of, soon

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore datatables_view aircan_connector"),
    pytest.mark.ckan_config("ckan.views.default_views", "datatables_view"),
    pytest.mark.usefixtures("clean_db", "clean_index", "clean_queues", "with_request_context"),
]

CSV = b"id,name,day\n1,Ana,2024-05-13\n2,Ben,2024-05-14\n3,Cleo,2024-05-31\n"


def newest(resource):
    with model.begin() as connection:
        return model.newest_job(connection, resource, "LOAD")


def search(resource, **data):
    return helpers.call_action("datastore_search", resource_id=resource, **data)


def left_behind(job_id):
    return [orphan for orphan in janitor.orphans([]) if orphan.job_id == job_id]


def replace(resource, data, name="a.csv"):
    file = FileStorage(io.BytesIO(data), name)
    helpers.call_action("resource_update", id=resource, url=name, format="CSV", upload=file)


@pytest.fixture
def loaded(upload, queue):
    """A resource whose file is loaded."""
    resource = upload(ckan_factories.Dataset()["id"], CSV)["id"]
    queue()
    return resource


def test_upload_to_table(loaded):
    job = newest(loaded)
    assert (job["status"], job["info"]["message"]) == ("DONE", job["info"]["message"])
    result = job["info"]["result"]
    assert (result["rows"], result["rejected"]) == (3, 0)
    assert [(t["id"], t["status"]) for t in job["info"]["tasks"]] == [
        (name, "DONE") for name in ("fetch", "sniff", "infer", "load", "publish")
    ]
    found = search(loaded, sort="_id")
    assert found["total"] == 3
    assert [record["name"] for record in found["records"]] == ["Ana", "Ben", "Cleo"]
    assert [field["type"] for field in found["fields"]][1:] == ["numeric", "text", "date"]
    assert search(loaded, q="cleo")["total"] == 1


def test_ckan_knows_of_the_table(loaded):
    shown = helpers.call_action("resource_show", id=loaded)
    views = helpers.call_action("resource_view_list", id=loaded)
    assert shown["datastore_active"] is True
    assert "datatables_view" in [view["view_type"] for view in views]


@pytest.mark.parametrize("when", ["searchable", "rows"])
def test_ckan_shows_the_table_while_the_rest_is_still_done(upload, queue, monkeypatch, when):
    seen, told, build, show = [], threading.Event(), publish.index_live, Sink.visible

    def look(self):
        show(self)
        shown = helpers.call_action("resource_show", id=self.resource_id)
        views = helpers.call_action("resource_view_list", id=self.resource_id)
        seen.append((shown["datastore_active"], len(views), search(self.resource_id)["total"]))
        told.set()

    def build_later(*args, **kwargs):
        assert told.wait(60)
        return build(*args, **kwargs)

    monkeypatch.setattr(Sink, "visible", look)
    monkeypatch.setattr(publish, "index_live", build_later)
    resource = upload(ckan_factories.Dataset()["id"], CSV)["id"]
    helpers.call_action("aircan_settings_update", resource=resource, params={"publish": when})
    queue()
    assert seen == [(True, 1, 3)]
    assert newest(resource)["status"] == "DONE"
    assert search(resource, q="cleo")["total"] == 1


def test_one_upload_is_one_job(loaded):
    with model.begin() as connection:
        assert model.list_jobs(connection, {}, order="created desc", limit=5, offset=0)[0] == 1


def test_new_file_replaces_the_rows(loaded, queue):
    replace(loaded, b"id,name\n7,Dora\n")
    queue()
    assert [record["name"] for record in search(loaded)["records"]] == ["Dora"]


def test_broken_file_leaves_the_old_rows(loaded, queue):
    replace(loaded, b"<!DOCTYPE html><html><body>Please sign in</body></html>")
    queue()
    job = newest(loaded)
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "file_is_html")
    assert search(loaded)["total"] == 3
    assert not left_behind(job["id"])


def test_a_load_works_in_the_sites_folder_and_removes_what_a_killed_one_left_there(
    loaded, queue, monkeypatch, tmp_path
):
    monkeypatch.setattr(config, "load_folder", lambda: str(tmp_path))
    left, seen, work = tmp_path / (scratch.PREFIX + "left"), [], runner.run
    left.mkdir()
    (left / scratch.LOCK).touch()
    (left / "fetched").write_bytes(CSV)
    os.utime(left, (0, 0))

    def look(order, **kwargs):
        seen.extend(tmp_path.iterdir())
        return work(order, **kwargs)

    monkeypatch.setattr(runner, "run", look)
    replace(loaded, CSV)
    queue()
    assert newest(loaded)["status"] == "DONE"
    assert [(path.parent, path.name.startswith(scratch.PREFIX)) for path in seen] == [(tmp_path, True)]
    assert seen[0] != left
    assert list(tmp_path.iterdir()) == []


def test_ragged_rows_are_kept_with_the_run(loaded, queue):
    rows = b"".join(b"%d,x\n" % n for n in range(100))
    replace(loaded, b"id,name\n" + rows + b"1,2,3\n")
    queue()
    job = newest(loaded)
    assert (job["info"]["result"]["rows"], job["info"]["result"]["rejected"]) == (100, 1)
    (event,) = helpers.call_action("aircan_job_events", id=job["id"], rejects=True)
    (reject,) = event["data"]["rejects"]
    assert (reject["line"], reject["text"].strip()) == (102, "1,2,3")


def test_too_many_ragged_rows_fail_the_run(loaded, queue):
    replace(loaded, b"id,name\n1,a\n1,2,3\n")
    queue()
    job = newest(loaded)
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "rows_refused")
    assert job["info"]["error"]["line"] == 3
    assert search(loaded)["total"] == 3


def test_type_of_the_data_dictionary_wins(loaded, queue):
    fields = [{"id": "id", "type": "numeric", "info": {"type_override": "text", "label": "Number"}}]
    helpers.call_action("datastore_create", resource_id=loaded, force=True, fields=fields)
    replace(loaded, CSV)
    queue()
    field = search(loaded)["fields"][1]
    assert (field["type"], field["info"]["label"]) == ("text", "Number")


def test_private_upload(upload, queue):
    organisation = ckan_factories.Organization()
    dataset = ckan_factories.Dataset(owner_org=organisation["id"], private=True)
    resource = upload(dataset["id"], CSV)["id"]
    queue()
    assert newest(resource)["status"] == "DONE"


def test_upload_that_vanished(upload, queue):
    dataset = ckan_factories.Dataset()
    resource = upload(dataset["id"], CSV)
    stored = uploader.get_resource_uploader(dict(resource))
    storage = getattr(stored, "storage", None)
    path = stored.get_path(resource["id"])
    if storage is not None and hasattr(storage, "stream"):
        import file_keeper

        storage.remove(file_keeper.FileData(path))
    else:
        os.remove(path)
    queue()
    job = newest(resource["id"])
    assert (job["status"], job["info"]["error"]["code"]) == ("FAILED", "source_missing")


@pytest.fixture
def web():
    """A web server on loopback with /a.csv and /slow.csv."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if "missing" not in self.path else 404)
            self.end_headers()
            if "slow" in self.path:
                self.wfile.write(b"a,b\n")
                with contextlib.suppress(OSError):
                    while not finish.wait(0.01):
                        self.wfile.write(b"1,2\n" * 100)
            else:
                self.wfile.write(CSV)

        def log_message(self, *args):
            """Say nothing."""

    finish = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    finish.set()
    server.shutdown()


def link(url):
    dataset = ckan_factories.Dataset(resources=[{"url": url, "format": "CSV"}])
    return dataset["resources"][0]["id"]


@pytest.mark.ckan_config("ckanext.aircan_connector.link.allowed_hosts", "127.0.0.1")
def test_link_to_table(web, queue):
    resource = link(f"{web}/a.csv")
    queue()
    assert newest(resource)["status"] == "DONE"
    assert search(resource)["total"] == 3


def test_link_into_the_own_network_is_refused(web, queue):
    resource = link(f"{web}/a.csv")
    queue()
    job = newest(resource)
    assert job["info"]["error"]["code"] == "private_address"
    assert "127.0.0.1" in job["info"]["error"]["message"]


@pytest.mark.ckan_config("ckanext.aircan_connector.link.allowed_hosts", "127.0.0.1")
def test_link_that_is_missing(web, queue):
    resource = link(f"{web}/missing.csv")
    queue()
    error = newest(resource)["info"]["error"]
    assert (error["code"], error["facts"]["http_status"]) == ("link_refused", 404)


def in_thread(function, *args):
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


@pytest.mark.ckan_config("ckanext.aircan_connector.link.allowed_hosts", "127.0.0.1")
def test_cancel_stops_a_run(web, app, monkeypatch):
    monkeypatch.setattr(working, "WATCH_S", 0.1)
    job = newest(link(f"{web}/slow.csv"))

    def work():
        with app.flask_app.test_request_context():
            runner.hand_over(job["id"])

    worker = in_thread(work)
    soon(lambda: row_of(job["id"])["status"] == "RUNNING")
    jobs.cancel(job["id"], "Cancelled.")
    worker.join(60)
    assert not worker.is_alive()
    assert row_of(job["id"])["status"] == "CANCELLED"
    assert not left_behind(job["id"])


@pytest.mark.ckan_config("ckanext.aircan_connector.link.allowed_hosts", "127.0.0.1")
@pytest.mark.ckan_config("ckanext.aircan_connector.load.time_limit_s", 1)
def test_run_over_its_time_limit_fails(web, monkeypatch):
    monkeypatch.setattr(working, "WATCH_S", 0.1)
    job = newest(link(f"{web}/slow.csv"))
    runner.hand_over(job["id"])
    row = row_of(job["id"])
    assert (row["status"], row["info"]["error"]["code"]) == ("FAILED", "took_too_long")


def test_hand_over_twice_runs_once(upload):
    job = newest(upload(ckan_factories.Dataset()["id"], CSV)["id"])
    runner.hand_over(job["id"])
    first = row_of(job["id"])
    runner.hand_over(job["id"])
    assert row_of(job["id"]) == first


def test_cancelled_job_is_not_carried_out(upload, queue):
    job = newest(upload(ckan_factories.Dataset()["id"], CSV)["id"])
    jobs.cancel(job["id"], "Cancelled.")
    queue()
    assert row_of(job["id"])["status"] == "CANCELLED"
    assert row_of(job["id"])["started"] is None


def test_job_that_waited_is_taken_up_when_the_other_ends(upload, queue):
    resource = upload(ckan_factories.Dataset()["id"], CSV)["id"]
    queue()
    first = helpers.call_action("aircan_submit", resource=resource)
    jobs.handed_over(first["id"], "elsewhere")
    jobs.report(first["id"], Report(Status.RUNNING))
    second = helpers.call_action("aircan_submit", resource=resource)
    queue()
    assert row_of(second["id"])["status"] == "WAITING"
    jobs.report(first["id"], Report(Status.DONE))
    queue()
    assert row_of(second["id"])["status"] == "DONE"


def test_nothing_secret_in_the_queue_the_row_or_the_log(upload, queue, caplog):
    caplog.set_level("DEBUG")
    job = newest(upload(ckan_factories.Dataset()["id"], CSV)["id"])
    connection = background._connect()
    queued = b"".join(connection.dump(key) or b"" for key in connection.keys("*"))
    queue()
    key = factories.get("local").keys()[0]
    everything = queued.decode("latin-1") + caplog.text + str(row_of(job["id"]))
    for secret in (key, run_token(key, job["id"]), config.datastore_write_url()):
        assert secret not in everything


class Extension(p.SingletonPlugin):
    """Answers of another extension, set by each test."""

    p.implements(IAircan, inherit=True)
    answers: dict = {}
    seen: list = []

    def _answer(self, name, default):
        answer = self.answers.get(name, default)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def aircan_may_load(self, resource, dataset):
        self.seen.append(("may_load", resource["id"], dataset["id"]))
        return self._answer("may_load", True)

    def aircan_change_order(self, order):
        return {**order, **self._answer("change_order", {})}

    def aircan_before_publish(self, table):
        self.seen.append(("before_publish", table["rows"], [f["id"] for f in table["fields"]]))
        return self._answer("before_publish", None)

    def aircan_after_final(self, job):
        self.seen.append(("after_final", job["id"], job["status"]))
        self._answer("after_final", None)


@pytest.fixture
def extension(monkeypatch):
    Extension.answers, Extension.seen = {}, []
    plugin = Extension()
    services = [plugin]
    monkeypatch.setattr(interfaces, "PluginImplementations", lambda interface: services)
    return plugin


class TestOtherExtensions:
    def test_are_asked_and_told(self, extension, upload, queue):
        resource = upload(ckan_factories.Dataset()["id"], CSV)
        queue()
        job = newest(resource["id"])
        assert ("may_load", resource["id"], resource["package_id"]) in extension.seen
        assert ("before_publish", 3, ["id", "name", "day"]) in extension.seen
        assert ("after_final", job["id"], "DONE") in extension.seen

    def test_may_refuse_a_load(self, extension, upload):
        extension.answers = {"may_load": False}
        assert newest(upload(ckan_factories.Dataset()["id"], CSV)["id"]) is None

    def test_may_change_an_order(self, extension, upload, queue):
        extension.answers = {"change_order": {"params": {"delimiter": ";"}}}
        resource = upload(ckan_factories.Dataset()["id"], b"a;b\n1,5;2\n")["id"]
        queue()
        assert [f["id"] for f in search(resource)["fields"]][1:] == ["a", "b"]

    def test_may_not_change_whose_order_it_is(self, extension, upload, queue):
        extension.answers = {"change_order": {"job_id": "another"}}
        resource = upload(ckan_factories.Dataset()["id"], CSV)["id"]
        queue()
        assert newest(resource)["status"] == "DONE"

    def test_may_veto_the_table_with_a_sentence(self, extension, upload, queue):
        extension.answers = {"before_publish": "Names of persons are not published here."}
        resource = upload(ckan_factories.Dataset()["id"], CSV)["id"]
        queue()
        error = newest(resource)["info"]["error"]
        assert error["code"] == "publish_vetoed"
        assert "Names of persons" in error["message"]

    @pytest.mark.parametrize("name", ["may_load", "change_order", "before_publish", "after_final"])
    def test_an_exception_breaks_nothing(self, extension, upload, queue, name):
        extension.answers = {name: RuntimeError("a defect of theirs")}
        resource = upload(ckan_factories.Dataset()["id"], CSV)["id"]
        queue()
        assert newest(resource)["status"] == "DONE"


def test_a_run_says_how_far_it_is_up_to_the_index(upload, queue, monkeypatch):
    """Every report of the run, and of the watcher beside it: a bar that never goes back and is never full too early."""
    told = []

    def report(job_id, said):
        if said.progress:
            told.append(said.progress)
        return really(job_id, said)

    really = jobs.report
    monkeypatch.setattr(jobs, "report", report)
    monkeypatch.setattr(working, "WATCH_S", 0.03)
    monkeypatch.setattr(watch, "SETTLED_S", 0.03)  # else a quick machine has built the index before anybody looks
    rows = "".join(f"{n},town {n % 5000} {n * 7919 % 100003:x}\n" for n in range(60_000))
    resource = upload(ckan_factories.Dataset()["id"], ("id,name\n" + rows).encode())["id"]
    queue()
    assert newest(resource)["status"] == "DONE"
    percents = [progress["percent"] for progress in told]
    assert percents == sorted(percents)
    assert percents[-1] <= 99
    phases = list(dict.fromkeys(progress["phase"] for progress in told))
    assert phases == ["fetch", "sniff", "infer", "load", "publish", "index"]
    assert any(0 < progress["share"] < 1 for progress in told if progress["phase"] == "index")
    events = helpers.call_action("aircan_job_events", id=newest(resource)["id"])
    assert not [event for event in events if "late" in event["message"]]

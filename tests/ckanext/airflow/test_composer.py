"""Google Cloud Composer, through google-auth's own classes: only Google's token endpoint is ours."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

import google.auth
import pytest
from google.auth import credentials as google_credentials
from google.auth import exceptions

from aircan.errors import FactoryMisconfigured, SignInRefused
from ckanext.aircan_connector import factories
from ckanext.aircan_connector.factories.airflow.signin import SCOPE

from .player import Answered

pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "datastore aircan_connector"),
    pytest.mark.usefixtures("with_plugins"),
]


class Credentials(google_credentials.Credentials):
    """Credentials as google-auth defines them, whose refresh counts up."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.refreshed = fails, []

    def refresh(self, request):
        if self.fails:
            raise exceptions.RefreshError("no")
        self.refreshed.append(request)
        self.token = f"TOKEN{len(self.refreshed)}"
        self.expiry = datetime.utcnow() + timedelta(hours=1)  # noqa: DTZ003 - google-auth's are naive


@pytest.fixture
def google_says(monkeypatch):
    """Make google-auth find these credentials on the machine."""

    def put(found):
        asked = []

        def default(scopes=None, **rest):
            asked.append(scopes)
            if isinstance(found, Exception):
                raise found
            return found, "project"

        monkeypatch.setattr(google.auth, "default", default)
        return asked

    return put


def airflow():
    return factories.get("airflow")


def test_the_token_of_the_machine_is_sent(playing, order, google_says):
    found = Credentials()
    asked = google_says(found)
    player = playing("3.3.2", "good", auth="composer", username="", password="")
    airflow().submit(order("good", "rec_good"))
    assert asked == [[SCOPE]]
    assert {item["secret"] for item in player.asked} == {"", "TOKEN1"}
    assert isinstance(found.refreshed[0], google.auth.transport.requests.Request)


def test_a_token_that_composer_refuses_is_renewed_once(playing, order, google_says):
    found = Credentials()
    google_says(found)
    player = playing("3.3.2", "good", auth="composer", username="", password="")
    player.fault("GET", "/dags/rec_good$", Answered(401, "text/html", "<html>sign in</html>"))
    airflow().submit(order("good", "rec_good"))
    assert [item["secret"] for item in player.asked if item["auth"]] == ["TOKEN1", "TOKEN2", "TOKEN2"]


def test_proxy_before_composer_wants_the_token_for_the_version_too(playing, order, google_says):
    google_says(Credentials())
    player = playing("3.3.2", "good", auth="composer", username="", password="")
    player.fault("GET", "version$", Answered(401, "text/html", "<html>sign in</html>"))
    player.scenarios["good"][0]["request"]["auth"] = "Bearer"
    airflow().submit(order("good", "rec_good"))
    assert [item["secret"] for item in player.asked][:2] == ["", "TOKEN1"]


def test_address_that_composer_lets_nobody_into(playing, order, google_says):
    """Web server access control answers 403 with a page."""
    google_says(Credentials())
    player = playing("3.3.2", "good", auth="composer", username="", password="")
    player.fault("GET", "version$", Answered(403, "text/html", "<html>forbidden</html>"), times=2)
    with pytest.raises(SignInRefused):
        airflow().submit(order("good"))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (exceptions.DefaultCredentialsError("none"), "no Google credentials"),
        (Credentials(fails=True), "no access token"),
    ],
)
def test_no_credentials(playing, order, google_says, found, words):
    google_says(found)
    playing("3.3.2", "good", auth="composer", username="", password="")
    with pytest.raises(SignInRefused, match=words):
        airflow().submit(order("good"))


def test_library_that_is_missing_is_named_with_what_to_install(playing, order, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.auth", None)
    playing("3.3.2", "good", auth="composer")
    with pytest.raises(FactoryMisconfigured, match=r"pip install ckanext-aircan-connector\[composer\]"):
        airflow().submit(order("good"))

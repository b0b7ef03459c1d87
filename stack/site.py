"""One CKAN site on the stack's servers: its databases, its Solr core, its Redis database, its addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from . import postgres, redis, solr
from .ports import HOST
from .state import State

USUAL_PORT = 5000
PLUGINS = ("activity", "datastore", "datatables_view", "text_view", "aircan_connector")
CORE_PLUGINS = ("activity", "datastore")
"""For a site of tests, which load our plugin and make our tables themselves."""


@dataclass(frozen=True)
class Site:
    """A named site of one CKAN version; two sites on the same servers never meet.

    Attributes:
        state: the stack.
        name: what it is called in this stack.
        version: of CKAN.
        plugins: what it loads.
        options: further lines of its ckan.ini, as (name, value).
    """

    state: State
    name: str
    version: str
    plugins: tuple[str, ...] = PLUGINS
    options: tuple[tuple[str, str], ...] = ()

    @property
    def slug(self) -> str:
        """Return the name that databases, core and folder carry, such as `demo_2_12_0`."""
        return re.sub(r"\W", "_", f"{self.name}_{self.version}".lower())

    @property
    def folder(self) -> Path:
        """Return where the site keeps its files."""
        return self.state.folder / "sites" / self.slug

    @property
    def ini(self) -> Path:
        """Return the site's configuration file."""
        return self.folder / "ckan.ini"

    @property
    def env_file(self) -> Path:
        """Return the file that a shell reads (`. FILE`) to work with this site."""
        return self.state.folder / ("env" if self.name == "demo" else f"{self.name}-{self.version}.env")

    @property
    def web(self) -> str:
        """Return the name of its web server's process, which also has the port."""
        return f"web-{self.slug}"

    @property
    def url(self) -> str:
        """Return the site's address; a site of tests has none of its own, and the one that CKAN's tests expect."""
        if self.plugins == CORE_PLUGINS:
            return "http://test.ckan.net"
        return f"http://{HOST}:{self.state.port(self.web, USUAL_PORT)}"

    def redis_number(self) -> int:
        """Return the number of its Redis database, given once."""
        given = self.state.section("redis")
        if self.slug not in given:
            given[self.slug] = len(given) % redis.DATABASES
            self.state.save()
        return int(given[self.slug])

    def databases(self) -> tuple[str, str]:
        """Return the names of CKAN's database and of the DataStore's."""
        return f"ckan_{self.slug}", f"datastore_{self.slug}"

    def environment(self) -> dict[str, str]:
        """Return the variables by which CKAN takes its addresses, whatever its ini says."""
        main, datastore = self.databases()
        return {
            "CKAN_SQLALCHEMY_URL": postgres.url(self.state, postgres.OWNER, main),
            "CKAN_DATASTORE_WRITE_URL": postgres.url(self.state, postgres.OWNER, datastore),
            "CKAN_DATASTORE_READ_URL": postgres.url(self.state, postgres.READER, datastore),
            "CKAN_REDIS_URL": redis.url(self.state, self.redis_number()),
            "CKAN_SOLR_URL": solr.url(self.state, self.slug),
            "CKAN_SITE_URL": self.url,
            "CKAN_SITE_ID": self.slug,
            "CKAN_STORAGE_PATH": str(self.folder / "storage"),
        }

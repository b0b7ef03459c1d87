"""The text of a site's ckan.ini: short, so that a person who opens it sees what matters."""

from __future__ import annotations

import hashlib

from .site import Site

LOGGING = """
[loggers]
keys = root, ckan, ckanext, aircan

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console

[logger_ckan]
level = INFO
handlers = console
qualname = ckan
propagate = 0

[logger_ckanext]
level = INFO
handlers = console
qualname = ckanext
propagate = 0

[logger_aircan]
level = INFO
handlers = console
qualname = aircan
propagate = 0

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(asctime)s %(levelname)-5.5s [%(name)s] %(message)s
"""


def text(site: Site) -> str:
    """Return the whole file."""
    environment = site.environment()
    secret = site.state.secret(f"site-{site.slug}")
    options = {
        "use": "egg:ckan",
        "debug": "false",
        "SECRET_KEY": secret,
        "WTF_CSRF_SECRET_KEY": secret,
        "beaker.session.secret": secret,
        "api_token.jwt.encode.secret": f"string:{secret}",
        "api_token.jwt.decode.secret": f"string:{secret}",
        "sqlalchemy.url": environment["CKAN_SQLALCHEMY_URL"],
        "ckan.datastore.write_url": environment["CKAN_DATASTORE_WRITE_URL"],
        "ckan.datastore.read_url": environment["CKAN_DATASTORE_READ_URL"],
        "ckan.datastore.sqlsearch.enabled": "true",
        "ckan.redis.url": environment["CKAN_REDIS_URL"],
        "solr_url": environment["CKAN_SOLR_URL"],
        "ckan.site_id": environment["CKAN_SITE_ID"],
        "ckan.site_url": environment["CKAN_SITE_URL"],
        "ckan.site_title": "AirCan for CKAN",
        "ckan.storage_path": environment["CKAN_STORAGE_PATH"],
        "ckan.max_resource_size": "2000",
        "ckan.auth.create_unowned_dataset": "false",
        "ckan.plugins": " ".join(site.plugins),
        "ckan.views.default_views": "datatables_view text_view",
        "ckan.locale_default": "en",
        **dict(site.options),
    }
    lines = [f"{key} = {value}" for key, value in options.items()]
    return "[DEFAULT]\n\n[app:main]\n" + "\n".join(lines) + "\n" + LOGGING


def ensure(site: Site) -> bool:
    """Write ckan.ini if what it is made from changed; True when it was written.

    A file that a person has edited stays as it is as long as ports and options of ours stay what they were.
    """
    wanted = text(site)
    fingerprint = hashlib.sha256(wanted.encode()).hexdigest()
    stamps = site.state.section("ini")
    if site.ini.exists() and stamps.get(site.slug) == fingerprint:
        return False
    site.folder.mkdir(parents=True, exist_ok=True)
    site.ini.touch(mode=0o600)
    site.ini.write_text(wanted)
    stamps[site.slug] = fingerprint
    site.state.save()
    return True

"""Everything a new site needs from CKAN itself, in one process: each `ckan ...` command would cost seconds of start-up.

Run by the Python of CKAN's environment. Standard input is one JSON object `{"ini", "admin"?: {"name", "email",
"password", "token"?: bool}}`; the last line of standard output is another, `{"permissions": SQL, "token"?: text}`.
Every part may be run again: what is there stays.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any
from urllib.parse import urlsplit


def main() -> None:
    """Create tables, run migrations, make the sysadmin, and print what the caller needs."""
    asked = json.load(sys.stdin)
    from ckan.cli import CKANConfigLoader
    from ckan.config.middleware import make_app

    app = make_app(CKANConfigLoader(asked["ini"]).get_config())
    with app._wsgi_app.test_request_context():
        answer: dict[str, Any] = {"permissions": _tables()}
        if "admin" in asked:
            answer["token"] = _sysadmin(asked["admin"])
    sys.stdout.write("\n" + json.dumps(answer) + "\n")


def _tables() -> str:
    from ckan import model
    from ckan.cli.db import _resolve_alembic_config, _run_migrations
    from ckan.common import config
    from ckanext.datastore.cli import permissions_sql

    model.repo.init_db()
    plugins = config["ckan.plugins"]
    for plugin in plugins if isinstance(plugins, list) else plugins.split():
        if os.path.exists(_resolve_alembic_config(plugin)):
            _run_migrations(plugin)
    main, write, read = (
        urlsplit(config[key]) for key in ("sqlalchemy.url", "ckan.datastore.write_url", "ckan.datastore.read_url")
    )
    return permissions_sql(main.path[1:], write.path[1:], main.username, write.username, read.username)


def _sysadmin(wanted: dict[str, Any]) -> str | None:
    from ckan import model
    from ckan.plugins import toolkit

    name = wanted["name"]
    user = model.User.get(name)
    if user is None:
        data = {key: wanted[key] for key in ("name", "email", "password")}
        toolkit.get_action("user_create")({"ignore_auth": True}, data)
        user = model.User.get(name)
    if not user.sysadmin:
        user.sysadmin = True
        model.Session.add(user)
        model.repo.commit()
    if not wanted.get("token"):
        return None
    made = toolkit.get_action("api_token_create")({"ignore_auth": True, "user": name}, {"user": name, "name": "stack"})
    return made["token"]


if __name__ == "__main__":
    main()

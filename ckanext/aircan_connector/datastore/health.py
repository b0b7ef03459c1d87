"""What would keep loads from working in the DataStore's database, in plain words."""

from __future__ import annotations

import ckantoolkit as tk
from ckanext.datastore.backend import postgres

from aircan.errors import LoadFailed

from .connect import transaction

_FUNCTIONS = ("populate_full_text_trigger()",)
_COUNTS = "update_cached_table_row_count(name)"
_AGAIN = "Run: ckan datastore set-permissions, and give what it prints to psql."


def problems() -> list[str]:
    """Return a sentence for each thing that is wrong, [] when all is well. Raises nothing from outside."""
    try:
        with transaction("aircan doctor") as cursor:
            cursor.execute("SHOW transaction_read_only")
            read_only = cursor.fetchone()[0] == "on"
            cursor.execute("SELECT has_schema_privilege('public', 'CREATE'), to_regclass('public._table_metadata')")
            may_create, metadata = cursor.fetchone()
            wanted = _FUNCTIONS + ((_COUNTS,) if tk.check_ckan_version(min_version="2.12") else ())
            cursor.execute("SELECT f FROM unnest(%s) f WHERE to_regprocedure('public.' || f) IS NULL", (list(wanted),))
            lacking = [name for (name,) in cursor.fetchall()]
            reader = postgres.get_read_engine().url.username
            cursor.execute(
                "SELECT has_schema_privilege(oid, 'public', 'USAGE') FROM pg_roles WHERE rolname = %s", (reader,)
            )
            usage = cursor.fetchone()
    except LoadFailed as exc:
        return [f"The DataStore's database cannot be used: {exc.detail}. Check ckan.datastore.write_url."]
    found = []
    if read_only:
        found.append("The DataStore's database is read-only, so no table can be loaded.")
    if not may_create:
        found.append(f"The DataStore's write role may not create tables in schema public. {_AGAIN}")
    if metadata is None or lacking:
        found.append(f"The DataStore's functions are missing or those of an older CKAN. {_AGAIN}")
    if usage and not usage[0]:
        found.append(f"The DataStore's read role {reader} may not read schema public. {_AGAIN}")
    return found

"""Errors of a load through CKAN's own DataStore API."""

from __future__ import annotations

from .base import N_, Blame
from .loads import LoadFailed


class ApiRefused(LoadFailed):
    """CKAN's API refused a request, or what answers is no CKAN. Facts: action, http_status, reason."""

    code = "api_refused"
    blame = Blame.CONFIG
    sentence = N_("CKAN's API refused %(action)s with status %(http_status)s: %(reason)s.")
    advice = N_("Check the address of the CKAN, and that the API token belongs to somebody who may edit the dataset.")


class TableUnfinished(LoadFailed):
    """A load through the API broke off where it could not be undone. Facts: rows, there, old, reason, line, field."""

    code = "table_unfinished"
    blame = Blame.NETWORK
    retryable = True
    sentence = N_(
        "The load broke off: %(reason)s The table now has %(there)s of the %(rows)s new rows, and %(old)s old ones."
    )
    advice = N_("Run again: a whole run puts the table in order.")

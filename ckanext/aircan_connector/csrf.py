"""The CSRF check of our own views, because core's can be got round.

CKAN 2.12.0 exempts a view for the life of the process once somebody anonymous has looked at it
(CVE-2026-41255), and 2.10 and 2.11 leave out extensions by default. So a view that changes
something asks the same checker itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import ckantoolkit as tk
from ckan.config.middleware.flask_app import csrf
from flask import abort, current_app
from flask_wtf.csrf import CSRFError


def protected(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse a request that came with a session but without a valid CSRF token: 400.

    Who came by API token has sent a header that no foreign page can send, and is let through.
    """

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if current_app.config.get("WTF_CSRF_ENABLED") and not getattr(tk.g, "login_via_auth_header", False):
            try:
                csrf.protect()
            except CSRFError:
                abort(400, tk._("This form is too old or did not come from this site. Reload the page and try again."))
        return view(*args, **kwargs)

    return checked

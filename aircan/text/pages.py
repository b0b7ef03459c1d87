"""Web pages where data should be: what kind of page it is. Imports only `errors`."""

from __future__ import annotations

import html
import re

from aircan.errors import FileIsHtml, PageIsNotFound, PageIsSignIn

TITLE_CHARS = 100

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>|<h1[^>]*>(.*?)</h1>", re.I | re.S)
_MARKUP = re.compile(r"<[^>]*>")
_PASSWORD = re.compile(
    r"<input[^>]*\btype\s*=\s*[\"']?password"
    r"|<form[^>]*\baction\s*=\s*[\"']?[^\"'>]*(?:login|signin|saml|sso)",
    re.I,
)
_SIGN_IN = re.compile(
    r"\b(?:sign[ -]?in|log[ -]?in|log on|authenticat\w*|anmeld\w*|einloggen|connexion|identifi\w+"
    r"|iniciar sesi\S+|acceder|accedi|inloggen)\b",
    re.I,
)
_NOT_FOUND = re.compile(
    r"\b(?:40[0-9]|410|50[0-4])\b|not found|no longer available|does not exist|forbidden|access denied|unavailable"
    r"|error|nicht gefunden|fehler|introuvable|erreur|no encontrad|non trovat|niet gevonden",
    re.I,
)


def error(head: bytes) -> FileIsHtml:
    """Return the error that says what kind of web page begins here, with its title."""
    text = head.replace(b"\0", b"").decode("utf-8", "replace")
    match = _TITLE.search(text)
    shown = _MARKUP.sub(" ", (match[1] or match[2] or "") if match else "")
    title = " ".join(html.unescape(shown).split())[:TITLE_CHARS]
    if _PASSWORD.search(text) or _SIGN_IN.search(title):
        return PageIsSignIn(title=title or "-", kind="sign_in")
    if _NOT_FOUND.search(title):
        return PageIsNotFound(title=title, kind="not_found")
    return FileIsHtml(title=title or "-", kind="page")

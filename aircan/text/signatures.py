"""What the first bytes of a file say that it is. Imports nothing of ours."""

from __future__ import annotations

import re

HEAD_BYTES = 64 * 1024
"""Bytes that are looked at."""

_BEGINNINGS = (
    (b"%PDF", "PDF"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel or Word file (XLS, DOC)"),
    (b"PAR1", "Parquet"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"{\\rtf", "RTF"),
)
_ZIPS = (
    (b"xl/", "XLSX"),
    (b"word/", "DOCX"),
    (b"ppt/", "PPTX"),
    (b"opendocument.text", "ODT"),
    (b"opendocument.spreadsheet", "ODS"),
    (b".shp", "a zipped shapefile"),
)
_MARKUP = re.compile(
    rb"^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S
)
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\x1a\0"))


def is_html(head: bytes) -> bool:
    """Return whether a web page begins here."""
    return bool(_MARKUP.match(_narrow(head)))


def other_than_text(head: bytes) -> str:
    """Return the name, for people, of the format that is surely no delimited text, or ""."""
    for beginning, name in _BEGINNINGS:
        if head.startswith(beginning):
            return name
    if head[257:262] == b"ustar":
        return "a TAR archive"
    if head.startswith(b"PK\x03\x04"):
        return next((name for mark, name in _ZIPS if mark in head), "a ZIP archive")
    narrow = _narrow(head)
    if narrow.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<?xml"):
        return "XML"
    return "binary data" if _is_binary(narrow) else ""


def _narrow(head: bytes) -> bytes:
    """Return the bytes with the zeros and the mark of UTF-16 taken out, so that ASCII reads as such."""
    return head.replace(b"\0", b"").lstrip(b"\xff\xfe") if head.count(0) > len(head) * 0.2 else head


def _is_binary(head: bytes) -> bool:
    control = len(head) - len(head.translate(None, _CONTROL))
    return control > max(16, 0.05 * len(head))

"""Find out what the fetched bytes are, and read them to their end."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aircan import formats
from aircan.errors import FileEmpty, FileIsHtml, FormatUnknown
from aircan.ports import Stop
from aircan.table import Rejects, Table
from aircan.text import signatures


def sniff(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
    """Return the table of a file; the bytes decide its format, not its name.

    Args:
        path: the fetched file.
        params: of the order; a format takes those that it knows.
        workdir: where a format leaves the files that the table needs.
        rejects: takes the records that do not fit the table's shape.
        stop: asked now and then.

    Raises:
        FileEmpty: no byte. FileIsHtml: a web page. FormatUnknown: another format; `found` names it.
        FileUnreadable: a leaf of the format's own.
    """
    with open(path, "rb") as file:
        head = file.read(signatures.HEAD_BYTES)
    if not head:
        raise FileEmpty
    for reader in formats.MENU[:-1]:
        if reader.recognises(path, head):
            return reader.read(path, params=params, workdir=workdir, rejects=rejects, stop=stop)
    if signatures.is_html(head):
        raise FileIsHtml
    if found := signatures.other_than_text(head):
        raise FormatUnknown(found=found)
    return formats.MENU[-1].read(path, params=params, workdir=workdir, rejects=rejects, stop=stop)

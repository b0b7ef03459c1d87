"""Find out what the fetched bytes are, and read them to their end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from aircan import formats
from aircan.errors import FileEmpty, FormatUnknown, OrderRefused
from aircan.ports import Stop
from aircan.table import Rejects, Table
from aircan.text import archives, declared, pages, signatures
from aircan.text.archives import Unpacked


def sniff(
    path: Path,
    *,
    params: Mapping[str, Any],
    workdir: Path,
    rejects: Rejects,
    stop: Stop,
    name: str = "",
    format_: str = "",
    limit_bytes: int | None = None,
) -> Table:
    """Return the table of a file; the bytes decide its format, not its name.

    An archive is unpacked first. A name or a declared format that says something else is a warning.

    Args:
        path: the fetched file.
        params: of the order; a format takes those that it knows, `member` names a file in an archive.
        workdir: where a format leaves the files that the table needs.
        rejects: takes the records that do not fit the table's shape.
        stop: asked now and then.
        name: of the file at its source.
        format_: declared format.
        limit_bytes: largest size of what is in an archive, None for no limit.

    Raises:
        FileEmpty: no byte. FileIsHtml: a web page. FormatUnknown: another format; `found` names it.
        OrderRefused: a wrong parameter. FileUnreadable: a leaf of the format's, or the archive's, own.
    """
    member = params.get("member") or ""
    if not isinstance(member, str):
        raise OrderRefused(field="params.member")
    unpacked = archives.unpack(path, name=name, member=member, workdir=workdir, limit_bytes=limit_bytes, stop=stop)
    table = _read(unpacked.path, params=params, workdir=workdir, rejects=rejects, stop=stop)
    facts = dict(table.facts)
    if unpacked.kinds:
        facts.update(archive=", ".join(unpacked.kinds), member="/".join(unpacked.members))
    warnings = [*_mismatches(format_, name, unpacked, str(facts["format"])), *table.warnings]
    return replace(table, facts=facts, warnings=tuple(warnings))


def _read(path: Path, *, params: Mapping[str, Any], workdir: Path, rejects: Rejects, stop: Stop) -> Table:
    with open(path, "rb") as file:
        head = file.read(signatures.HEAD_BYTES)
    if not head:
        raise FileEmpty
    for reader in formats.MENU[:-1]:
        if reader.recognises(path, head):
            return reader.read(path, params=params, workdir=workdir, rejects=rejects, stop=stop)
    if signatures.is_html(head):
        raise pages.error(head)
    if found := signatures.other_than_text(head):
        raise FormatUnknown(found=found)
    return formats.MENU[-1].read(path, params=params, workdir=workdir, rejects=rejects, stop=stop)


def _mismatches(format_: str, name: str, unpacked: Unpacked, found: str) -> Iterator[Mapping[str, Any]]:
    """Yield a warning for the first word about the file that is not true."""
    inner = declared.ending(unpacked.members[-1]) if unpacked.members else ""
    for said in (format_, declared.ending(name), inner):
        if declared.differs(said, (found, *unpacked.kinds)):
            yield {"code": "format_mismatch", "declared": said, "found": found}
            return

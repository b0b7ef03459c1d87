"""Which bytes are a spreadsheet, and of which kind. Imports nothing of ours."""

from __future__ import annotations

import mmap
import zipfile
import zlib
from pathlib import Path

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK\x03\x04"
_ODS_TYPE = b"application/vnd.oasis.opendocument.spreadsheet"


def kind(path: Path, head: bytes) -> str:
    """Return "xlsx", "xlsb", "ods", "xls", "encrypted" (a workbook of one of these kinds), or "" for no spreadsheet.

    A ZIP archive is judged by its directory, or if that is damaged by what its first bytes name; a compound file
    (the container of XLS, DOC, PPT and of encrypted XLSX) by its streams.
    """
    if head.startswith(_ZIP):
        return _of_zip(path, head)
    if head.startswith(_OLE):
        return _of_ole(path)
    return "xls" if head[:2] == b"\x09\x08" and head[4:6] in (b"\x00\x05", b"\x00\x06") else ""


def _of_zip(path: Path, head: bytes) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.replace("\\", "/").lower() for name in archive.namelist()}
            mimetype = archive.read("mimetype")[:100] if "mimetype" in names else b""
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError):
        return _of_damaged_zip(head)
    if "xl/workbook.bin" in names:
        return "xlsb"
    if any(name.startswith("xl/") and name.endswith(".xml") for name in names) and "[content_types].xml" in names:
        return "xlsx"
    return "ods" if mimetype.startswith(_ODS_TYPE) else ""


def _of_damaged_zip(head: bytes) -> str:
    if _ODS_TYPE in head[:200]:
        return "ods"
    if b"xl/workbook.bin" in head:
        return "xlsb"
    return "xlsx" if b"xl/worksheets" in head or b"xl/workbook.xml" in head else ""


def _of_ole(path: Path) -> str:
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:

        def has(stream: str) -> bool:
            return data.find((stream + "\0").encode("utf-16-le")) >= 0

        if has("EncryptedPackage"):
            return "encrypted"
        if has("WordDocument") or has("PowerPoint Document"):
            return ""
        return "xls" if has("Workbook") or has("Book") else ""

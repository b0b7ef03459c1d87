"""The ZIP container of XLSX, XLSB and ODS, and the XML in it, read with limits. Imports only `errors` and `ports`.

No part is held whole but small ones; entities, DTDs and the network are off; what inflates beyond all reason is
refused before it is read by anything that would hold it.
"""

from __future__ import annotations

import contextlib
import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from lxml import etree

from aircan.errors import JobStopped, WorkbookDamaged, WorkbookEncrypted
from aircan.ports import Stop

BLOCK_BYTES = 1 << 20
"""Bytes of a part that are read at a time."""

SMALL_BYTES = 32 << 20
"""Largest part that is held whole: workbook, relations, styles."""

MOST_BYTES = 8 << 30
"""Largest part. A full sheet of 16,384 columns would be larger, but no one can publish that."""

SUSPECT_BYTES = 64 << 20
SUSPECT_RATIO = 300
"""A part larger than SUSPECT_BYTES that inflates more than that is a ZIP bomb; full sheets reach about 30."""

RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}"

_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, etree.XMLSyntaxError)


def check(stop: Stop) -> None:
    """Raise JobStopped if the job is to stop."""
    if stop.is_set():
        raise JobStopped


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn what a broken container or broken XML raises into WorkbookDamaged or WorkbookEncrypted."""
    try:
        yield
    except RuntimeError as exc:  # what zipfile raises for an entry with a password
        raise WorkbookEncrypted(str(exc)) from exc
    except _BROKEN as exc:
        raise WorkbookDamaged(str(exc), reason=str(exc)[:200] or type(exc).__name__) from exc


class Package:
    """The parts of a ZIP container. Names are compared without case, as Excel does.

    Raises:
        WorkbookDamaged: no ZIP directory, or a part in it that inflates beyond all reason.
    """

    def __init__(self, path: Path) -> None:
        with translated():
            self._zip = zipfile.ZipFile(path)
        self._parts = {info.filename.replace("\\", "/").lower(): info for info in self._zip.infolist()}
        for info in self._parts.values():
            ratio = info.file_size / max(info.compress_size, 1)
            if info.file_size > MOST_BYTES or (info.file_size > SUSPECT_BYTES and ratio > SUSPECT_RATIO):
                self.close()
                reason = f"{info.filename} inflates to {info.file_size} bytes"
                raise WorkbookDamaged(f"ratio {ratio:.0f}", reason=reason)

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> Package:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def has(self, name: str) -> bool:
        """Return whether there is a part of that name."""
        return name.lower() in self._parts

    def size_bytes(self, name: str) -> int:
        """Return the size of a part when inflated, 0 if there is none."""
        return self._parts[name.lower()].file_size if self.has(name) else 0

    def open(self, name: str) -> IO[bytes]:
        """Open a part. Raises WorkbookDamaged when there is none."""
        if not self.has(name):
            raise WorkbookDamaged(reason=f"the part {name} is missing")
        with translated():
            return self._zip.open(self._parts[name.lower()])

    def blocks(self, name: str, stop: Stop, size_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield a part block by block. Raises WorkbookDamaged when it is broken or longer than declared."""
        with self.open(name) as part, translated():
            while block := part.read(size_bytes):
                check(stop)
                yield block

    def xml(self, name: str) -> Any:
        """Return the root element of a small part. Raises WorkbookDamaged when it is broken, or has a DTD."""
        if self.size_bytes(name) > SMALL_BYTES:
            raise WorkbookDamaged(reason=f"{name} has {self.size_bytes(name)} bytes")
        with self.open(name) as part, translated():
            root = etree.fromstring(part.read(), parser=etree.XMLParser(**SAFE))
        if root.getroottree().docinfo.doctype:
            raise WorkbookDamaged(reason=f"{name} declares a document type")
        return root

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """Return id -> (last word of its type, part) of what a part refers to, {} if it refers to nothing."""
        folder, leaf = posixpath.split(name)
        listed = posixpath.join(folder, "_rels", leaf + ".rels")
        if not self.has(listed):
            return {}
        out = {}
        for relation in self.xml(listed).iter(RELATIONS + "Relationship"):
            target = relation.get("Target", "").replace("\\", "/")
            joined = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            out[relation.get("Id", "")] = (relation.get("Type", "").rsplit("/", 1)[-1], joined)
        return out


SAFE: dict[str, Any] = {"resolve_entities": False, "no_network": True, "load_dtd": False, "huge_tree": False}
"""Options of lxml's parsers: nothing is expanded or fetched."""


def elements(part: IO[bytes], *tags: str, stop: Stop) -> Iterator[Any]:
    """Yield each element of these tags when it has ended, and drop it afterwards, so that memory stays flat.

    Args:
        part: XML.
        tags: as lxml writes them, `{*}row` for any namespace.
        stop: asked at every thousandth element.

    Raises:
        WorkbookDamaged: no well-formed XML, or it declares a document type.
    """
    with translated():
        for number, (_, element) in enumerate(etree.iterparse(part, events=("end",), tag=tags, **SAFE)):
            if not number % 1000:
                check(stop)
            if not number and element.getroottree().docinfo.doctype:
                raise WorkbookDamaged(reason="a part declares a document type")
            yield element
            element.clear()
            while element.getprevious() is not None:
                del element.getparent()[0]

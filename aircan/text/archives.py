"""Archives: the one file with data inside a GZIP, BZIP2, XZ or ZIP. Imports only `errors` and `ports`.

Workbooks and other formats that are ZIP files inside are no archives here.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, cast

from aircan.errors import (
    ArchiveAmbiguous,
    ArchiveBomb,
    ArchiveEmpty,
    FileDamaged,
    FileEncrypted,
    FormatUnknown,
    JobStopped,
    TooLarge,
)
from aircan.ports import Stop

CHUNK_BYTES = 1 << 20
MOST_LEVELS = 2
"""Archives inside each other that are unpacked: data.csv.gz in a ZIP."""

BOMB_BYTES = 1 << 30
"""Below this size any ratio is allowed."""

BOMB_RATIO = 200
"""Above it, unpacked bytes to packed ones. Repetitive CSV reaches 50, a file of zeros 1000 (measured 2026-11)."""

NAMES = {"gz": "a GZIP archive", "bz2": "a BZIP2 archive", "xz": "an XZ archive", "zip": "a ZIP archive"}
_BEGINNINGS = (
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_NO_ARCHIVE = re.compile(
    r"(?:^\[Content_Types\]\.xml|^mimetype|^META-INF/manifest\.xml|.*\.(?:shp|gdbtable))$", re.I | re.S
)
_SYSTEM = re.compile(r"(?:^|/)(?:\.(?!\.?(?:/|$))[^/]*|__MACOSX|Thumbs\.db|desktop\.ini)(?:/|$)", re.I)
_ABOUT = re.compile(
    r"(?:^|/)(?:"
    r"(?:read[-_ ]?me|licen[cs]e|copying|notice|changelog|meta[-_ ]?data|datapackage|manifest|disclaimer)[^/]*"
    r"|[^/]*\.(?:md|html?|pdf|docx?|odt|rtf|xml|xsd|xsl|css|png|jpe?g|gif|svg|sql|log|prj|cpg|sha256|md5|sig|asc|url))$",
    re.I,
)


@dataclass(frozen=True)
class Unpacked:
    """The file with data.

    Attributes:
        path: the file itself where nothing was to be unpacked.
        kinds: the archives that it came out of, outermost first: ("zip", "gz").
        members: their members on the way to it.
    """

    path: Path
    kinds: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


@dataclass
class _Limits:
    """What the unpacked file may be. `packed_bytes` is the size of the archive."""

    packed_bytes: int
    limit_bytes: int | None
    stop: Stop
    most: int = field(init=False)

    def __post_init__(self) -> None:
        self.most = max(BOMB_BYTES, BOMB_RATIO * self.packed_bytes)

    def check(self, size: int) -> None:
        if self.stop.is_set():
            raise JobStopped
        if self.limit_bytes and size > self.limit_bytes:
            raise TooLarge(size_bytes=size, limit_bytes=self.limit_bytes)
        if size > self.most:
            raise ArchiveBomb(size_bytes=size, limit_bytes=self.most)


def unpack(path: Path, *, name: str, member: str, workdir: Path, limit_bytes: int | None, stop: Stop) -> Unpacked:
    """Unpack a file until it is no archive any more.

    Args:
        path: the fetched file; it stays.
        name: its name at the source; names the content of a GZIP.
        member: the parameter of that name, "" for the only file with data; "inner.zip/data.csv" for one further in.
        workdir: where "unpacked-1" and "unpacked-2" are left.
        limit_bytes: largest unpacked file, None for no limit.
        stop: asked at each chunk.

    Raises:
        ArchiveAmbiguous: several files, or none called `member`. ArchiveEmpty: no file with data. ArchiveBomb,
        TooLarge: what is in it is too large. FileDamaged, FileEncrypted. FormatUnknown: archives in archives in
        archives, or a compression that is not read. JobStopped.
    """
    found, wanted = Unpacked(path), member
    while kind := kind_of(found.path):
        level = len(found.kinds) + 1
        if level > MOST_LEVELS:
            raise FormatUnknown(found="an archive in an archive in an archive")
        target, limits = workdir / f"unpacked-{level}", _Limits(found.path.stat().st_size, limit_bytes, stop)
        try:
            if kind == "zip":
                inside, wanted = _zip(found.path, target, wanted, limits)
            else:
                inside = _inner_name((found.members or (name,))[-1], kind)
                _copy(_stream(found.path, kind), target, limits)
        except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, OSError) as exc:
            if isinstance(exc, OSError) and exc.errno is not None:
                raise
            raise FileDamaged(str(exc)[:200], found=NAMES[kind], reason=_reason(exc)) from exc
        if level > 1:
            found.path.unlink()
        found = Unpacked(target, (*found.kinds, kind), (*found.members, inside))
    if wanted and "zip" in found.kinds:
        raise ArchiveAmbiguous(members=", ".join(found.members), wanted=member)
    return found


def kind_of(path: Path) -> str:
    """Return "gz", "bz2", "xz", "zip", or "" for what is no archive."""
    with open(path, "rb") as file:
        head = file.read(4096)
    kind = next((kind for beginning, kind in _BEGINNINGS if head.startswith(beginning)), "")
    if kind == "bz2" and head[4:10] not in (b"1AY&SY", b"\x17rE8P\x90"):
        return ""
    if kind != "zip":
        return kind
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        names = [word for word in ("[Content_Types].xml", "mimetype") if word.encode() in head]
    return "" if any(map(_NO_ARCHIVE.match, names)) else "zip"


def _stream(path: Path, kind: str) -> IO[bytes]:
    if kind == "gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return bz2.open(path, "rb") if kind == "bz2" else lzma.open(path, "rb")


def _inner_name(name: str, kind: str) -> str:
    base = PurePosixPath(name).name
    return base[: -len(kind) - 1] if base.lower().endswith("." + kind) else base


def _copy(stream: IO[bytes], target: Path, limits: _Limits) -> None:
    size = 0
    with stream, open(target, "wb") as out:
        while chunk := stream.read(CHUNK_BYTES):
            size += len(chunk)
            limits.check(size)
            out.write(chunk)


def _zip(path: Path, target: Path, wanted: str, limits: _Limits) -> tuple[str, str]:
    """Unpack one member; return its name and what is left of `wanted`."""
    with zipfile.ZipFile(path) as archive:
        members = [(_name(info), info) for info in archive.infolist() if not info.is_dir()]
        chosen, rest = _choose([name for name, _ in members], wanted)
        info = members[chosen][1]
        if info.flag_bits & 1:
            raise FileEncrypted(found=NAMES["zip"])
        limits.check(info.file_size)
        try:
            stream = archive.open(info)
        except OSError as exc:
            raise FileDamaged(str(exc)[:200], found=NAMES["zip"], reason="it names a place that is not in it") from exc
        except (NotImplementedError, RuntimeError) as exc:
            raise FormatUnknown(str(exc)[:200], found="a ZIP archive with an unusual compression") from exc
        _copy(stream, target, limits)
    return members[chosen][0], rest


def _name(info: zipfile.ZipInfo) -> str:
    """Return a member's name; what is not marked as UTF-8 but is valid UTF-8 is taken for it."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode()
        except UnicodeError:
            name = info.filename
    return re.sub(r"[\x00-\x1f\x7f]", "?", name)


def _choose(names: Sequence[str], wanted: str) -> tuple[int, str]:
    """Return the index of the member that is meant, and what is left of `wanted` for an archive inside."""
    data = [i for i, name in enumerate(names) if not _SYSTEM.search(name)]
    listed = ", ".join([names[i] for i in data or range(len(names))][:50]) or "-"
    if wanted:
        found = [i for i in data if names[i] == wanted] or [i for i in data if names[i].endswith("/" + wanted)]
        inside = [i for i in data if wanted.startswith(names[i] + "/")]
        if len(found or inside) == 1:
            return (found[0], "") if found else (inside[0], wanted[len(names[inside[0]]) + 1 :])
    data = [i for i in data if not _ABOUT.search(names[i])] or data
    if not data:
        raise ArchiveEmpty(members=listed)
    if len(data) > 1 or (wanted and not names[data[0]].lower().endswith((".zip", ".gz", ".bz2", ".xz"))):
        raise ArchiveAmbiguous(members=listed, wanted=wanted)
    return data[0], wanted


def _reason(exc: Exception) -> str:
    if isinstance(exc, EOFError):
        return "it ends too early"
    return "its checksum is wrong" if "CRC" in str(exc) else "its bytes make no sense"

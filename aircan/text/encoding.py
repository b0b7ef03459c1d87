"""The encoding of a text file, decided over all its bytes, and its copy in UTF-8."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aircan.errors import EncodingUnknown, JobStopped, OrderRefused
from aircan.ports import Stop
from aircan.text import charsets
from aircan.text.records import BLOCK_BYTES, lines

MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; the longer ones of the same beginning first."""

_UNDEFINED_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_BROKEN = re.compile("[\udc80-\udcff]")
_BEYOND_ASCII = re.compile("[\u0080-\ud7ff\ue000-\U0010ffff]")


@dataclass(frozen=True)
class Encoding:
    """Name of an encoding, bytes of the mark in front, how it was found, and whether bytes break it.

    Attributes:
        name: name as Python's codecs know it.
        mark_bytes: length of the byte order mark.
        evidence: "mark", "valid" (all bytes are valid UTF-8), "zeros" (UTF-16 without mark),
            "letters" (not UTF-8, and its letters make sense in this encoding but not in Windows-1252),
            "fallback" (not UTF-8, so Windows-1252 or Latin-1), "order" (the order said so).
        damaged: UTF-8 all the same, though some bytes are not; their records are rejected.
    """

    name: str
    mark_bytes: int = 0
    evidence: str = "valid"
    damaged: bool = False


def detect(path: Path, *, wanted: str = "", stop: Stop) -> Encoding:
    """Return the encoding of a file.

    A mark decides; then zeros in every second byte (UTF-16); then whether the whole file is valid UTF-8.
    If it is not, but has more characters of valid UTF-8 beyond ASCII than broken bytes, it is damaged UTF-8: in
    other encodings such characters hardly ever come about, and reading it as one would spoil them all. Else
    it is Windows-1252 (Latin-1 when it holds a byte that Windows-1252 leaves undefined), unless
    `charsets` knows an encoding in which its letters make more sense.

    Raises:
        OrderRefused: `wanted` is no encoding that Python knows.
    """
    with open(path, "rb") as file:
        head = file.read(4096)
    marked = next((Encoding(name, len(mark), "mark") for mark, name in MARKS if head.startswith(mark)), None)
    if wanted:
        return _ordered(wanted, marked, path, stop)
    if marked and marked.name != "utf-8":
        return marked
    if name := _zeros(head):
        return Encoding(name, 0, "zeros")
    mark_bytes = marked.mark_bytes if marked else 0
    if _is_utf8(path, stop):
        return Encoding("utf-8", mark_bytes, "mark" if marked else "valid")
    good, broken, undefined, sample = _weigh(path, stop)
    if marked or good > broken:
        return Encoding("utf-8", mark_bytes, "mark" if marked else "valid", damaged=True)
    if name := charsets.better_than_1252(sample):
        return Encoding(name, 0, "letters")
    return Encoding("latin-1" if undefined else "cp1252", 0, "fallback")


def begin(head: bytes) -> bytes:
    """Return the first bytes of a file as UTF-8 without a mark, as far as a mark or zeros tell the encoding."""
    name, skip = next(((name, len(mark)) for mark, name in MARKS if head.startswith(mark)), (_zeros(head[:4096]), 0))
    if not name or name == "utf-8":
        return head[skip:]
    return head[skip:].decode(name, "replace").encode("utf-8", "replace")


def _ordered(wanted: str, marked: Encoding | None, path: Path, stop: Stop) -> Encoding:
    try:
        name = codecs.lookup(wanted).name
    except LookupError as exc:
        raise OrderRefused(field="params.encoding") from exc
    name = {"utf-8-sig": "utf-8", "iso8859-1": "latin-1"}.get(name, name)
    if name in ("utf-16", "utf-32"):
        name = marked.name if marked else f"{name}-le"
    mark_bytes = marked.mark_bytes if marked and marked.name == name else 0
    damaged = name == "utf-8" and not _is_utf8(path, stop)
    return Encoding(name, mark_bytes, "order", damaged)


def _zeros(head: bytes) -> str:
    """Return the UTF-16 without a mark that the zeros in the first bytes speak for, or ""."""
    pairs = len(head) // 2
    even, odd = head[0 : pairs * 2 : 2].count(0), head[1 : pairs * 2 : 2].count(0)
    if pairs and odd > 0.4 * pairs and even < 0.05 * pairs:
        return "utf-16-le"
    return "utf-16-be" if pairs and even > 0.4 * pairs and odd < 0.05 * pairs else ""


def _blocks(path: Path, stop: Stop) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            if stop.is_set():
                raise JobStopped
            yield block


def _is_utf8(path: Path, stop: Stop) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in _blocks(path, stop):
            if decoder.getstate()[0] or not block.isascii():
                decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _weigh(path: Path, stop: Stop) -> tuple[int, int, int, bytes]:
    """Return valid characters beyond ASCII, bytes that break UTF-8, bytes undefined in 1252, lines beyond ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = broken = undefined = 0
    sample = b""
    for block in _blocks(path, stop):
        text = decoder.decode(block)
        good += len(_BEYOND_ASCII.findall(text))
        broken += len(_BROKEN.findall(text))
        undefined += len(_UNDEFINED_1252.findall(block))
        if len(sample) < charsets.SAMPLE_BYTES:
            sample += _foreign_lines(block, charsets.SAMPLE_BYTES - len(sample))
    return good, broken + len(decoder.decode(b"", final=True)), undefined, sample


def _foreign_lines(block: bytes, most: int) -> bytes:
    """Return the whole lines with a byte beyond ASCII, `most` bytes of them about."""
    found = block.splitlines(keepends=True)
    whole = found if len(found) == 1 or len(block) < BLOCK_BYTES else found[1:-1]
    out, size = list[bytes](), 0
    for line in whole:
        if not line.isascii():
            out.append(line)
            size += len(line)
        if size >= most:
            break
    return b"".join(out)


def to_utf8(path: Path, encoding: Encoding, target: Path, *, stop: Stop) -> tuple[Path, int]:
    """Return a file in UTF-8 with the same lines, and the byte at which its text begins.

    That is the file itself when it is UTF-8, else a copy at `target`.

    Raises:
        EncodingUnknown: bytes are not valid in the encoding; `line` is the first such line.
    """
    if encoding.name == "utf-8":
        return path, encoding.mark_bytes
    decoder = codecs.getincrementaldecoder(encoding.name)()
    line = 1
    with open(target, "wb") as out:
        try:
            skip = encoding.mark_bytes
            for block in _blocks(path, stop):
                encoded = decoder.decode(block[skip:]).encode()
                skip = 0
                line += lines(encoded)
                out.write(encoded)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as exc:
            line += lines(exc.object[: exc.start].decode(encoding.name, "ignore").encode())
            raise EncodingUnknown(str(exc)[:200], encoding=encoding.name, line=line) from exc
    return target, 0

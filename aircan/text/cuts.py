"""What an order takes off a text before it is looked at: lines at the top, lines at the end."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from aircan.errors import FileEmpty
from aircan.text.header import Frame
from aircan.text.records import BLOCK_BYTES, lines

_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")
_BLANKS = b" \t\r\n,;|"


@dataclass(frozen=True)
class Cut:
    """A text and where it begins.

    Attributes:
        path: the text; a copy without its last lines if any were taken off.
        offset: byte at which it begins.
        line: physical line with which it begins.
        footer_lines: lines taken off at the end, blank ones apart.
        footer: the first of them.
    """

    path: Path
    offset: int
    line: int = 1
    footer_lines: int = 0
    footer: str = ""


def cut(path: Path, offset: int, frame: Frame, target: Path) -> Cut:
    """Take the lines off that the order says; `path` stays as it is.

    Raises:
        FileEmpty: nothing is left.
    """
    begin = _below(path, offset, frame.skip_lines) if frame.skip_lines else offset
    if not frame.skip_footer:
        return Cut(path, begin, 1 + frame.skip_lines)
    end, first = _above(path, begin, frame.skip_footer)
    if end <= begin:
        raise FileEmpty
    shutil.copyfile(path, target)
    with open(target, "r+b") as file:
        file.truncate(end)
    return Cut(target, begin, 1 + frame.skip_lines, frame.skip_footer, first)


def _below(path: Path, offset: int, count: int) -> int:
    """Return the byte behind so many lines."""
    with open(path, "rb") as file:
        file.seek(offset)
        while block := file.read(BLOCK_BYTES):
            if block.endswith(b"\r"):
                block += file.read(1)
            found = lines(block)
            if found < count:
                count, offset = count - found, offset + len(block)
                continue
            ends = (match.end() for match in re.finditer(rb"\r\n|\n|\r", block))
            return offset + next(end for number, end in enumerate(ends, 1) if number == count)
    raise FileEmpty


def _above(path: Path, begin: int, count: int) -> tuple[int, str]:
    """Return the byte at which the last so many lines that are not blank begin, and the first of them."""
    size = path.stat().st_size
    length = BLOCK_BYTES
    with open(path, "rb") as file:
        while True:
            start = max(begin, size - length)
            file.seek(start)
            tail = [match for match in _LINE.finditer(file.read()) if match[0]]
            whole = tail if start == begin else tail[1:]
            filled = [match for match in whole if match[0].strip(_BLANKS)]
            if len(filled) >= count:
                first = filled[-count]
                return start + first.start(), first[0][:800].decode(errors="replace").strip()[:200]
            if start == begin:
                return begin, ""
            length *= 4

"""Which old encoding makes sense of text that is not Unicode. Imports nothing of ours.

Bytes say nothing about their encoding, but text does: read wrongly, capitals stand behind small letters, signs between
letters, three accented letters in a row, rare characters all over. What reads with fewer such oddities is believed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

SAMPLE_BYTES = 64 * 1024
"""Bytes of lines beyond ASCII that are looked at."""

DOUBTFUL = 0.2
"""Share of characters beyond ASCII that must be odd in Windows-1252 before another encoding is tried."""

FEWEST = 3
"""Bytes beyond ASCII that must be there at least."""

CLEAR = 0.1
"""Largest share of odd characters of an encoding that is believed."""

COMMON_LETTERS = {"CYRILLIC": "оеаинтсрвлкмду", "GREEK": "αοιετσνηρπκμςυλάόίέή"}
"""The letters that make up three quarters of text in these scripts; half is asked for."""

_MARKS = "’'-·´`"
_PUNCTUATION = "«»“”‘’‚„‹›¿¡…–—•°ºª\u00a0"


def better_than_1252(sample: bytes) -> str:
    """Return the encoding, as Python's codecs name it, that makes sense of text that Windows-1252 does not; else "".

    Args:
        sample: whole lines, each with a byte beyond ASCII.
    """
    if sum(byte > 127 for byte in sample) < FEWEST:
        return ""
    usual = _single(sample.decode("cp1252", errors="replace"))
    if usual <= DOUBTFUL:
        return ""
    best, _, name = min((_odd(sample, name, judge), place, name) for place, (name, judge) in enumerate(_CANDIDATES))
    return name if best <= min(CLEAR, usual / 2) else ""


def _odd(sample: bytes, name: str, judge: Callable[[str], float]) -> float:
    try:
        return judge(sample.decode(name))
    except UnicodeDecodeError:
        return 1.0


def _share(odd: Sequence[bool]) -> float:
    return sum(odd) / len(odd) if odd else 1.0


def _single(text: str) -> float:
    """Return the share of odd characters of text in an alphabet."""
    return _share([_is_odd(text, index) for index, letter in enumerate(text) if not letter.isascii()])


def _is_odd(text: str, at: int) -> bool:
    letter = text[at]
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    kind = unicodedata.category(letter)
    if kind in ("Cc", "Cn", "Co") or letter == "\ufffd" or "\u2500" <= letter <= "\u25ff":
        return True
    if not kind.startswith("L"):
        between = before.isalpha() and after.isalpha() and letter not in _MARKS
        return between or (letter not in _PUNCTUATION and not (before + after).isascii())
    script = _script(letter)
    if (letter.isupper() and before.islower()) or (letter not in "ßªº" and _is_small_among_capitals(text, at)):
        return True
    if script != "LATIN":
        return any(other.isascii() and other.isalpha() for other in (before, after))
    around = text[max(0, at - 2) : at + 3]
    return any(_accented(around[i : i + 3]) for i in range(len(around) - 2))


def _is_small_among_capitals(text: str, at: int) -> bool:
    return text[at].islower() and text[at - 1 : at].isupper() and text[at + 1 : at + 2].isupper()


def _accented(three: str) -> bool:
    return all(not letter.isascii() and letter.isalpha() for letter in three)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split()[0]


def _alphabet(script: str) -> Callable[[str], float]:
    """Return a judge of text in a script that is not Latin: half of its letters must be common ones."""

    def judge(text: str) -> float:
        letters = [letter for letter in text.casefold() if not letter.isascii() and letter.isalpha()]
        common = sum(letter in COMMON_LETTERS[script] for letter in letters)
        return _single(text) if letters and common >= 0.5 * len(letters) else 1.0

    return judge


def _latin(text: str) -> float:
    letters = [letter for letter in text if not letter.isascii()]
    return _single(text) if any(letter.isalpha() for letter in letters) else 1.0


def _japanese(text: str) -> float:
    beyond = _beyond(text)
    if sum("\u3040" <= c <= "\u30ff" for c in beyond) < 0.1 * len(beyond):
        return 1.0
    return _share([not ("\u3040" <= c <= "\u30ff" or _is_common(c, "shift_jis", 0x88, 0x97)) for c in beyond])


def _korean(text: str) -> float:
    return _share([not _is_common(c, "euc_kr", 0xB0, 0xC8) for c in _beyond(text)])


def _chinese(text: str) -> float:
    return _share([not _is_common(c, "gb2312", 0xB0, 0xD7) for c in _beyond(text)])


def _traditional(text: str) -> float:
    return _share([not _is_common(c, "big5", 0xA4, 0xC6) or "\u3040" <= c <= "\u30ff" for c in _beyond(text)])


def _beyond(text: str) -> list[str]:
    """Return the characters beyond ASCII but for punctuation and letters of full width, which all share."""
    return [c for c in text if not c.isascii() and not "\u3000" <= c <= "\u303f" and not "\uff00" <= c <= "\uff5e"]


def _is_common(letter: str, encoding: str, first: int, last: int) -> bool:
    try:
        encoded = letter.encode(encoding)
    except UnicodeEncodeError:
        return False
    return len(encoded) == 2 and first <= encoded[0] <= last


_CANDIDATES: tuple[tuple[str, Callable[[str], float]], ...] = (
    ("euc_jp", _japanese),
    ("cp932", _japanese),
    ("cp949", _korean),
    ("gb18030", _chinese),
    ("big5", _traditional),
    ("cp1251", _alphabet("CYRILLIC")),
    ("koi8-r", _alphabet("CYRILLIC")),
    ("cp866", _alphabet("CYRILLIC")),
    ("cp1253", _alphabet("GREEK")),
    ("cp1250", _latin),
    ("cp850", _latin),
    ("mac-roman", _latin),
)
"""Encodings with the judge of their text; where two make as much sense, the first is believed."""

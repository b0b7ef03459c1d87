"""Whether a row says that it is the sum of the others. Imports nothing of ours."""

from __future__ import annotations

import re

TOTALS = frozenset(
    {
        *("total", "totals", "grand total", "overall total", "sum", "summe", "gesamt", "gesamtsumme", "insgesamt"),
        *("somme", "total général", "totaal", "totale", "totales", "total general", "suma", "suma total", "soma"),
        *("totalt", "summa", "yhteensä", "i alt", "celkem", "spolu", "összesen", "razem", "ogółem", "ukupno", "toplam"),
        *("σύνολο", "итого", "всего", "разом", "всього", "合計", "総計", "合计", "总计", "總計", "합계", "총계"),
    }
)
"""What the first text of a totals line says, in small letters."""

_BEFORE = re.compile(r"[\s\"',;|^~]*")
_BEHIND = re.compile(r"[\"',;|\t^~]")


def totals_word(row: str) -> str:
    """Return the word for a sum with which the text of a row begins, "" if it begins with anything else."""
    word = _BEHIND.split(_BEFORE.sub("", row, count=1), maxsplit=1)[0].strip()
    return word if word.rstrip(" :").casefold() in TOTALS else ""

"""The files that the runs load."""

from __future__ import annotations

from pathlib import Path

LARGE_ROWS = 200_000


def mixed(file: Path, rows: int = 3000) -> Path:
    """Write every type, quotes, words in other scripts, null words and empty cells, and one torn line."""
    lines = ["code,count,price,day,at,yes,word,Über uns,Über uns"]
    for n in range(rows):
        day = f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}"
        price = "NA" if n % 50 == 0 else f"{n / 7:.3f}"
        word = f'"says ""{n}"", and\nmore"' if n % 100 == 1 else "日本語 ☂" if n % 3 else ""
        lines.append(f"{n:05},{n},{price},{day},{day}T12:{n % 60:02}:00,{'true' if n % 2 else 'false'},{word},{n},b")
    lines[1501] = "torn,1"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def large(file: Path, rows: int = LARGE_ROWS) -> Path:
    """Write rows of eight columns, some 15 MB."""
    with file.open("w") as target:
        target.write("id,name,amount,share,day,city,flag,note\n")
        for n in range(rows):
            target.write(
                f"{n},name of number {n},{n * 17 % 99991},{n % 1000 / 1000},2023-{n % 12 + 1:02}-{n % 28 + 1:02},"
                f"city {n % 731},{n % 2},some words that are {n % 13} and {n % 17}\n"
            )
    return file


def key_twice(file: Path, rows: int = 4000) -> Path:
    """Write a file whose key comes twice."""
    lines = ["id,word", *(f"{n},word {n}" for n in range(rows)), "17,again"]
    file.write_text("\n".join(lines) + "\n")
    return file


def web_page(file: Path) -> Path:
    """Write what a portal answers instead of a file when somebody must sign in."""
    file.write_text("<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body>Sign in first</body></html>\n")
    return file

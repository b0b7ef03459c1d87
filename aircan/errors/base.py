"""The root of the tree: what every error says. Imports nothing of ours."""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar


def N_(text: str) -> str:  # noqa: N802 - the name that gettext tools look for
    """Mark a sentence for translation and return it unchanged."""
    return text


class Blame(str, Enum):
    """Who must act: the publisher, the operator, nobody (it passes), or we."""

    DATA = "DATA"
    CONFIG = "CONFIG"
    NETWORK = "NETWORK"
    BUG = "BUG"


class AircanError(Exception):
    """Root of the tree. Leaves are raised with facts, not with sentences.

    Args:
        detail: a line for the log, never shown to readers of a page.
        facts: values for the sentence; `line`, `field` and `value` say where.
    """

    code: ClassVar[str] = "aircan"
    blame: ClassVar[Blame] = Blame.BUG
    retryable: ClassVar[bool] = False
    sentence: ClassVar[str] = N_("Something failed.")
    advice: ClassVar[str] = ""

    def __init__(self, detail: str = "", **facts: Any) -> None:
        self.detail = detail
        self.facts = facts
        super().__init__(f"{self.message} [{detail}]" if detail else self.message)

    @property
    def message(self) -> str:
        """What happened and what to do, in English."""
        return fill(f"{self.sentence} {self.advice}".strip(), self.facts)

    def to_dict(self) -> dict[str, Any]:
        """Return {"code", "blame", "retryable", "message", "detail", "facts", "line", "field"}."""
        return {
            "code": self.code,
            "blame": self.blame.value,
            "retryable": self.retryable,
            "message": self.message,
            "detail": self.detail,
            "facts": {k: v for k, v in self.facts.items() if v is not None},
            "line": self.facts.get("line"),
            "field": self.facts.get("field"),
        }


class _Blanks(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


def fill(sentence: str, facts: dict[str, Any]) -> str:
    """Put facts into a sentence; a fact that is missing shows as "?"."""
    return sentence % _Blanks(facts)

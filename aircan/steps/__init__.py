"""The steps of a run. Each takes the last one's result and returns its own; none knows the next."""

from __future__ import annotations

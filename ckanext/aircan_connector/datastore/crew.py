"""Work on several connections at the same time. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(items: Sequence[Item], work: Callable[[Item], Result], at_once: int) -> list[Result]:
    """Do the work for each item, at most `at_once` at a time, begun in their order; return the results in it.

    Raises what the first item that failed raised, when what is in progress has ended; the rest is not begun.
    """
    with ThreadPoolExecutor(max(at_once, 1), thread_name_prefix="aircan-crew") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise

"""Work on several connections at the same time. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
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


@contextmanager
def beside(work: Callable[[], None]) -> Iterator[None]:
    """Do the work in a thread of its own while the block runs in this one; in the end both are done.

    Raises what the block raised, else what the work raised.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="aircan-crew") as pool:
        future = pool.submit(work)
        yield
        future.result()

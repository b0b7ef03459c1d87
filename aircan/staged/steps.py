"""What a factory's task does with what a function of ours returns or raises. Imports `outside`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from aircan.errors import AircanError, JobStopped
from aircan.staged.outside import Run
from aircan.status import Status

Returned = TypeVar("Returned")


def step(
    function: Callable[..., Returned], run: Run, *given: Any, fail: type[Exception], skip: type[Exception]
) -> Returned:
    """Call a task's function, and end the task as its factory understands it.

    Args:
        function: `fetch`, `convert`, `load`, `publish` or `report`.
        run: the run.
        given: what else the function takes.
        fail: raised when trying again is of no use, and when `report` has told that the run FAILED: the run of
            the factory must fail, too.
        skip: raised when the job is over: nothing is left to do, and nothing is wrong.

    Raises:
        AircanError: what may pass; the factory tries again.
    """
    try:
        returned = function(run, *given)
    except JobStopped as exc:
        raise skip(exc.detail or exc.message) from exc
    except AircanError as exc:
        if exc.retryable:
            raise
        raise fail(str(exc)) from exc
    if isinstance(returned, dict) and returned.get("status") == Status.FAILED.value:
        raise fail(returned["message"])
    return returned

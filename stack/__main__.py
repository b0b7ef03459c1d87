"""The commands behind the Makefile: `python3 -m stack COMMAND`."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from . import airflow_demo, demo, pins, postgres, services, testing, venv
from .say import StackError, plain
from .state import PROJECT, State

TEST_SHIFT = 50


def _demo(asked: argparse.Namespace) -> int:
    return demo.run(State(asked.dir or PROJECT / ".demo"), asked.version, port=asked.port)


def _airflow(asked: argparse.Namespace) -> int:
    return airflow_demo.run(State(asked.dir or PROJECT / ".demo"), asked.version, port=asked.port)


def _down(asked: argparse.Namespace) -> int:
    state = State(asked.dir or PROJECT / ".demo")
    with state.lock("up"):
        services.down(state.folder, state)
    return 0


def _clean(asked: argparse.Namespace) -> int:
    for folder in [asked.dir] if asked.dir else [PROJECT / ".demo", PROJECT / ".test"]:
        if folder.exists():
            state = State(folder)
            services.down(state.folder, state)
            postgres.remove(state)
            shutil.rmtree(state.folder)
            plain(f"removed {folder}")
    return 0


def _test_state(asked: argparse.Namespace) -> State:
    return State(asked.dir or PROJECT / ".test", shift=TEST_SHIFT)


def _test_up(asked: argparse.Namespace) -> int:
    return testing.up(_test_state(asked), asked.version, asked.site, is_live=asked.live)


def _test_down(asked: argparse.Namespace) -> int:
    asked.dir = asked.dir or PROJECT / ".test"
    return _down(asked)


def _test(asked: argparse.Namespace) -> int:
    only = tuple(asked.only.split(",")) if asked.only else ()
    return testing.run(_test_state(asked), asked.version, asked.site, only=only, arguments=asked.arguments)


def _check(asked: argparse.Namespace) -> int:
    return testing.check(_test_state(asked), asked.arguments)


def _bench(asked: argparse.Namespace) -> int:
    return testing.bench(_test_state(asked), asked.version, asked.arguments)


def _pins(asked: argparse.Namespace) -> int:
    return pins.write(asked.arguments)


COMMANDS = {
    "demo": _demo,
    "airflow": _airflow,
    "down": _down,
    "clean": _clean,
    "test": _test,
    "test-up": _test_up,
    "test-down": _test_down,
    "check": _check,
    "bench": _bench,
    "pins": _pins,
}


def main() -> int:
    """Run one command; a StackError becomes a sentence and exit code 2."""
    parser = argparse.ArgumentParser(prog="python3 -m stack", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("--dir", type=Path, help="state folder (.demo or .test)")
    parser.add_argument("--version", default=venv.NEWEST, help=f"CKAN version ({venv.NEWEST})")
    parser.add_argument("--port", type=int, help="the demo's first choice of port (5000)")
    parser.add_argument("--site", default="test", help="name of the test site: own databases, own index (test)")
    parser.add_argument("--live", action="store_true", help="test-up: also a running site, as the browser tests use it")
    parser.add_argument("--only", help="test: comma-separated phases (library, ckan, project, browser, airflow)")
    parser.epilog = "What follows `--` is passed on: to pytest, to the check, to the benchmark."
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    asked = parser.parse_args(sys.argv[1:cut], argparse.Namespace(arguments=sys.argv[cut + 1 :]))
    try:
        return COMMANDS[asked.command](asked)
    except StackError as problem:
        plain(f"\nStopped: {problem}")
        return 2
    except KeyboardInterrupt:
        plain("\nInterrupted. What was started goes on running; `make down` or `make test-down` stops it.")
        return 130


if __name__ == "__main__":
    sys.exit(main())

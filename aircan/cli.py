"""The command `aircan`: look at a file, or carry an order out, without CKAN or as a worker of one.

Exit codes: 0 done, 1 failed (the message says why), 2 wrong use, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aircan import __version__, scratch, sniffed
from aircan.columns.rules import Rules
from aircan.contract import Order, Reject, Report, Type
from aircan.engine import Engine
from aircan.errors import AircanError, JobStopped, OrderRefused
from aircan.folder import FolderSink
from aircan.net.sources import FileSource, LinkSource
from aircan.ports import Source, Tell, never
from aircan.run import run
from aircan.staged.access import Access
from aircan.staged.outside import over_http
from aircan.staged.work import living, until_terminated
from aircan.status import Status
from aircan.steps.convert import refuse
from aircan.steps.infer import infer
from aircan.steps.sniff import sniff
from aircan.table import Rejects, explain


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or those of the process; return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.command(arguments))
    except AircanError as exc:
        _show_error(exc.to_dict(), as_json=arguments.json)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="aircan", description="The data factory: read tables and load them.")
    parser.add_argument("--version", action="version", version=f"aircan {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("sniff", help="say what a file is, and the type of each column with its reason")
    one.add_argument("file", type=Path)
    one.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="delimiter=;  null_words='[\"?\"]'"
    )
    one.add_argument("--type", action="append", default=[], metavar="COLUMN=TYPE", help="type as if a person chose it")
    one.set_defaults(command=_sniff)
    other = commands.add_parser("run", help="carry out an order: into a folder, or with a key into its CKAN")
    other.add_argument("order", type=Path, help="the order, a JSON file")
    other.add_argument("--file", type=Path, help="read this file instead of the resource's")
    where = other.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, default=Path("aircan-out"), help="folder for the rows: %(default)s")
    where.add_argument(
        "--key-env",
        metavar="NAME",
        help="be a worker of the order's CKAN, for a run that waits there; this variable of the environment holds "
        "the factory's key",
    )
    other.add_argument("--allow-host", action="append", default=[], help="host that may have a private address")
    other.set_defaults(command=_run)
    for command in (one, other):
        command.add_argument("--json", action="store_true", help="print JSON, one value a line")
    return parser


def _params(pairs: Sequence[str]) -> dict[str, Any]:
    params: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise OrderRefused(field=f"params.{name}")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def _types(pairs: Sequence[str]) -> dict[str, Type]:
    types: dict[str, Type] = {}
    for pair in pairs:
        name, _, kind = pair.rpartition("=")
        try:
            types[name] = Type(kind)
        except ValueError as exc:
            raise OrderRefused(field=f"types.{name or pair}") from exc
    return types


def _sniff(arguments: argparse.Namespace) -> int:
    FileSource(arguments.file).open().close()
    params, found = _params(arguments.param), list[Reject]()
    with scratch.folder() as workdir:
        rejects = Rejects(10, found.extend)
        name, stop = arguments.file.name, never()
        table = sniff(arguments.file, params=params, workdir=workdir, rejects=rejects, stop=stop, name=name)
        with Engine(workdir, stop=never(), memory_mb=table.memory_mb) as engine:
            if not table.one_line:
                engine.prove(table.relation, table.rows)
            columns = infer(table, engine, types=_types(arguments.type), rules=Rules.of(params))
            refuse(table, columns.columns, engine, rejects)
        rejects.flush()
    shown = {
        **table.facts,
        "rows": table.rows + table.rejected - rejects.count,
        "rejected": rejects.count,
        "fields": [field.to_dict() for field in columns.fields],
        "warnings": [dict(warning) for warning in (*table.warnings, *columns.warnings)],
        "rejects": [reject.to_dict() for reject in found],
    }
    if arguments.json:
        print(json.dumps(shown, ensure_ascii=False))
    else:
        for line in sniffed.lines(shown, found):
            print(line)
    return 0


def _run(arguments: argparse.Namespace) -> int:
    try:
        order = Order.from_dict(json.loads(arguments.order.read_text(encoding="utf-8")))
    except (OSError, ValueError) as exc:
        raise OrderRefused(str(exc), field=str(arguments.order)) from exc
    show = _show_json if arguments.json else _show
    with until_terminated() as stop:
        try:
            carry_out = _into_ckan if arguments.key_env else _into_folder
            final = carry_out(order, arguments, show, stop)
        except KeyboardInterrupt:
            stop.set()
            raise
    if final is None:
        print(JobStopped().message, file=sys.stderr)
    return 0 if final and final.status is Status.DONE else 1


def _into_folder(order: Order, arguments: argparse.Namespace, show: Tell, stop: threading.Event) -> Report | None:
    link = LinkSource.of(order.resource, allow_hosts=arguments.allow_host)
    source: Source = FileSource(arguments.file) if arguments.file else link
    return run(order, source=source, sink=FolderSink(arguments.out), tell=show, stop=stop)


def _into_ckan(order: Order, arguments: argparse.Namespace, show: Tell, stop: threading.Event) -> Report | None:
    """Be a worker of the order's CKAN. Stopped with Ctrl-C, the run there waits for another worker, or is lost."""
    access = Access(keys=(os.environ.get(arguments.key_env, ""),), allow_hosts=arguments.allow_host)
    with contextlib.closing(over_http(order, access, stop)) as ports, living(ports.beat, stop):

        def tell(report: Report) -> None:
            ports.tell(report)
            show(report)

        source = FileSource(arguments.file) if arguments.file else ports.source
        return run(order, source=source, sink=ports.sink, tell=tell, stop=stop)


def _show_json(report: Report) -> None:
    print(json.dumps(report.to_dict(), ensure_ascii=False), flush=True)


def _show(report: Report) -> None:
    if report.progress and not report.task:
        print("  " + _said(report.progress), flush=True)
    elif report.task and report.status is Status.RUNNING:
        print(f"{report.task.id}: {report.task.message or report.task.status.value}", flush=True)
    for warning in report.result.get("warnings", ()):
        print("  warning: " + ", ".join(f"{name} {value!r}" for name, value in warning.items()))
    for reject in report.result.get("rejects", ()):
        print(f"  rejected: line {reject['line']}: {explain(Reject.from_dict(reject))}")
    if report.error:
        _show_error(dict(report.error), as_json=False)
    elif report.status is Status.DONE:
        print(report.message)


def _said(progress: Mapping[str, Any]) -> str:
    """Return progress as a line: how far the run and its phase are, what was done, and what remains of the phase."""
    said = []
    if progress.get("percent") is not None:
        said.append(f"{progress['percent']} %")
    if progress.get("share"):
        said.append(f"{progress['phase']} {progress['share']:.0%}")
    said += [f"{name} {progress[name]}" for name in ("rows", "bytes", "total_bytes") if progress.get(name) is not None]
    if progress.get("eta_s"):
        said.append(f"{progress['phase']} takes about {progress['eta_s']} s more")
    return ", ".join(said)


def _show_error(error: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"error": error}, ensure_ascii=False))
    else:
        print(f"{error['code']}: {error['message']}", file=sys.stderr)

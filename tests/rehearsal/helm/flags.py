"""The arguments that the stand-in takes."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import NoReturn

VERSION = "v4.2.3"
WAITS = ("watcher", "legacy", "hookOnly", "true", "false")


class Parser(argparse.ArgumentParser):
    """A parser that refuses as Helm does: one line, code 1, no guessing of shortened flags."""

    def error(self, message: str) -> NoReturn:
        """Say what is not taken."""
        self.exit(1, f"Error: {message} (this is the rehearsal's stand-in for helm; `{self.prog} --help` lists all)\n")


def seconds(text: str) -> int:
    """Return the seconds of a Go duration such as 5m0s."""
    parts = re.findall(r"(\d+)(h|m|s)", text)
    if not text or "".join(number + unit for number, unit in parts) != text:
        raise argparse.ArgumentTypeError(f'time: invalid duration "{text}"')
    return sum(int(number) * {"h": 3600, "m": 60, "s": 1}[unit] for number, unit in parts)


def parser() -> Parser:
    """Return the parser of the command line."""
    common = Parser(add_help=False, allow_abbrev=False)
    common.add_argument("-n", "--namespace")
    common.add_argument("--kubeconfig")
    common.add_argument("--kube-context")
    waiting = Parser(add_help=False, allow_abbrev=False)
    waiting.add_argument("--wait", nargs="?", const="watcher", choices=WAITS)
    waiting.add_argument("--timeout", type=seconds, default=300)
    chart = Parser(add_help=False, allow_abbrev=False)
    chart.add_argument("name")
    chart.add_argument("chart", help="a folder or a .tgz file")
    chart.add_argument("-f", "--values", action="append", default=[])
    chart.add_argument("--set", action="append", default=[], dest="settings")
    chart.add_argument("--version", dest="chart_version")
    change = Parser(add_help=False, allow_abbrev=False)
    change.add_argument("--create-namespace", action="store_true")
    change.add_argument("--atomic", "--rollback-on-failure", action="store_true", dest="atomic")
    change.add_argument("--dry-run", nargs="?", const="client", choices=("client", "server", "none"))
    change.add_argument("--description")
    change.add_argument("-o", "--output", choices=("table", "json"), default="table")

    top = Parser(prog="helm", allow_abbrev=False, description="Helm's engine behind the rehearsal's command line.")
    verbs = top.add_subparsers(dest="verb", required=True, parser_class=Parser)

    def verb(name: str, *parents: Parser) -> Parser:
        made: Parser = verbs.add_parser(name, parents=[common, *parents], allow_abbrev=False)
        return made

    verb("version").add_argument("--short", action="store_true")
    verb("template", chart).add_argument("--include-crds", action="store_true")
    verb("install", chart, waiting, change)
    upgrade = verb("upgrade", chart, waiting, change)
    upgrade.add_argument("-i", "--install", action="store_true")
    upgrade.add_argument("--history-max", type=int, default=10)
    upgrade.add_argument("--reset-values", action="store_true")
    upgrade.add_argument("--reuse-values", action="store_true")
    _asking(verb)
    uninstall = verb("uninstall", waiting)
    uninstall.add_argument("name")
    uninstall.add_argument("--ignore-not-found", action="store_true")
    uninstall.add_argument("--keep-history", action="store_true")
    return top


def _asking(verb: Callable[..., Parser]) -> None:
    """Add the commands that change nothing."""
    listing = verb("list")
    listing.add_argument("-A", "--all-namespaces", action="store_true")
    listing.add_argument("-a", "--all", action="store_true")
    listing.add_argument("--filter")
    listing.add_argument("-q", "--short", action="store_true")
    listing.add_argument("-o", "--output", choices=("table", "json"), default="table")
    for name in ("status", "history"):
        about = verb(name)
        about.add_argument("name")
        about.add_argument("-o", "--output", choices=("table", "json"), default="table")
    get = verb("get")
    get.add_argument("what", choices=("values", "manifest", "metadata"))
    get.add_argument("name")
    get.add_argument("-a", "--all", action="store_true")
    get.add_argument("-o", "--output", choices=("json",), help="needed for values and metadata")

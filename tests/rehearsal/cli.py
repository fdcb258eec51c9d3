"""Command line of the rehearsal."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.rehearsal import gitrepo, server
from tests.rehearsal.common import Refusal, say
from tests.rehearsal.instance import Instance
from tests.rehearsal.stackfiles import STACK, STACKS, known_stacks


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m tests.rehearsal``."""
    top = argparse.ArgumentParser(
        prog="python -m tests.rehearsal",
        description="A throwaway server on this machine, with a mirror to download from and a stranger to probe from.",
        epilog="Variables: NEUROBATCH_CACHE (default ~/.cache/neurobatch) and NEUROBATCH_MIN_FREE_GB (default 12).",
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--instance", default="demo", help="name of the instance (default: %(default)s)")
    start = verbs.add_parser("up", parents=[common], help="start the containers, or what of them is missing")
    start.add_argument(
        "--stack", default="", metavar="NAME", help=f"{' or '.join(known_stacks())} (default: {STACK}, or what runs)"
    )
    verbs.add_parser("down", parents=[common], help="remove everything but the cache")
    verbs.add_parser("reboot", parents=[common], help="restart the server and wait for its sshd")
    login = verbs.add_parser("ssh", parents=[common], help="log in to the server, or run a command there")
    login.add_argument("command", nargs="*", help="after --: a command, as ssh takes it")
    status = verbs.add_parser("status", parents=[common], help="say what runs")
    status.add_argument("--json", action="store_true", help="print one JSON object")
    verbs.add_parser("pin", help="write the Neurodesktop stand-in's commit into the rehearsal's stacks")
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; return 0, or 1 after one sentence about what is missing."""
    args = parser().parse_args(argv)
    try:
        return _run(args)
    except Refusal as refusal:
        print(f"rehearsal: {refusal}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("rehearsal: interrupted; the same command goes on from here", file=sys.stderr)
        return 130


def _run(args: argparse.Namespace) -> int:
    if args.verb == "pin":
        return _pin()
    instance = Instance(args.instance, stack=getattr(args, "stack", ""))
    if args.verb == "up":
        state = instance.up()
        inventory = Path(state["inventory"]).parent.relative_to(state["checkout"])
        say(f"next: .venv/bin/ansible-playbook -i {inventory} site.yml")
    elif args.verb == "down":
        instance.down()
        say(f"nothing of the rehearsal `{args.instance}` is left but the cache in {instance.cache}")
    elif args.verb == "reboot":
        instance.reboot()
    elif args.verb == "ssh":
        command = server.interactive(instance.names, instance.state["server_ip"], args.command)
        sys.stdout.flush()
        os.execv(command[0], command)  # noqa: S606  # the terminal and the exit code become ssh's
    elif args.verb == "status":
        _print_status(instance, as_json=args.json)
    return 0


def _print_status(instance: Instance, *, as_json: bool) -> None:
    """Print what runs, for a person or for a program."""
    status = instance.status()
    if as_json:
        print(json.dumps(status, indent=2))
        return
    print(
        f"{status['instance']}: {'up' if status['up'] else 'not up'} (Docker {status['engine'] or 'does not answer'})"
    )
    for part, found in status["containers"].items():
        ip = status["state"][f"{part}_ip"] if status["state"] else ""
        print(f"  {part:9} {found:9} {ip}")


def _pin() -> int:
    """Write the commit that the stand-in's files make into the rehearsal's stack files."""
    with tempfile.TemporaryDirectory() as folder:
        commit = gitrepo.build(Path(folder))
    for path in STACKS.glob("*.yml"):
        path.write_text(re.sub(r"(?m)^(\s*commit: )\S+$", rf"\g<1>{commit}", path.read_text()))
    print(commit)
    return 0

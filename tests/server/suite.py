"""A suite on a rehearsed server of its own: boot it, provision it, test, take it down."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.rehearsal.common import Refusal, say
from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.server import playbook


def provision(instance: Instance, *arguments: str, what: str) -> playbook.Result:
    """Run site.yml with these arguments, and say how it went.

    Raises:
        Refusal: it failed.
    """
    say(what)
    result = playbook.run(instance, *arguments, timeout=2400)
    if result.code:
        raise Refusal(f"{what} failed:\n{result.output[-4000:]}")
    say(f"{what}: changed={result.recap()['changed']}, {result.seconds:.0f} s")
    return result


def main(
    folder: Path,
    prepare: Callable[[Instance], None],
    *,
    instance: str,
    description: str | None,
    stack: str = "",
    argv: Sequence[str] | None = None,
) -> int:
    """Run a suite; return pytest's exit code, or 1 when it could not begin.

    Args:
        folder: where its tests are; the package tests.FOLDER.
        prepare: what is done to the booted server first.
        instance: the rehearsal's.
        description: for --help.
        stack: the one that is taken where nothing else says another; empty: the first.
        argv: the command line.
    """
    name = f"tests.{folder.name}"
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=description)
    default = os.environ.get("STACK", stack)
    parser.add_argument("--stack", default=default, help=f"default: {default or 'the first'}")
    parser.add_argument("--keep", action="store_true", help="leave the instance up afterwards")
    parser.add_argument("pytest", nargs="*", help="after --: arguments for pytest")
    args = parser.parse_args(argv)
    made = Instance(instance, stack=args.stack)
    try:
        made.up()
        prepare(made)
        tests = [sys.executable, "-m", "pytest", "-v", str(folder), *args.pytest]
        return subprocess.run(tests, cwd=CHECKOUT, check=False).returncode
    except Refusal as refusal:
        print(f"{name}: {refusal}", file=sys.stderr)
        return 1
    finally:
        if not args.keep:
            made.down()

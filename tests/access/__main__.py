"""Boot a rehearsal with a cluster, provision it twice, try access to it, and take it down: ``make test-access``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.access.conftest import INSTANCE
from tests.rehearsal.common import Refusal, say
from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.server import playbook


def provision(instance: Instance) -> None:
    """Run site.yml, and again: the second run has nothing to do.

    Raises:
        Refusal: a run failed, or the second one changed something.
    """
    for number in (1, 2):
        say(f"site.yml, run {number}")
        started = time.monotonic()
        done = subprocess.run(
            playbook.command(instance), cwd=CHECKOUT, env=playbook.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        result = playbook.Result(done.returncode, done.stdout, time.monotonic() - started)
        if result.code:
            raise Refusal(f"run {number} of site.yml failed:\n{result.output[-4000:]}")
        say(f"site.yml, run {number}: changed={result.recap()['changed']}, {result.seconds:.0f} s")
        if number == 2 and result.recap()["changed"]:
            raise Refusal(f"the second run of site.yml changed something:\n{result.output[-4000:]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite; return pytest's exit code, or 1 when it could not begin."""
    parser = argparse.ArgumentParser(prog="python -m tests.access", description=__doc__)
    parser.add_argument("--stack", default=os.environ.get("STACK", "rehearsal-2.5.0"), help="default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="leave the instance up afterwards")
    parser.add_argument("pytest", nargs="*", help="after --: arguments for pytest")
    args = parser.parse_args(argv)
    instance = Instance(INSTANCE, stack=args.stack)
    try:
        instance.up()
        provision(instance)
        tests = str(Path(__file__).parent)
        code = subprocess.run([sys.executable, "-m", "pytest", "-v", tests, *args.pytest], cwd=CHECKOUT, check=False)
        return code.returncode
    except Refusal as refusal:
        print(f"tests.access: {refusal}", file=sys.stderr)
        return 1
    finally:
        if not args.keep:
            instance.down()


if __name__ == "__main__":
    sys.exit(main())

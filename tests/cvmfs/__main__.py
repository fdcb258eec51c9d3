"""Boot a rehearsal with a cluster, give it the tools twice, try them, and take it down: ``make test-cvmfs``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.cvmfs.conftest import INSTANCE, ROLES
from tests.rehearsal.common import Refusal, say
from tests.rehearsal.instance import Instance
from tests.rehearsal.names import CHECKOUT
from tests.server import playbook


def provision(instance: Instance) -> None:
    """Run the roles up to the tools.

    Raises:
        Refusal: a run failed.
    """
    say("site.yml, up to the tools")
    result = playbook.run(instance, "--tags", ROLES, timeout=2400)
    if result.code:
        raise Refusal(f"site.yml failed:\n{result.output[-4000:]}")
    say(f"site.yml: changed={result.recap()['changed']}, {result.seconds:.0f} s")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suite; return pytest's exit code, or 1 when it could not begin."""
    parser = argparse.ArgumentParser(prog="python -m tests.cvmfs", description=__doc__)
    parser.add_argument("--stack", default=os.environ.get("STACK", ""), help="default: the first")
    parser.add_argument("--keep", action="store_true", help="leave the instance up afterwards")
    parser.add_argument("pytest", nargs="*", help="after --: arguments for pytest")
    args = parser.parse_args(argv)
    instance = Instance(INSTANCE, stack=args.stack)
    try:
        instance.up()
        provision(instance)
        argv_ = [sys.executable, "-m", "pytest", "-v", str(Path(__file__).parent), *args.pytest]
        return subprocess.run(argv_, cwd=CHECKOUT, check=False).returncode
    except Refusal as refusal:
        print(f"tests.cvmfs: {refusal}", file=sys.stderr)
        return 1
    finally:
        if not args.keep:
            instance.down()


if __name__ == "__main__":
    sys.exit(main())

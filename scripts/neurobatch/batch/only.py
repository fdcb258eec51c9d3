"""The command line with the verbs for batches alone, for places where nothing else of this project is at home."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from neurobatch.batch import arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    top = argparse.ArgumentParser(prog="neurobatch", description="Notebooks as batch jobs on this workstation.")
    arguments.add(top.add_subparsers(required=True, metavar="COMMAND"))
    args = arguments.parse(top, argv)
    code: int = args.run(args)
    return code

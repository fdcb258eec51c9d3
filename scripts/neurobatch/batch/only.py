"""The command line with the verbs for batches alone, for places where nothing else of this project is at home."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from neurobatch.batch import arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    args = arguments.parse(parser(), argv)
    code: int = args.run(args)
    return code


def parser() -> argparse.ArgumentParser:
    """Return the parser of these verbs."""
    top = argparse.ArgumentParser(prog="neurobatch", description="Notebooks as batch jobs on this workstation.")
    arguments.add(top.add_subparsers(required=True, metavar="COMMAND"))
    return top

"""`neurobatch smoke`: the command line around neurobatch.kfp.smoke."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from pathlib import Path

from neurobatch.kfp import report, smoke
from neurobatch.kfp.client import Client, KfpError, UnknownError, lost
from neurobatch.kfp.pods import Kubectl
from neurobatch.kfp.template import TemplateError

SUCCEEDED, FAILED, USAGE, UNREACHABLE, LATE = 0, 1, 2, 3, 4
INTERRUPTED = 130
#: As for batches (neurobatch.batch.command): seconds to connect, between two pieces of an answer, for a request as a
#: whole; attempts; pauses between them. Every question to the API is over in five minutes, whatever answers.
TIMES, ATTEMPTS, PAUSES = (5.0, 15.0, 30.0), 6, (0.5, 4.0)
INTERVAL = 2.0
"""Seconds between two looks."""


def run(args: argparse.Namespace) -> int:
    """Run the smoke pipeline as the command line says and return the exit code.

    Progress goes to standard output, with ``--json`` to standard error; the last line of standard output is the verdict
    or the JSON object.
    """
    stream = sys.stderr if args.json else sys.stdout

    def say(line: str) -> None:
        print(line, file=stream, flush=True)

    cluster = Kubectl(args.kubeconfig, args.namespace, args.kubectl) if args.kubeconfig else None
    if args.kubeconfig and not Path(args.kubeconfig).is_file():
        print(f"neurobatch: {args.kubeconfig} cannot be read (root's on a server: use sudo).", file=sys.stderr)
        return USAGE
    request = smoke.Request(
        image=args.image,
        stack=args.compiled_for,
        claims=dict(args.claim),
        deadline=args.deadline,
        grace=args.grace,
        interval=INTERVAL,
    )
    client = Client(args.endpoint, timeout=TIMES, attempts=ATTEMPTS, backoff=PAUSES)
    try:
        outcome = smoke.run(client, request, cluster, say)
    except TemplateError as error:
        print(f"neurobatch: {error}", file=sys.stderr)
        return USAGE
    except KfpError as error:
        verdict = f"smoke: FAILED ({_how_far(error)}): {error}"
        if args.report:
            # The report of an older run must not pass for this one's.
            outcome = smoke.Outcome(False, False, verdict, "", 0.0, [], {"endpoint": args.endpoint}, time.time())
            with contextlib.suppress(OSError):
                report.write(outcome, Path(args.report))
        print(json.dumps({"succeeded": False, "verdict": verdict}) if args.json else verdict)
        return UNREACHABLE if lost(error) else FAILED
    except KeyboardInterrupt:
        print("\nneurobatch: interrupted", file=sys.stderr)
        return INTERRUPTED
    if args.report:
        try:
            report.write(outcome, Path(args.report))
        except OSError as error:
            print(f"neurobatch: the report cannot be written to {args.report}: {error.strerror}.", file=sys.stderr)
            return USAGE
        say(f"report: {args.report}/report.html")
    print(json.dumps(dataclasses.asdict(outcome)) if args.json else outcome.verdict)
    return SUCCEEDED if outcome.succeeded else LATE if outcome.timed_out else FAILED


def _how_far(error: KfpError) -> str:
    """Return how far the pipeline got before the API failed."""
    if isinstance(error, UnknownError):
        return "perhaps submitted"
    return "submitted, then lost sight of" if isinstance(error, smoke.LostError) else "not submitted"

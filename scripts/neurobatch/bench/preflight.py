"""What playbooks/preflight.yml costs: time, SSH round trips, and what a dead CVMFS server adds."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from neurobatch.bench.noop import play, ssh_execs
from neurobatch.bench.sandbox import ROOT, figure, need_sandbox

BOOK = "playbooks/preflight.yml"
#: Addresses that belong to no machine (RFC 5737): packets to them are answered by nobody.
SILENT = [f"http://192.0.2.{number}" for number in range(1, 9)]


def refused(*options: str) -> float:
    """Return the wall seconds of a run that ends with a refusal.

    Raises:
        RuntimeError: it did not.
    """
    playbook = Path(sys.executable).with_name("ansible-playbook")
    started = time.monotonic()
    run = subprocess.run(
        [str(playbook), "-i", str(need_sandbox()), BOOK, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - started
    if "No CVMFS server can be used" not in " ".join(run.stdout.split()):
        raise RuntimeError(f"{BOOK} {' '.join(options)} was not refused:\n{run.stdout[-3000:]}{run.stderr[-1000:]}")
    return seconds


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit codes: 0, 1 a run failed, 2 no sandbox.")
    parser.add_argument("--runs", type=int, default=5, help="how often the wall time is taken (default: %(default)s)")
    runs = parser.parse_args(argv).runs
    need_sandbox()
    try:
        play(book=BOOK)  # opens the SSH connection that the others share
        figure("wall_s_median", statistics.median(play(book=BOOK)[0] for _ in range(runs)))
        figure("ssh_execs", ssh_execs(BOOK))
        figure("silent_cvmfs_wall_s", refused("-e", json.dumps({"cvmfs_servers": SILENT})))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a run of site.yml costs where nothing is to do."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

from neurobatch.bench.sandbox import ROOT, figure, need_sandbox

#: Roles measured alone, by their tag.
ROLES = ("docker", "neurodesktop")


def play(*options: str, env: dict[str, str] | None = None, book: str = "site.yml") -> tuple[float, str]:
    """Run a playbook; return wall seconds and output.

    Raises:
        RuntimeError: the run failed, or was no no-op after all.
    """
    playbook = Path(sys.executable).with_name("ansible-playbook")
    command = [str(playbook), "-i", str(need_sandbox()), book, *options]
    started = time.monotonic()
    run = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if run.returncode or not re.search(r"changed=0 |\"changed\": 0,", run.stdout):
        raise RuntimeError(f"{book} {' '.join(options)} was no no-op:\n{run.stdout[-3000:]}{run.stderr[-1000:]}")
    return seconds, run.stdout


def detail() -> dict[str, float]:
    """Return figures of one run by Ansible's own JSON report, and the share of each role in its task time."""
    env = {"ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    _, output = play(env=env)
    report = json.loads(output[output.index("{") :])
    statuses: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for each in report["plays"]:
        for task in each["tasks"]:
            for result in task["hosts"].values():
                statuses["skipped" if result.get("skipped") else "run"] += 1
            # Included tasks carry the name of the role in front.
            role = task["task"].get("name", "").split(" : ")[0] if " : " in task["task"].get("name", "") else "play"
            seconds[role] += _duration(task["task"]["duration"])
    total = sum(seconds.values())
    shares = {f"{role}_share_percent": 100 * value / total for role, value in seconds.items() if role != "play"}
    return {"tasks_run": statuses["run"], "tasks_skipped": statuses["skipped"], **shares}


def _duration(value: dict[str, str]) -> float:
    def at(text: str) -> float:
        clock = re.search(r"T(\d+):(\d+):([\d.]+)", text)
        return (
            sum(float(part) * scale for part, scale in zip(clock.groups(), (3600, 60, 1), strict=True))
            if clock
            else 0.0
        )

    return max(0.0, at(value.get("end", "")) - at(value.get("start", "")))


def ssh_execs(book: str = "site.yml") -> int:
    """Return how many commands one run sends over SSH, as Ansible's own trace counts them."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "trace"
        play("-vvv", env={"ANSIBLE_LOG_PATH": str(log)}, book=book)
        return len(re.findall(r"SSH: EXEC ", log.read_text()))


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit codes: 0, 1 not a no-op, 2 no sandbox.")
    parser.add_argument("--runs", type=int, default=5, help="how often each wall time is taken (default: %(default)s)")
    runs = parser.parse_args(argv).runs
    need_sandbox()
    try:
        play()  # opens the SSH connection that the others share
        figure("wall_s_median", statistics.median(play()[0] for _ in range(runs)))
        for role in ROLES:
            figure(f"{role}_wall_s_median", statistics.median(play("--tags", role)[0] for _ in range(runs)))
        for name, value in detail().items():
            figure(name, value)
        figure("ssh_execs", ssh_execs())
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    figure("controller_rss_mb", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
    return 0


if __name__ == "__main__":
    sys.exit(main())

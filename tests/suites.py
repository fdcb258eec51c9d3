"""The suites of ``make test``: run them all, show how far they are, and count everything in one closing line.

Usage: scripts/run-tests lint|unit|molecule …
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
RESULTS = CHECKOUT / ".rehearsal" / "results"
"""JUnit files, one for every run of pytest; git-ignored."""

LINTERS: dict[str, tuple[str, ...]] = {
    "ansible-lint": ("ansible-lint",),
    "yamllint": ("yamllint", "--strict", "."),
    "ruff check": ("ruff", "check", "--output-format=concise", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "mypy, tests on the server": ("mypy", "molecule/default/tests"),
    "role-docs": ("neurobatch", "role-docs", "--check"),
}
#: Steps of molecule that assert something by themselves; create or destroy only make or remove.
ASSERTING_STEPS = ("syntax", "check", "converge", "idempotence")
_STEP = re.compile(r"\[default > (\w+)\] Execut(?:ing$|ed: (\w+))")
#: Molecule colours a failure even where it is asked for no colours.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MATRIX = re.compile(r"scenario test matrix: (.*)")
_SILENCE = 30.0


@dataclass
class Counts:
    """How many checks passed, failed and were skipped, and the names of those that failed."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, name: str, ok: bool) -> None:
        """Count one check."""
        self.passed += ok
        self.failed += not ok
        if not ok:
            self.failures.append(name)

    def __iadd__(self, other: Counts) -> Counts:
        """Add another suite's counts."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures
        return self

    def closing_line(self) -> str:
        """Return the last line of everything."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"neurobatch: {self.passed} passed, {self.failed} failed{skipped}"


def junit(path: Path) -> Counts:
    """Return the counts of one JUnit file as pytest writes it; one that cannot be read is a failure."""
    counts = Counts()
    try:
        cases = list(ET.parse(path).getroot().iter("testcase"))  # noqa: S314  # pytest has just written it
    except (OSError, ET.ParseError) as error:
        counts.add(f"{path.name}: {error}", ok=False)
        return counts
    for case in cases:
        name = f"{case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            counts.add(name, ok=False)
        elif case.find("skipped") is not None:
            counts.skipped += 1
        else:
            counts.add(name, ok=True)
    return counts


def environment() -> dict[str, str]:
    """Return the environment of all suites: .venv first in PATH (ansible-lint and molecule need it), no colours."""
    unwanted = ("ANSIBLE_", "MOLECULE_", "PYTEST_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(unwanted)}
    path = f"{CHECKOUT / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    return {**kept, "PATH": path, "NO_COLOR": "1", "PY_COLORS": "0", "PYTHONUNBUFFERED": "1"}


def say(text: str) -> None:
    """Print a line at once."""
    print(text, flush=True)


class Watcher:
    """Is told every line that a command prints, and says what the command is at."""

    def __init__(self) -> None:
        """Start with the command as a whole."""
        self.current = ""
        self.since = time.monotonic()

    def read(self, line: str) -> None:
        """Take note of a line."""


def run(argv: Sequence[str], watcher: Watcher | None = None, **extra: str) -> int:
    """Run a command, show what it prints as it comes, and say after each half minute of silence that it is alive.

    Args:
        argv: the command, found in .venv first.
        watcher: is told every line.
        extra: more environment variables.

    Returns:
        its exit code, 127 where it is not installed.
    """
    watcher = watcher or Watcher()
    env = environment() | extra
    program = shutil.which(argv[0], path=env["PATH"])
    if program is None:
        say(f"{argv[0]} is not installed; run: make venv")
        return 127
    process = subprocess.Popen(
        [program, *argv[1:]], cwd=CHECKOUT, env=env, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    heard = time.monotonic()
    ended = threading.Event()

    def heartbeat() -> None:
        while not ended.wait(1):
            nonlocal heard
            if time.monotonic() - heard >= _SILENCE:
                heard = time.monotonic()
                say(f"… {watcher.current or argv[0]} ({heard - watcher.since:.0f} s)")

    threading.Thread(target=heartbeat, daemon=True).start()
    try:
        for line in process.stdout or ():
            heard = time.monotonic()
            say(line.rstrip("\n"))
            watcher.read(line)
    except BaseException:
        process.terminate()
        raise
    finally:
        ended.set()
        process.wait()
    return process.returncode


def lint() -> Counts:
    """Run every linter; each counts as one check."""
    counts = Counts()
    for name, argv in LINTERS.items():
        started = time.monotonic()
        say(f"-- {name}")
        code = run(argv)
        say(f"-- {name}: {'ok' if code == 0 else f'FAILED (exit code {code})'}, {time.monotonic() - started:.0f} s")
        counts.add(f"lint: {name}", ok=code == 0)
    return counts


def unit() -> Counts:
    """Run the unit tests."""
    target = RESULTS / "unit.xml"
    code = run(["pytest", "-q", "tests/unit", f"--junitxml={target}"])
    counts = junit(target)
    if code and not counts.failed:
        counts.add(f"unit: pytest ended with exit code {code}", ok=False)
    return counts


class Steps(Watcher):
    """Reads molecule's own log lines, and knows which step it is at and how the asserting ones ended."""

    def __init__(self) -> None:
        """Start before the first step."""
        super().__init__()
        self.counts = Counts()
        self.times: list[tuple[str, float]] = []
        self.verified = 0
        self._matrix: list[str] = []

    def read(self, line: str) -> None:
        """Take note of a line."""
        line = _COLOUR.sub("", line.rstrip())
        if announced := _MATRIX.search(line):
            self._matrix = announced[1].split(", ")
        found = _STEP.search(line)
        if not found:
            return
        name, outcome = found.groups()
        if outcome is None:
            # The matrix has the step's arguments, too; after a failure molecule leaves it for cleanup and destroy.
            planned = self._matrix.pop(0) if self._matrix else ""
            self.current = planned if planned.split(" ")[0] == name else name
            self.since = time.monotonic()
            return
        self.times.append((self.current or name, time.monotonic() - self.since))
        self.current = ""
        self.verified += name == "verify"
        if name in ASSERTING_STEPS:
            self.counts.add(f"molecule: {name}", ok=outcome == "Successful")


def molecule() -> Counts:
    """Run the scenario; its asserting steps and the tests of every verify count."""
    steps = Steps()
    code = run(["molecule", "test"], steps, NEUROBATCH_RESULTS=str(RESULTS))
    for name, seconds in steps.times:
        say(f"    {seconds:5.0f} s  {name}")
    counts = steps.counts
    files = sorted(RESULTS.glob("molecule-*.xml"))
    for path in files:
        counts += junit(path)
    if len(files) != steps.verified:
        # Molecule is content with a verify that finds no tests.
        counts.add(f"molecule: {steps.verified} verify steps left {len(files)} result files", ok=False)
    if code and not counts.failed:
        counts.add(f"molecule: ended with exit code {code}", ok=False)
    return counts


SUITES: dict[str, Callable[[], Counts]] = {"lint": lint, "unit": unit, "molecule": molecule}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the suites named, all of them even when one fails; return 0 when everything passed."""
    parser = argparse.ArgumentParser(prog="scripts/run-tests", description="Run test suites and count everything.")
    parser.add_argument("suites", nargs="+", choices=SUITES, metavar="SUITE", help=", ".join(SUITES))
    chosen = parser.parse_args(argv).suites
    shutil.rmtree(RESULTS, ignore_errors=True)
    RESULTS.mkdir(parents=True)
    total = Counts()
    for name in chosen:
        started = time.monotonic()
        say(f"=== {name}")
        counts = SUITES[name]()
        if not counts.passed + counts.failed:
            counts.add(f"{name}: not one check was run", ok=False)
        say(f"=== {name}: {counts.passed} passed, {counts.failed} failed, {time.monotonic() - started:.0f} s")
        total += counts
    for failure in total.failures:
        say(f"FAILED {failure}")
    say(total.closing_line())
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())

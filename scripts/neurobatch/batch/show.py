"""What people and programs see: lines with colour and a progress line on a terminal, one JSON object for scripts."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from neurobatch.batch.journal import OVER, WAITING, Batch, Subject

_COLOURS = {"SUCCEEDED": "32", "FAILED": "31", "CANCELED": "35", "SKIPPED": "35", "RUNNING": "33", "PENDING": "33"}


def document(batch: Batch) -> dict[str, Any]:
    """Return a batch for --json."""
    names = ("name", "state", "attempt", "run_id", "submitted", "ended", "reason", "cell")
    return {
        "run": batch.name,
        "folder": str(batch.folder),
        "created": batch.created,
        "over": batch.over,
        "counts": batch.counts(),
        "failed": [subject.name for subject in batch.failed],
        "subjects": [{name: getattr(subject, name) for name in names} for subject in batch.subjects],
    }


def summary(batch: Batch) -> str:
    """Return how a batch stands in one line."""
    good = sum(subject.state == "SUCCEEDED" for subject in batch.subjects)
    total = len(batch.subjects)
    if not batch.over:
        running = sum(subject.state not in OVER and subject.state != WAITING for subject in batch.subjects)
        waiting = sum(subject.state == WAITING for subject in batch.subjects)
        failed = f", {len(batch.failed)} failed" if batch.failed else ""
        return f"{batch.name}: {good} of {total} succeeded{failed}, {running} under way, {waiting} to be submitted"
    if not batch.failed:
        return f"{batch.name}: all {total} succeeded; results in {batch.folder}"
    names = ", ".join(subject.name for subject in batch.failed)
    return f"{batch.name}: {good} of {total} succeeded; failed: {names}; again: neurobatch resubmit {batch.name}"


class Screen:
    """Where a command writes; with ``--json`` all but the object goes to standard error."""

    def __init__(self, *, as_json: bool = False) -> None:
        """Look at what the output is."""
        self.json = as_json
        self.stream = sys.stderr if as_json else sys.stdout
        terminal = self.stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.colour = terminal and not os.environ.get("NO_COLOR")
        self.progress = terminal
        self._began = time.monotonic()

    def paint(self, state: str) -> str:
        """Return a state, in its colour where there are colours."""
        return f"\033[{_COLOURS[state]}m{state}\033[0m" if self.colour and state in _COLOURS else state

    def line(self, text: str) -> None:
        """Write a line."""
        clear = "\r\033[K" if self.progress else ""
        print(f"{clear}{text}", file=self.stream, flush=True)

    def told(self, batch: Batch, subject: Subject | None, text: str) -> None:
        """Show a change while a batch is driven, and on a terminal how the batch stands."""
        elapsed = f"[{time.monotonic() - self._began:5.0f} s]"
        if subject is None:
            self.line(f"{elapsed} {text}")
        else:
            again = f" (attempt {subject.attempt})" if subject.attempt > 1 else ""
            why = f": {subject.reason}" if subject.reason else ""
            self.line(f"{elapsed} {subject.name}{again} {self.paint(subject.state)}{why}")
        if self.progress:
            print(f"\033[2m{summary(batch)}\033[0m", end="", file=self.stream, flush=True)

    def batch(self, batch: Batch) -> None:
        """Write how a batch stands: a table of its subjects and the summary, or the object."""
        if self.json:
            print(json.dumps(document(batch)), flush=True)
            return
        width = max(len(subject.name) for subject in batch.subjects)
        for subject in batch.subjects:
            seconds = f"{subject.ended - subject.submitted:6.0f} s" if subject.ended and subject.submitted else " " * 8
            again = f"attempt {subject.attempt}  " if subject.attempt > 1 else ""
            state = self.paint(subject.state) + " " * (10 - len(subject.state))
            self.line(f"{subject.name:{width}}  {state} {seconds}  {again}{subject.reason}".rstrip())
        self.line(summary(batch))

    def object(self, document: Any, text: str) -> None:
        """Write a line for people, or an object for programs."""
        if self.json:
            print(json.dumps(document), flush=True)
        else:
            self.line(text)

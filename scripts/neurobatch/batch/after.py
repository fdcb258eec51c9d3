"""`--after RUN`: which subjects of a batch have to wait for another one, and which wait in vain."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from neurobatch.batch import journal
from neurobatch.batch.journal import OVER, Batch, Subject

LOOK = 10.0
"""Seconds between two questions to the API about a run that nobody drives."""


class Gate:
    """The runs that a batch comes after, as their journals have them; the API is asked only where nobody drives one."""

    def __init__(
        self,
        storage: Path,
        names: list[str],
        refresh: Callable[[Batch], None],
        tell: Callable[[str], None],
    ) -> None:
        """Remember whom to ask and whom to tell; nothing is read yet."""
        self.storage, self.names, self.refresh, self.tell = storage, names, refresh, tell
        self.runs: list[Batch] = []
        self._asked: dict[str, tuple[float, Batch]] = {}
        self._told: set[str] = set()

    def look(self) -> None:
        """Read how the runs stand.

        Raises:
            RefusalError: one of them is not there any more.
            KfpError: the API was asked and does not answer.
        """
        self.runs = [self._standing(journal.find(self.storage, name)) for name in self.names]

    def waits(self, subject: str) -> bool:
        """Return whether a subject has to wait still."""
        return any(other.state not in OVER for run in self.runs for other in _relevant(run, subject))

    def closed(self, subject: str) -> str:
        """Return why a subject waits in vain, "" where it does not."""
        for run in self.runs:
            for other in _relevant(run, subject):
                if other.state in OVER and other.state != "SUCCEEDED":
                    return f"not begun: {other.name} of {run.name}, which it comes after, is {other.state}"
        return ""

    def _standing(self, run: Batch) -> Batch:
        if run.over or run.driven():
            self._asked.pop(run.name, None)
            return run
        when, seen = self._asked.get(run.name, (0.0, run))
        if time.monotonic() - when < LOOK and when:
            return seen
        self.refresh(run)
        self._asked[run.name] = (time.monotonic(), run)
        waiting = sum(each.state in (journal.WAITING, journal.SUBMITTING) for each in run.subjects)
        if waiting and run.name not in self._told:
            self._told.add(run.name)
            self.tell(
                f"{run.name}, which this comes after, has {waiting} subjects left that nobody submits; "
                f"`neurobatch resume {run.name}` in another terminal does"
            )
        return run


def _relevant(run: Batch, subject: str) -> list[Subject]:
    """Return the subject of this name in a run, all of them where there is none."""
    return [other for other in run.subjects if other.name == subject] or run.subjects

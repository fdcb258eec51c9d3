"""Which containers of `run --local` go, and which stay because nothing else tells how they ended.

A small program takes the place of the Docker client here; tests/local has the real one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from neurobatch.batch import journal
from neurobatch.batch.local import PREFIX, LocalClient
from neurobatch.batch.settings import Settings

#: Knows `container inspect NAME` and `container rm --force NAME` of containers that are files beside it.
CLIENT = """#!/bin/sh
cd "$(dirname "$0")/containers" || exit 1
for name; do :; done
[ -e "$name" ] || { echo "Error: No such container: $name" >&2; exit 1; }
case "$2" in inspect) cat "$name" ;; rm) [ ! -e ../busy ] && rm "$name" ;; *) exit 1 ;; esac
"""
#: Each with its container's state and exit code, what its step said last, and how its run ended.
SUBJECTS = {
    "good": ("exited", 0, "succeeded", "SUCCEEDED"),
    "bad": ("exited", 1, "failed", "FAILED"),
    "killed": ("exited", 137, "running", "FAILED"),
    "ended": ("exited", 143, "ended", "FAILED"),
    "silent": ("exited", 127, "", "FAILED"),
    "working": ("running", 0, "running", "RUNNING"),
}


@pytest.fixture
def batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> journal.Batch:
    """A batch that was submitted, each subject in a container."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "docker").write_text(CLIENT)
    (tmp_path / "docker").chmod(0o755)
    (tmp_path / "containers").mkdir()
    subjects = [journal.Subject(name, {}, state="RUNNING") for name in SUBJECTS]
    request = {"notebook": "bet.ipynb", "local": True}
    made = journal.create(tmp_path, tmp_path, "mine", request=request, subjects=subjects, content=b"{}")
    for subject in subjects:
        state, code, said, _ = SUBJECTS[subject.name]
        subject.run_id = PREFIX + made.key(subject)
        shown = [{"State": {"Status": state, "ExitCode": code}}]
        (tmp_path / "containers" / subject.run_id).write_text(json.dumps(shown))
        (made.folder / subject.name).mkdir()
        if said:
            status = {"key": made.key(subject), "state": said}
            (made.folder / subject.name / "status.json").write_text(json.dumps(status))
    return made


def states(batch: journal.Batch) -> dict[str, str]:
    """Look at the runs, and return how each subject is."""
    names = {subject.run_id: subject.name for subject in batch.subjects}
    return {names[run.run_id]: run.state for run in LocalClient(Settings(), batch).runs("local")}


def left(batch: journal.Batch, tmp_path: Path) -> set[str]:
    """Return the subjects whose containers are there."""
    return {subject.name for subject in batch.subjects if (tmp_path / "containers" / subject.run_id).exists()}


def test_a_look_removes_what_the_storage_tells_as_well(batch: journal.Batch, tmp_path: Path) -> None:
    expected = {name: row[3] for name, row in SUBJECTS.items()}
    assert states(batch) == expected
    assert left(batch, tmp_path) == {"killed", "ended", "silent", "working"}
    assert states(batch) == expected, "what is gone is remembered"


def test_a_driver_removes_what_is_over_and_no_more(batch: journal.Batch, tmp_path: Path) -> None:
    for subject in batch.subjects:
        LocalClient(Settings(), batch).run(subject.run_id)
    assert left(batch, tmp_path) == {"working"}


def test_a_container_that_somebody_else_removes_is_no_fault(batch: journal.Batch, tmp_path: Path) -> None:
    (tmp_path / "busy").touch()
    expected = {name: row[3] for name, row in SUBJECTS.items()}
    assert states(batch) == expected
    client = LocalClient(Settings(), batch)
    assert {subject.name: client.run(subject.run_id).state for subject in batch.subjects} == expected

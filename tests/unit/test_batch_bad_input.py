"""Each kind of bad input with the command as it is installed, in a process of its own: refused or reported, in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit import batch_bench, test_notebook_step
from tests.unit.batch_bench import Bench

COMMAND = Path(sys.executable).with_name("neurobatch")
#: Seconds for all of a command here: refused at once, or ended as soon as it is known to be hopeless.
BOUND = 30


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with batch_bench.bench(tmp_path, capsys, monkeypatch) as made:
        # Steps that really run see the storage where it is.
        (tmp_path / "config.json").write_text(json.dumps({"mount": str(made.storage)}))
        test_notebook_step.stand_ins(tmp_path / "lib")
        made.api.lib = tmp_path / "lib"
        made.book.write_text(json.dumps(batch_bench.notebook("subject = 'none'\ndoes = 'write'", "print(1)")))
        yield made


def neurobatch(bench: Bench, *argv: str) -> tuple[int, str]:
    """Run `neurobatch run` over the table as a process of its own and return exit code and all that it printed."""
    words = [str(COMMAND), "run", str(bench.book), f"--over={bench.table}", f"--endpoint={bench.endpoint}"]
    words += [
        f"--storage={bench.storage}",
        "--kubeconfig=",
        "--image=tools:1",
        "--wait",
        "--interval=0.05",
        "--grace=0",
    ]
    began = time.monotonic()
    done = subprocess.run([*words, *argv], capture_output=True, text=True, check=False, timeout=2 * BOUND)
    assert time.monotonic() - began < BOUND and "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


def gone(bench: Bench) -> None:
    bench.book.unlink()


def no_json(bench: Bench) -> None:
    bench.book.write_text("PK\x03\x04")


def doubles(bench: Bench) -> None:
    bench.subjects("a", "b", "a")


def empty(bench: Bench) -> None:
    bench.subjects("a", "")


def outside(bench: Bench) -> None:
    bench.book.rename(bench.storage.parent / "bet.ipynb")
    bench.book = bench.storage.parent / "bet.ipynb"


@pytest.mark.parametrize(
    ("spoil", "argv", "words"),
    [
        (gone, (), "There is no notebook "),
        (no_json, (), "is no notebook: it is not JSON"),
        (None, ("-p", "colour=red"), "has no parameter 'colour' (-p); it has: subject, does."),
        (doubles, (), "line 4: the subject a is there already, in line 2."),
        (empty, (), "line 3: the subject in column subject is empty."),
        (outside, (), "is outside the workspace "),
    ],
)
def test_what_is_refused_before_anything_is_made(
    bench: Bench, spoil: Callable[[Bench], None] | None, argv: tuple[str, ...], words: str
) -> None:
    if spoil:
        spoil(bench)
    before = sorted(bench.storage.rglob("*"))
    code, said = neurobatch(bench, *argv)
    (line,) = said.strip().splitlines()
    assert code == 2 and line.startswith("neurobatch: ") and words in line
    assert sorted(bench.storage.rglob("*")) == before and bench.api.requests == []


@pytest.mark.parametrize(
    ("does", "argv", "words"),
    [
        (
            "step",
            ("-p", "does=write", "--output=maps", "--output=stats.csv"),
            "a FAILED: the declared output stats.csv was not written",
        ),
        ("vain", ("--mount=gone=/data",), "a FAILED: the claim gone does not exist"),
        ("no image", ("--image=nobody/nothing:1",), "a FAILED: the image nobody/nothing:1 cannot be had"),
    ],
)
def test_what_only_the_cluster_can_know_is_reported_in_time(
    bench: Bench, does: str, argv: tuple[str, ...], words: str
) -> None:
    bench.subjects("a", "b")
    bench.api.does = {"a": does}
    code, said = neurobatch(bench, *argv)
    assert code == 1 and words in said, said
    assert "1 of 2 succeeded; failed: a; again: neurobatch resubmit bet-" in said.strip().splitlines()[-1]
    assert bench.api.terminated == ([] if does == "step" else ["r0"])


def test_outputs_that_are_there_are_enough(bench: Bench) -> None:
    """The counterpart: the same step, which this time promised what it writes."""
    bench.subjects("a")
    bench.api.does = {"a": "step"}
    assert neurobatch(bench, "-p", "does=write", "--output=maps/*.nii")[0] == 0
    assert (bench.folder / "a" / "maps" / "a.nii").read_text() == "1"
    assert os.listdir(bench.folder / "a").count("bet.ipynb") == 1

"""Wrong input is refused before anything is made or sent, in one sentence that says what to do."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from neurobatch.batch import journal, notebook, settings
from neurobatch.batch.refusal import RefusalError

from tests.unit import batch_bench
from tests.unit.batch_bench import Bench


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with batch_bench.bench(tmp_path, capsys, monkeypatch) as made:
        yield made


def refused(bench: Bench, *argv: str) -> str:
    """Run `run`, see it refused with nothing made and nothing asked, and return the sentence."""
    before = sorted(bench.storage.rglob("*"))
    assert bench.run(*argv) == 2
    assert sorted(bench.storage.rglob("*")) == before and bench.api.requests == []
    assert "Traceback" not in bench.err
    return bench.err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no notebook"),
        ("no json", "is no notebook: it is not JSON"),
        ("[]", "is no notebook of format 4"),
        ('{"cells": [], "nbformat": 4}', "has no code cell"),
        ('{"worksheets": [], "nbformat": 3}', "is no notebook of format 4"),
    ],
)
def test_notebooks_that_are_none(bench: Bench, content: str | None, words: str) -> None:
    if content is None:
        bench.book.unlink()
    else:
        bench.book.write_text(content)
    assert words in refused(bench)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty; its first line names the columns, separated by tabs"),
        ("subject\n", "has a header and no subject"),
        ("subject\tage\na\t1\n\t2\n", "line 3: the subject in column subject is empty"),
        ("subject\na\nb\na\n", "line 4: the subject a is there already, in line 2"),
        ("subject\na\nA\n", "line 3: the subject A is there already, in line 2"),
        ("subject\tage\na\n", "line 2: 1 cells where the header has 2, separated by tabs"),
        ("subject\n../x\n", "line 2: '../x' cannot name a folder"),
        ("subject\nfailed\n", "line 2: 'failed' cannot name a folder"),
        ("subject\tsubject\na\tb\n", "line 1: a column has no name or the name of another one"),
        ("participant\na\n", "has no parameter 'participant' (the first column of"),
        ("subject\tthreshold\na\t1\n", "threshold is a column of"),
    ],
)
def test_tables_that_cannot_be_meant(bench: Bench, text: str, words: str) -> None:
    bench.table.write_text(text)
    assert words in refused(bench, "-p", "threshold=1")


def test_a_table_that_is_not_there_or_no_text(bench: Bench) -> None:
    bench.table.write_bytes(b"subject\n\xff\xfe\n")
    assert "cannot be read" in refused(bench)
    bench.table.unlink()
    assert "There is no table" in refused(bench)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-p", "colour=red"], "has no parameter 'colour' (-p); it has: subject, threshold."),
        (["-p", "threshold=1", "-p", "threshold=2"], "-p threshold is given twice"),
        (["-p", "threshold"], "'threshold' is not NAME=VALUE"),
        (["--output=/etc/passwd"], "leads out of the subject's folder"),
        (["--output=../x"], "leads out of the subject's folder"),
        (["--cpu=many"], "--cpu many: write a number of CPUs"),
        (["--cpu=64"], "--cpu 64: the node has 4, so this would wait for ever"),
        (["--memory=4"], "--memory 4: write an amount such as 4G"),
        (["--memory=1T"], "--memory 1T: the node has 8192 MiB in all"),
        (["--gpu=some"], "'some' is no whole number"),
        (["--image=two words"], "--image 'two words' is no name of an image"),
        (["--mount=data=/cvmfs"], "--mount data=/cvmfs: write a folder in the step that is not taken"),
        (["--name=a/b"], "--name 'a/b' cannot name a folder"),
        (["--max-parallel=0"], "'0' is no number from 1 on"),
        (["--timeout=soon"], "'soon' is no number of seconds"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_options_that_cannot_be(bench: Bench, argv: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"cpus": 4, "memory_mib": 8192}')
    assert words in refused(bench, *argv)


def test_a_notebook_without_parameters_takes_none(bench: Bench) -> None:
    bench.book.write_text(json.dumps(batch_bench.notebook("subject = 1", tag=False)))
    assert "has no cell tagged 'parameters'" in refused(bench)


def test_a_notebook_outside_the_workspace(bench: Bench, tmp_path: Path) -> None:
    outside = tmp_path / "bet.ipynb"
    outside.write_text(bench.book.read_text())
    (bench.home / "link.ipynb").symlink_to(outside)
    for path in (outside, bench.home / "link.ipynb"):
        bench.book = path
        assert "is outside the workspace" in refused(bench)


def test_a_folder_that_cannot_be_written(bench: Bench) -> None:
    (bench.home / "results").write_text("a file")
    assert bench.run() == 2
    assert "results" in bench.err and "cannot be written" in bench.err


def test_a_run_that_cannot_be_made_leaves_nothing_and_its_name_is_free(bench: Bench) -> None:
    def make(fill: Callable[[Path], None]) -> journal.Batch:
        request, subjects = {"notebook": "bet.ipynb"}, [journal.Subject("a", {})]
        home, storage = bench.home, bench.storage
        return journal.create(home, storage, "mine", request=request, subjects=subjects, content=b"{}", fill=fill)

    def full(folder: Path) -> None:
        (folder / "half").write_text("written")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt("stopped")

    def unwritable(folder: Path) -> None:
        (folder / journal.FILE).mkdir()  # The journal cannot be put in its place.

    before = sorted(bench.storage.rglob("*"))
    faults = {full: "mine cannot be written: No space left", unwritable: "The journal in", interrupted: "stopped"}
    for fill, words in faults.items():
        with pytest.raises((RefusalError, KeyboardInterrupt), match=words):
            make(fill)
        assert sorted(bench.storage.rglob("*")) == before
    made = make(lambda folder: None)
    assert journal.find(bench.storage, "mine").uid == made.uid
    with pytest.raises(RefusalError, match="There is a run 'mine' already"):
        make(full)
    assert journal.load(made.folder).uid == made.uid, "what was there stays"


def test_a_folder_that_is_no_run_keeps_its_place_and_no_name_is_noted(bench: Bench) -> None:
    (bench.home / "results" / "mine").mkdir(parents=True)
    assert "There is a run 'mine' already" in refused(bench, "--name=mine")


def test_an_api_that_is_away_leaves_nothing_behind_but_the_journal(bench: Bench) -> None:
    bench.api.fault = lambda method, path: 503
    assert bench.run() == 3
    bench.api.fault = lambda method, path: None
    assert bench.run() == 0 and "going on with" in bench.out


@pytest.mark.parametrize("text", ["no json", "[]", '{"end": 1}'])
def test_a_settings_file_that_nobody_wrote(bench: Bench, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert "config.json" in refused(bench)


def test_no_endpoint_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "PLACES", (tmp_path / "none",))
    monkeypatch.delenv(settings.VARIABLE, raising=False)
    with pytest.raises(RefusalError, match="No pipeline API is named"):
        _ = settings.load({}).api


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-3", -3), ("007", "007"), ("0.5", 0.5), ("1e3", 1000.0), ("True", True), ("None", None),
     ("a b", "a b"), ("1.2.3", "1.2.3"), ("", ""), ("nan", "nan"), ("0", 0), ("00.5", "00.5")],
)  # fmt: skip
def test_values_are_what_papermill_makes_of_them_but_for_leading_zeros(text: str, value: object) -> None:
    assert notebook.value(text) == value and type(notebook.value(text)) is type(value)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("a = 1\nb: int = 2\n# c = 3\nd, e = 1, 2", ("a", "b")),
        ("x <- 3\ny = 'z'\n  indented <- 1\n", ("x", "y")),
        ("%matplotlib inline\nn = 4", ("n",)),
    ],
)
def test_parameters_are_what_the_cell_assigns(tmp_path: Path, source: str, names: tuple[str, ...]) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(batch_bench.notebook(source)))
    assert notebook.read(path).parameters == names


@pytest.mark.parametrize(
    ("cpus", "memory", "asked", "fits"),
    [
        (0, 0, (1, 1024), 2),
        (2, 8192, (1, 2048), 1),
        (8, 32768, (1, 2048), 7),
        (8, 16384, (1, 4096), 3),
        (4, 4096, (8, 1), 1),
    ],
)
def test_as_many_at_once_as_the_node_holds(cpus: float, memory: int, asked: tuple[float, float], fits: int) -> None:
    assert settings.parallel(settings.Settings(cpus=cpus, memory_mib=memory), *asked) == fits

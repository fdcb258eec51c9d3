"""Completion in real shells: what they offer after what was typed, with a storage that has runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from neurobatch import cli
from neurobatch.batch import only

from tests.unit import batch_bench
from tests.unit.batch_bench import Bench

#: What readline does when somebody presses Tab: set the words, call the function, take its replies.
PRESS_TAB = """
source <(neurobatch completion bash)
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE}
$(complete -p neurobatch | sed 's/.*-F \\([^ ]*\\) .*/\\1/') neurobatch "${@: -1}" "${@: -2:1}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with batch_bench.bench(tmp_path, capsys, monkeypatch) as made:
        (tmp_path / "config.json").write_text(f'{{"storage": "{made.storage}"}}')
        yield made


def offered(bench: Bench, *words: str) -> set[str]:
    """Return what bash offers for the last one of the words."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", PRESS_TAB, "bash", "neurobatch", *words],
        capture_output=True, text=True, check=True, env=environment, cwd=bench.home,
    )  # fmt: skip
    assert done.stderr == ""
    return {line.strip() for line in done.stdout.splitlines() if line.strip()}


def test_bash_offers_verbs_options_files_and_runs(bench: Bench) -> None:
    assert offered(bench, "res") == {"resume", "resubmit"}
    assert {"submit", "pipeline", "logs", "completion"} <= offered(bench, "")
    assert offered(bench, "run", "--max") == {"--max-parallel"}
    assert "bet.ipynb" in offered(bench, "run", "be")
    assert "participants.tsv" in offered(bench, "run", "--over", "par")
    assert bench.run("--name=first") == 0
    assert bench.run("--name=second", "--new") == 0
    assert offered(bench, "status", "f") == {"first"}
    assert offered(bench, "run", "--after", "") >= {"first", "second"}
    assert offered(bench, "completion", "") >= {"bash", "zsh"}


def test_names_alone_are_listed(bench: Bench) -> None:
    bench.run("--name=first")
    bench.run("--name=second", "--new")
    assert bench.call("list", "--names") == 0
    assert bench.out.split() == ["second", "first"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_command_prints_what_the_shell_takes(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    for verb in ("run", "submit", "pipeline", "resume", "status", "fetch"):
        assert verb in script.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", script], check=True)


def test_no_place_where_the_command_runs_needs_the_library() -> None:
    code = "import sys; from neurobatch.batch import only; only.main(['completion', 'bash']); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "shtab" not in run.stdout.splitlines()[-1].split()
    assert only.parser().prog == "neurobatch"

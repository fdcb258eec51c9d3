"""The same notebook, folders, failures and verbs as on the cluster, with containers in the place of runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import pytest

from tests.local.conftest import Study
from tests.rehearsal import engine


def test_subjects_run_in_containers_and_the_failing_one_is_named_and_run_again(study: Study) -> None:
    code, out, err = study.run("--over=participants.tsv", "--name=first", "--max-parallel=2", "--json")
    assert code == 1, out + err
    result = json.loads(out)
    assert result["counts"] == {"SUCCEEDED": 3, "FAILED": 1}, result["subjects"]
    assert result["failed"] == ["sub-3"]
    (reason,) = [row["reason"] for row in result["subjects"] if row["reason"]]
    assert reason.startswith("cell 4 (In [5]) `pathlib.Path('result.txt').write_text(str(int(data) * 2))`: ValueError")
    folder = study.home / "results" / "first"
    assert (folder / "sub-4" / "result.txt").read_text() == "8"
    assert json.loads((folder / "sub-4" / "double.ipynb").read_text())["cells"]
    assert {path.stat().st_uid for path in folder.rglob("*")} == {os.getuid()}
    assert study.containers() == ""
    (study.home / "data" / "sub-3.txt").write_text("30")
    code, out, err = study.neurobatch("resubmit", "first", "--wait", "--interval=0.3")
    assert code == 0 and "first: all 4 succeeded" in out, out + err
    assert (folder / "sub-3" / "result.txt").read_text() == "60"
    assert (folder / "failed" / "sub-3-1" / "log.txt").exists()
    assert study.neurobatch("list")[1].count("all 4 succeeded") == 1
    assert "sub-3 has 30" in study.neurobatch("logs", "first", "sub-3")[1]
    assert study.containers() == ""


def test_an_interrupted_command_goes_on_with_the_container_that_runs(study: Study) -> None:
    words = ("run", "double.ipynb", "--local", "-p", "subject=sub-1", "-p", "seconds=8", "--name=long", "--wait")
    argv = study.argv(*words, f"--image={study.image}", "--interval=0.3")
    run = subprocess.Popen(argv, cwd=study.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until_working(study, "long")
    run.send_signal(signal.SIGKILL)
    run.communicate()
    (before,) = study.containers().split()
    assert study.neurobatch("status", "long")[0] == 5
    code, out, err = study.neurobatch("resume", "long", "--wait", "--interval=0.3")
    assert code == 0 and "all 1 succeeded" in out, out + err
    status = json.loads((study.home / "results" / "long" / "all" / "status.json").read_text())
    assert before.endswith("-1-1") and status["state"] == "succeeded"
    assert (study.home / "results" / "long" / "all" / "log.txt").read_text().count("attempt 1") == 1
    assert study.containers() == ""


def test_cancel_ends_the_container(study: Study) -> None:
    words = ("run", "double.ipynb", "--local", "-p", "subject=sub-1", "-p", "seconds=600", "--name=long")
    code, out, err = study.neurobatch(*words, f"--image={study.image}", "--interval=0.3")
    assert code == 0, out + err
    until_working(study, "long")
    began = time.monotonic()
    code, out, err = study.neurobatch("cancel", "long")
    assert code == 0 and time.monotonic() - began < 30, out + err
    code, out, _ = study.neurobatch("status", "long", "--json")
    assert code == 1 and json.loads(out)["counts"] == {"CANCELED": 1}
    assert study.containers() == ""


def test_limits_reach_the_container_and_too_much_memory_is_said(study: Study) -> None:
    book = study.home / "double.ipynb"
    cells = json.loads(book.read_text())
    cells["cells"][1]["source"] = "hog = [bytearray(2**20) for _ in range(900)]"
    book.write_text(json.dumps(cells))
    code, out, err = study.run("-p", "subject=sub-1", "--memory=256Mi", "--cpu=1", "--name=hog")
    assert code == 1, out + err
    assert "all FAILED: its kernel died (no memory left? --memory gives it more)" in out, out
    assert study.containers() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image=nobody/nothing:1",), "--local: Docker has no image nobody/nothing:1 here: docker pull"),
        (("--mount=lab=/data",), "--mount lab: claims are the cluster's"),
        (("--cpu=4096",), "--cpu 4096: the node has"),
    ],
)
def test_what_cannot_run_here_is_refused_before_anything_is_made(
    study: Study, words: tuple[str, ...], said: str
) -> None:
    code, out, err = study.run("-p", "subject=sub-1", *words)
    assert code == 2 and said in err, out + err
    assert not (study.home / "results").exists()


def test_an_image_that_cannot_run_notebooks_says_so(study: Study) -> None:
    bare = engine.docker("image", "inspect", "--format={{.Parent}}", study.image)
    code, out, err = study.run("-p", "subject=sub-1", f"--image={bare}")
    assert code == 1 and "this image cannot run notebooks: No module named 'jupyter_client'" in out, out + err
    assert study.containers() == ""


def until_working(study: Study, name: str) -> None:
    """Wait for the notebook's first word."""
    deadline = time.monotonic() + 90
    while "working" not in study.neurobatch("logs", name)[1]:
        assert time.monotonic() < deadline, study.neurobatch("status", name)
        time.sleep(0.5)

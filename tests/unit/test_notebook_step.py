"""The program inside a step, with a stand-in for papermill: what it leaves behind, whatever happens to the notebook.

The real papermill runs in tests/batch.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from neurobatch.kfp import steps

PROGRAM = Path(steps.__file__).with_name("notebook_step.py")
PAPERMILL = """
import json, os, sys, time
source, target = sys.argv[1:3]
book = json.load(open(source))
parameters = json.load(open(sys.argv[sys.argv.index("--parameters_file") + 1]))
does = parameters.get("does") or os.environ["DOES"]
injected = {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "source": "", "outputs": []}
cell = {"cell_type": "code", "metadata": {}, "source": "first()\\nsecond()", "outputs": [], "execution_count": 2}
if does == "fail":
    cell["outputs"] = [{"output_type": "error", "ename": "ValueError", "evalue": "no  scan", "traceback": []}]
if does in ("sleep", "die"):
    cell["metadata"] = {"papermill": {"status": "running"}}
book["cells"] = [book["cells"][0], injected, cell]
json.dump(book, open(target, "w"))
print("printed by the notebook", flush=True)
if does == "sleep":
    time.sleep(60)
if does == "die":
    os.kill(os.getpid(), 9)
if does == "write":
    os.makedirs("maps")
    open("maps/a.nii", "w").write("1")
sys.exit(does == "fail")
"""
SPECS = """
class KernelSpecManager:
    def get_all_specs(self):
        return {"py": {"spec": {"language": "python"}}}
"""


def stand_ins(lib: Path) -> None:
    """Put what stands for the packages of a step's image into a folder."""
    (lib / "papermill").mkdir(parents=True)
    (lib / "papermill" / "__main__.py").write_text(PAPERMILL)
    (lib / "jupyter_client").mkdir()
    (lib / "jupyter_client" / "__init__.py").touch()
    (lib / "jupyter_client" / "kernelspec.py").write_text(SPECS)


class Job:
    """A job in a folder, and the step that does it."""

    def __init__(self, root: Path) -> None:
        """Put notebook, subject's folder and the stand-ins in place."""
        self.root, self.folder = root, root / "run" / "s1"
        self.folder.mkdir(parents=True)
        stand_ins(root / "lib")
        book = {"cells": [{"cell_type": "markdown", "metadata": {}, "source": "# title"}], "nbformat": 4}
        (root / "run" / "a.ipynb").write_text(json.dumps({**book, "metadata": {"kernelspec": {"name": "gone"}}}))

    def start(self, does: str, **more: Any) -> subprocess.Popen[str]:
        """Start the step as the pod does: the program as text, the job's path and where the archive goes."""
        job = {
            "subject": "s1", "attempt": 1, "key": "k-1-1", "run": "r", "notebook": str(self.root / "run" / "a.ipynb"),
            "folder": str(self.folder), "notebook_dir": str(self.root), "parameters": {"does": does},
            "outputs": [], "timeout": 0, **more,
        }  # fmt: skip
        (self.folder / "job.json").write_text(json.dumps(job))
        argv = [sys.executable, "-c", PROGRAM.read_text(), str(self.folder / "job.json"), str(self.root / "out" / "z")]
        environment = {**os.environ, "PYTHONPATH": str(self.root / "lib")}
        return subprocess.Popen([*argv, "minio://b/k"], env=environment, text=True, stdout=subprocess.PIPE)

    def end(self, step: subprocess.Popen[str]) -> tuple[int, dict[str, Any], str]:
        """Return exit code, status and the last line."""
        out, _ = step.communicate(timeout=60)
        return step.returncode, self.status(), out.strip().splitlines()[-1]

    def status(self) -> dict[str, Any]:
        """Return what the step said of itself."""
        loaded: dict[str, Any] = json.loads((self.folder / "status.json").read_text())
        return loaded


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


def test_a_good_one_leaves_its_notebook_outputs_log_and_an_archive(job: Job) -> None:
    code, status, last = job.end(job.start("write", outputs=["maps", "*.ipynb"]))
    assert code == 0 and status["state"] == "succeeded" and status["archive"] == "minio://b/k", last
    assert status["key"] == "k-1-1"
    names = zipfile.ZipFile(job.root / "out" / "z").namelist()
    assert names == ["a.ipynb", "log.txt", "maps/a.nii"]
    assert "printed by the notebook" in (job.folder / "log.txt").read_text()


def test_the_failing_cell_is_counted_as_in_the_notebook_and_named(job: Job) -> None:
    code, status, last = job.end(job.start("fail"))
    assert code == 1 and status["state"] == "failed"
    assert status["cell"] == "cell 2 (In [2]) `first()`"
    assert last == "NEUROBATCH: cell 2 (In [2]) `first()`: ValueError: no scan"


def test_an_output_that_was_promised_must_be_there(job: Job) -> None:
    code, status, _ = job.end(job.start("write", outputs=["maps/*.nii", "stats.csv"]))
    assert code == 1 and status["reason"] == "the declared output stats.csv was not written"


def test_a_notebook_that_takes_too_long_is_ended_where_it_was(job: Job) -> None:
    began = time.monotonic()
    code, status, _ = job.end(job.start("sleep", timeout=3))
    assert code == 3 and time.monotonic() - began < 30
    assert status["reason"] == "not over after 3 s, ended in cell 2 (In [2]) `first()`"


def test_a_notebook_that_the_kernel_kills(job: Job) -> None:
    code, status, _ = job.end(job.start("die"))
    assert code == 1 and status["reason"] == "cell 2 (In [2]) `first()`: it was running"


def test_an_end_from_outside_is_passed_on(job: Job) -> None:
    step = job.start("sleep")
    deadline = time.monotonic() + 30
    log = job.folder / "log.txt"
    while not log.exists() or "printed by the notebook" not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    step.send_signal(signal.SIGTERM)
    code, status, _ = job.end(step)
    assert code == 1 and status["state"] == "ended" and status["cell"] == "cell 2 (In [2]) `first()`"


def test_an_image_without_papermill_or_jupyter_or_a_job_says_so(job: Job) -> None:
    (job.root / "lib" / "papermill" / "__main__.py").write_text("import sys; sys.exit('x: No module named papermill')")
    assert "this image has no papermill; --image names another one" in job.end(job.start("write"))[2]
    (job.root / "lib" / "jupyter_client" / "kernelspec.py").write_text("raise ImportError('no jupyter_client')")
    code, _, last = job.end(job.start("write"))
    assert code == 2 and "this image cannot run notebooks: no jupyter_client" in last
    step = job.start("write", folder="/nowhere")
    out, _ = step.communicate(timeout=60)
    assert step.returncode == 2 and "cannot be used as user" in out

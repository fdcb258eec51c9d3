"""A storage folder, notebooks in it, and a pipeline API whose runs do what a test says: what batch commands work on."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from neurobatch import cli
from neurobatch.batch import jobs
from neurobatch.kfp import steps

from tests.unit.kfp_server import Api, serving

CELLS = ("subject = 'none'\nthreshold = 0.5", "print(subject)", "x = 1 / threshold")


def notebook(*cells: str, tag: bool = True) -> dict[str, Any]:
    """Return a notebook of code cells, the first one tagged ``parameters``."""
    rows = [{"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": source} for n, source in enumerate(cells)]
    if tag:
        rows[0]["metadata"] = {"tags": ["parameters"]}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": rows, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


class Cluster(Api):
    """The pipeline API with steps behind it. ``does`` says what a subject's step does.

    "ok" succeeds, "fail" fails in a cell, "killed" begins and ends without a word, "vain" waits for a claim, "no image"
    for its image, "silent" waits and nothing says why, "hold" runs until it is told otherwise, "step" runs the step's
    program here, with what is in the folder ``lib`` for its packages.
    """

    def __init__(self, storage: Path) -> None:
        """Start with nothing; every subject is "ok" until a test says otherwise."""
        super().__init__()
        self.storage, self.lib = storage, storage
        self.forget()

    def forget(self) -> None:
        """Be as new."""
        super().__init__()
        self.page_size = 100
        self.does: dict[str, str] = {}
        self.most = 0
        self.begun: set[str] = set()

    def answer(self, method: str, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, dict[str, Any]]:
        """Let every step go on by one, then answer."""
        for run in self.runs:
            if method == "GET":
                self._go_on(run)
        self.most = max(self.most, sum(run["state"] in ("PENDING", "RUNNING") for run in self.runs))
        return super().answer(method, path, query, body)

    def blob(self, path: str, query: dict[str, list[str]]) -> bytes | None:
        """Return the archive of a run's results, as the user interface does."""
        if path != "/artifacts/get":
            return None
        assert query["source"] == ["minio"] and query["bucket"] == ["mlpipeline"]
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as packed:
            packed.writestr("bet.ipynb", "{}")
            packed.writestr("stats.csv", "1")
        return content.getvalue()

    def job(self, run: dict[str, Any]) -> dict[str, Any]:
        """Return the job file that a run was given."""
        path = run["runtime_config"]["parameters"]["job"].replace("/neurodesktop-storage", str(self.storage), 1)
        loaded: dict[str, Any] = json.loads(Path(path).read_text())
        return loaded

    def submitted(self) -> list[str]:
        """Return subject and attempt of all runs, in order."""
        return [run["display_name"].split()[1] for run in self.runs]

    def _go_on(self, run: dict[str, Any]) -> None:
        if "job" not in run["runtime_config"]["parameters"]:
            self._go_on_with_steps(run)
            return
        if run["state"] == "PENDING":
            job = self.job(run)
            folder = Path(job["folder"].replace("/neurodesktop-storage", str(self.storage), 1))
            does = self.does.get(job["subject"], "ok")
            task = {"task_id": "t", "display_name": "notebook", "state": "PENDING", "pod_name": "w"}
            if does == "vain":
                message = 'Unschedulable: 0/1 nodes: persistentvolumeclaim "gone" not found'
                run["run_details"] = {"task_details": [{**task, "error": {"message": message}}]}
                run["state"] = "RUNNING"
            elif does == "no image":
                image = run["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]["exec-notebook"]
                message = f'ImagePullBackOff: Back-off pulling image "{image["container"]["image"]}"'
                run["run_details"] = {"task_details": [{**task, "error": {"message": message}}]}
                run["state"] = "RUNNING"
            elif does == "step":
                run["state"] = "SUCCEEDED" if self._really(folder) else "FAILED"
            elif does == "silent":
                run["state"] = "RUNNING"
            else:
                run["state"] = "RUNNING"
                self._say(folder, job, state="running")
        elif run["state"] == "RUNNING":
            job = self.job(run)
            folder = Path(job["folder"].replace("/neurodesktop-storage", str(self.storage), 1))
            does = self.does.get(job["subject"], "ok")
            if does == "ok":
                (folder / "log.txt").write_text(f"{job['subject']} began\ndone\n")
                (folder / Path(job["notebook"]).name).write_text("{}")
                self._say(folder, job, state="succeeded", archive=f"minio://mlpipeline/{run['run_id']}/results")
                run["state"] = "SUCCEEDED"
            elif does == "fail":
                cell = "cell 3 (In [3]) `x = 1 / threshold`"
                (folder / "log.txt").write_text("began\nZeroDivisionError\n")
                self._say(folder, job, state="failed", cell=cell, reason=f"{cell}: ZeroDivisionError: division by zero")
                run.update(state="FAILED", error={"message": "exit code 1"})
            elif does == "killed":
                run.update(state="FAILED", error={"message": "pod deleted"})

    def _go_on_with_steps(self, run: dict[str, Any]) -> None:
        """Let a run of several steps go on: those of nodes really run, those of a spec just succeed."""
        spec = run["pipeline_spec"].get("pipeline_spec", run["pipeline_spec"])
        tasks: dict[str, Any] = spec["root"]["dag"]["tasks"]
        if run["state"] == "PENDING":
            run["state"] = "RUNNING"
        elif run["state"] == "RUNNING" and self.does.get("all") != "hold" and run["run_id"] not in self.begun:
            self.begun.add(run["run_id"])
            # A client does not wait for as long as a step takes.
            threading.Thread(target=self._steps, args=(run, tasks), daemon=True).start()
        now = [{"task_id": name, "display_name": name, "state": run["state"]} for name in tasks]
        run["run_details"] = {"task_details": now}

    def _steps(self, run: dict[str, Any], tasks: dict[str, Any]) -> None:
        states: dict[str, str] = {}
        given = run["runtime_config"]["parameters"]
        while len(states) < len(tasks):
            for name, task in tasks.items():
                before = [states.get(each) for each in task.get("dependentTasks", ())]
                if name not in states and None not in before:
                    good = set(before) <= {"SUCCEEDED"}
                    job = given.get(jobs.parameter_of(name))
                    if good and job:
                        good = self._really(Path(job).parent)
                    states[name] = "SUCCEEDED" if good else "FAILED"
        run["state"] = "SUCCEEDED" if set(states.values()) == {"SUCCEEDED"} else "FAILED"

    def _really(self, folder: Path) -> bool:
        """Run the program of a step as its pod does, and return whether it succeeded."""
        program = Path(steps.__file__).with_name("notebook_step.py").read_text()
        argv = [sys.executable, "-c", program, str(folder / "job.json"), str(folder.parent / ".archive"), "minio://b/k"]
        environment = {**os.environ, "PYTHONPATH": str(self.lib)}
        return subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=60).returncode == 0

    @staticmethod
    def _say(folder: Path, job: dict[str, Any], **said: Any) -> None:
        document = {"key": job["key"], "started": time.time(), **said}
        (folder / "status.json").write_text(json.dumps(document))


class Bench:
    """The commands, run in this process."""

    def __init__(self, api: Cluster, endpoint: str, storage: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Begin."""
        self.api, self.endpoint, self.storage, self.capsys = api, endpoint, storage, capsys
        self.home = storage / "study"
        self.restart()

    def restart(self) -> None:
        """Begin anew: with an empty API, and a storage that holds a notebook and a table of three subjects."""
        self.api.forget()
        for folder in self.storage.iterdir():
            shutil.rmtree(folder)
        self.home.mkdir()
        self.book = self.home / "bet.ipynb"
        self.book.write_text(json.dumps(notebook(*CELLS)))
        self.table = self.home / "participants.tsv"
        self.subjects("a", "b", "c")
        self.out = self.err = ""

    def smoke(self) -> int:
        """Run `neurobatch smoke` and return its exit code."""
        code = cli.main(["smoke", f"--endpoint={self.endpoint}", "--image=tools:1", "--deadline=5"])
        self.out, self.err = self.capsys.readouterr()
        return code

    def subjects(self, *names: str) -> None:
        """Write the table anew."""
        self.table.write_text("subject\tage\n" + "".join(f"{name}\t30\n" for name in names))

    def call(self, verb: str, *argv: str) -> int:
        """Run a verb and return its exit code; what it printed is in ``out`` and ``err``."""
        try:
            code = cli.main([verb, f"--endpoint={self.endpoint}", f"--storage={self.storage}", "--kubeconfig=", *argv])
        except SystemExit as wrong_usage:
            code = int(str(wrong_usage.code))
        self.out, self.err = self.capsys.readouterr()
        return code

    def run(self, *argv: str) -> int:
        """Run `neurobatch run` over the table and wait."""
        quick = ("--interval=0.02", "--patience=0.3", "--max-parallel=2", "--image=tools:1")
        return self.call("run", str(self.book), f"--over={self.table}", "--wait", *quick, *argv)

    def json(self) -> dict[str, Any]:
        """Return the object that the last command printed."""
        loaded: dict[str, Any] = json.loads(self.out)
        return loaded

    @property
    def folder(self) -> Path:
        """The folder of the only run that there is."""
        (found,) = (self.home / "results").iterdir()
        return found

    def journal(self) -> dict[str, Any]:
        """Return the journal of the only run that there is."""
        loaded: dict[str, Any] = json.loads((self.folder / "batch.json").read_text())
        return loaded


@contextmanager
def bench(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Yield a bench whose waits are short."""
    monkeypatch.setenv("NEUROBATCH_CONFIG", str(folder / "config.json"))
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr("neurobatch.batch.command.TIMES", (0.5, 0.4, 0.6))
    monkeypatch.setattr("neurobatch.batch.command.ATTEMPTS", 2)
    monkeypatch.setattr("neurobatch.batch.command.PAUSES", (0.01, 0.02))
    monkeypatch.setattr("neurobatch.batch.command.PATIENCE", 0.2)
    monkeypatch.setattr("neurobatch.batch.command.LOOK", 0.05)
    monkeypatch.setattr("neurobatch.kfp.client.ARTIFACT_SECONDS", 0.6)
    for name, value in (("TIMES", (0.5, 0.4, 0.6)), ("ATTEMPTS", 2), ("PAUSES", (0.01, 0.02)), ("INTERVAL", 0.02)):
        monkeypatch.setattr(f"neurobatch.kfp.command.{name}", value)
    storage = folder / "storage"
    storage.mkdir()
    api = Cluster(storage)
    with serving(api) as endpoint:
        yield Bench(api, endpoint, storage, capsys)

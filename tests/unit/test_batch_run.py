"""Batches against a real HTTP server: what is submitted, resumed, resubmitted, canceled, and what is said about it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from neurobatch.batch import journal

from tests.unit.batch_bench import Bench
from tests.unit.batch_bench import bench as make_bench


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with make_bench(tmp_path, capsys, monkeypatch) as made:
        yield made


def test_every_subject_is_one_run_and_its_parameters_arrive(bench: Bench) -> None:
    assert bench.run("-p", "threshold=0.25", "--output=*.nii", "--timeout=60") == 0
    assert "all 3 succeeded" in bench.out
    jobs = [bench.api.job(run) for run in bench.api.runs]
    assert [job["parameters"] for job in jobs] == [{"threshold": 0.25, "subject": name} for name in "abc"]
    assert jobs[0]["outputs"] == ["*.nii"] and jobs[0]["timeout"] == 60
    assert jobs[0]["folder"] == f"/neurodesktop-storage/study/results/{bench.folder.name}/a"
    sent = bench.api.runs[0]["pipeline_spec"]["pipeline_spec"]["deploymentSpec"]["executors"]["exec-notebook"]
    assert sent["container"]["image"] == "tools:1"


def test_no_more_run_at_once_than_allowed(bench: Bench) -> None:
    bench.subjects(*"abcdefgh")
    assert bench.run() == 0
    assert bench.api.most == 2


def test_a_failure_is_named_with_its_cell_and_the_exit_code_is_1(bench: Bench) -> None:
    bench.api.does = {"b": "fail"}
    assert bench.run() == 1
    assert "b FAILED: cell 3 (In [3]) `x = 1 / threshold`: ZeroDivisionError: division by zero" in bench.out
    assert "2 of 3 succeeded; failed: b; again: neurobatch resubmit bet-" in bench.out.splitlines()[-1]


def test_resubmit_runs_what_failed_and_overwrites_nothing(bench: Bench) -> None:
    bench.api.does = {"b": "fail"}
    bench.run()
    before = {path: path.stat().st_mtime_ns for path in bench.folder.glob("[ac]/*")}
    log = (bench.folder / "b" / "log.txt").read_text()
    bench.api.does = {}
    assert bench.call("resubmit", bench.folder.name, "--wait", "--interval=0.02") == 0
    assert bench.api.submitted() == ["a", "b", "c", "b"]
    assert {path: path.stat().st_mtime_ns for path in bench.folder.glob("[ac]/*")} == before
    assert (bench.folder / "failed" / "b-1" / "log.txt").read_text() == log
    assert (bench.folder / "b" / "log.txt").read_text() != log
    assert bench.call("resubmit", bench.folder.name) == 0
    assert "nothing has failed" in bench.out and len(bench.api.runs) == 4


def test_resubmit_only_some(bench: Bench) -> None:
    bench.api.does = {"a": "fail", "b": "fail"}
    bench.run()
    bench.api.does = {}
    assert bench.call("resubmit", bench.folder.name, "--only=c") == 2
    assert "c has not failed (it is SUCCEEDED)" in bench.err
    assert bench.call("resubmit", bench.folder.name, "--only=a", "--wait", "--interval=0.02") == 1
    assert bench.api.submitted()[3:] == ["a"]


def test_without_wait_it_returns_when_all_are_submitted(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    code = bench.call(
        "run", str(bench.book), f"--over={bench.table}", "--interval=0.02", "--max-parallel=3", "--image=i:1"
    )
    assert code == 0 and "0 of 3 succeeded, 3 under way, 0 to be submitted" in bench.out
    assert bench.call("status", bench.folder.name) == 5
    bench.api.does = {}
    for _ in range(2):
        code = bench.call("status", bench.folder.name)
    assert code == 0 and "all 3 succeeded" in bench.out


def test_the_same_command_goes_on_after_it_was_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.subjects(*"abcdef")
    saved = journal.Batch.save

    def power_cut(batch: journal.Batch) -> None:
        saved(batch)
        # The journal says that c is about to be submitted, and then there is no more.
        if any(subject.name == "c" and subject.state == "SUBMITTING" for subject in batch.subjects):
            raise KeyboardInterrupt

    monkeypatch.setattr(journal.Batch, "save", power_cut)
    assert bench.run() == 130
    monkeypatch.setattr(journal.Batch, "save", saved)
    assert bench.api.submitted() == ["a", "b"]
    assert bench.run() == 0
    assert "going on with" in bench.out
    assert bench.api.submitted() == list("abcdef")
    assert bench.run() == 0
    assert len(list((bench.home / "results").iterdir())) == 2, "what is over is not gone on with"


def test_a_submission_whose_answer_never_came_is_found_by_its_key(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(method: str, path: str) -> str | None:
        return "done-drop" if method == "POST" and path.endswith("/runs") else None

    bench.api.fault = cut
    assert bench.run() == 0
    assert bench.api.submitted() == ["a", "b", "c"]


def test_a_killed_step_fails_and_is_named(bench: Bench) -> None:
    bench.api.does = {"c": "killed"}
    assert bench.run() == 1
    assert "c FAILED: killed while it ran (a reboot, no memory left, or its pod was deleted): pod deleted" in bench.out


def test_a_claim_that_is_not_there_is_reported_and_the_run_is_ended(bench: Bench) -> None:
    bench.api.does = {"a": "vain"}
    assert bench.run("--grace=0", "--mount=gone=/data") == 1
    assert "a FAILED: the claim gone does not exist" in bench.out
    assert bench.api.terminated == ["r0"]
    mounts = bench.api.runs[0]["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]
    assert {"constant": "gone", "mountPath": "/data"} in mounts["executors"]["exec-notebook"]["pvcMount"]


def test_a_step_that_never_begins_is_given_up(bench: Bench) -> None:
    bench.api.does = {"a": "silent"}
    assert bench.run("--start=0.1") == 1
    assert "a FAILED: it has not begun after 0 s and nothing says why" in bench.out
    assert bench.api.terminated == ["r0"]


def test_a_pod_that_a_restart_of_the_cluster_caught_is_given_up_soon(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "cluster-started"
    settings = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**settings, "endpoint": bench.endpoint, "started": str(started)}))
    bench.api.does = {"a": "silent", "b": "hold"}
    assert bench.run("--deadline=0.2") == 4
    started.touch()
    assert bench.run("--deadline=0.1") == 4, "pods are given time to come back"
    assert not bench.api.terminated
    monkeypatch.setattr("neurobatch.batch.drive.BACK", 0.0)
    assert bench.run("--deadline=0.2") == 4
    assert "a FAILED: it has not begun, and its pod is from before a restart of the cluster" in bench.out
    assert bench.api.terminated == ["r0"], "b has begun, and c is from after the restart"


def test_a_deadline_ends_the_waiting_and_not_the_runs(bench: Bench) -> None:
    bench.api.does = {"b": "hold"}
    assert bench.run("--deadline=0.2") == 4
    assert "`neurobatch resume bet-" in bench.err
    assert not bench.api.terminated
    bench.api.does = {}
    assert bench.call("resume", bench.folder.name, "--wait", "--interval=0.02") == 0
    assert bench.call("resume", bench.folder.name) == 0


def test_cancel_while_it_is_driven_and_resubmit_afterwards(bench: Bench) -> None:
    bench.subjects(*"abcd")
    bench.api.does = dict.fromkeys("abcd", "hold")
    codes: list[int] = []
    from neurobatch import cli

    argv = [f"--endpoint={bench.endpoint}", f"--storage={bench.storage}", "--kubeconfig="]
    driver = threading.Thread(
        target=lambda: codes.append(
            cli.main(["run", *argv, str(bench.book), f"--over={bench.table}", "--wait", "--interval=0.05",
                      "--max-parallel=2", "--image=i:1"])
        )
    )  # fmt: skip
    driver.start()
    until(lambda: len(bench.api.runs) == 2)
    name = bench.folder.name
    assert bench.call("resubmit", name) == 2 and "Another neurobatch (process" in bench.err
    assert bench.call("cancel", name) == 0
    driver.join(5)
    assert codes == [1]
    states = [subject["state"] for subject in bench.journal()["subjects"]]
    assert states == ["CANCELED"] * 4 and sorted(bench.api.terminated) == ["r0", "r1"]
    bench.api.does = {}
    assert bench.call("resubmit", name, "--wait", "--interval=0.02") == 0


def test_cancel_without_a_driver(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    bench.run("--deadline=0.1")
    assert bench.call("cancel", bench.folder.name, "--json") == 0
    assert bench.json()["counts"] == {"CANCELED": 3}
    assert bench.call("cancel", bench.folder.name) == 0 and "is over already" in bench.out


def test_logs_of_one_and_of_all_and_of_one_that_has_none(bench: Bench) -> None:
    bench.api.does = {"c": "vain"}
    bench.run("--grace=0")
    assert bench.call("logs", bench.folder.name, "a") == 0
    assert bench.out == "a began\ndone\n"
    bench.call("logs", bench.folder.name, "-f")
    assert "b | done" in bench.out
    assert "c has printed nothing (FAILED: the claim gone does not exist" in bench.err
    assert bench.call("logs", bench.folder.name, "z") == 2
    assert "has no subject 'z'; it has a, b, c" in bench.err


def test_logs_follow_until_the_end(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    bench.run("--deadline=0.1")
    folder = bench.folder / "a"
    (folder / "log.txt").write_text("one\ntw")
    said = json.loads((folder / "status.json").read_text())

    def end() -> None:
        with (folder / "log.txt").open("a") as stream:
            stream.write("o\nthree\n")
        (folder / "status.json").write_text(json.dumps({**said, "state": "succeeded"}))

    threading.Timer(0.2, end).start()
    assert bench.call("logs", bench.folder.name, "-f", "a") == 0
    assert bench.out == "one\ntwo\nthree\n"


def test_list_shows_the_newest_first_and_json_is_one_object(bench: Bench) -> None:
    assert bench.call("list") == 0 and "There is no run in" in bench.out
    bench.run("--name=first")
    bench.run("--name=second")
    assert bench.call("list", "--json") == 0
    assert [run["run"] for run in bench.json()["runs"]] == ["second", "first"]
    assert bench.call("status", "first", "--json") == 0
    assert bench.json()["counts"] == {"SUCCEEDED": 3}
    assert bench.call("status", str(bench.home / "results" / "first")) == 0
    assert bench.call("status", "third") == 2
    assert "There is no run 'third'" in bench.err and "second, first" in bench.err
    assert bench.run("--name=first") == 2 and "There is a run 'first' already" in bench.err


def test_fetch_brings_back_what_is_gone_and_leaves_what_is_there(bench: Bench) -> None:
    bench.run()
    assert bench.call("fetch", bench.folder.name, "a") == 0
    assert bench.call("fetch", bench.folder.name, "a", "--to", str(bench.home / "again"), "--json") == 0
    assert bench.json()["subjects"]["a"]["written"] == ["bet.ipynb", "stats.csv"]
    assert (bench.home / "again" / "a" / "stats.csv").read_text() == "1"
    assert bench.call("fetch", bench.folder.name, "a", "--to", str(bench.home / "again"), "--json") == 0
    assert bench.json()["subjects"]["a"] == {"written": [], "kept": ["bet.ipynb", "stats.csv"]}


def until(condition: object, seconds: float = 10) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)

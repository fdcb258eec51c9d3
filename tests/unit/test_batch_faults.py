"""Every command against a pipeline API that fails in every way: it ends, submits nothing twice, says what is wrong."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.batch_bench import Bench
from tests.unit.batch_bench import bench as make_bench

#: What the server does, and what is said where it does nothing else.
FAULTS: dict[str | int, str] = {
    "drop": "does not answer: the connection was closed without an answer",
    "delay": "does not answer: no answer in time",
    "drip": "does not answer: no answer in time",
    "truncate": "does not answer: the answer breaks off",
    "garbage": "does not answer: what answers does not speak HTTP",
    "html": "answers, but not as the pipeline API (the UI's address needs /pipeline at its end)",
    "done-drop": "does not answer: the connection was closed without an answer",
    302: "answered HTTP 302: it leads to /login: a login page?",
    429: "answered HTTP 429: Too Many Requests",
    500: "answered HTTP 500: Internal Server Error",
    503: "answered HTTP 503: Service Unavailable",
}
#: The verbs that ask the API: with every fault one that submits and one that only looks, the others with some.
PAIRS = [(verb, fault) for verb in ("run", "status") for fault in FAULTS] + [
    (verb, fault) for verb in ("resume", "resubmit", "cancel") for fault in ("drop", "html", 503)
]


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with make_bench(tmp_path, capsys, monkeypatch) as made:
        yield made


def call(bench: Bench, verb: str) -> int:
    """Run a verb the way that its batch stands for (see `prepared`)."""
    if verb == "run":
        return bench.run("--new")
    driving = ("--wait", "--interval=0.02", "--patience=0.2") if verb in ("resume", "resubmit") else ()
    return bench.call(verb, bench.folder.name, *driving)


def prepared(bench: Bench, verb: str) -> None:
    """Have a batch on which the verb has something to ask the API."""
    bench.subjects("a")
    if verb == "run":
        return
    bench.api.does = {"a": "fail" if verb == "resubmit" else "hold"}
    bench.run("--deadline=0.1")


@pytest.mark.parametrize(("verb", "fault"), PAIRS)
def test_an_api_that_always_fails_is_one_sentence_in_time(bench: Bench, verb: str, fault: str | int) -> None:
    prepared(bench, verb)
    bench.api.fault = lambda method, path: fault
    posted = Counter(bench.api.requests)[("POST", "/apis/v2beta1/runs")]
    began = time.monotonic()
    code = call(bench, verb)
    # Nothing here waits for longer than 0.6 s; a machine that is busy may.
    assert time.monotonic() - began < 20
    assert code == 3
    lines = bench.err.strip().splitlines()
    assert lines[-1].startswith("neurobatch: ") and FAULTS[fault] in lines[-1]
    assert "Traceback" not in bench.err
    assert Counter(bench.api.requests)[("POST", "/apis/v2beta1/runs")] - posted <= 1


@pytest.mark.parametrize("fault", ["drop", "truncate", "garbage", "done-drop", 429, 500])
def test_a_run_survives_faults_of_every_third_request(bench: Bench, fault: str | int) -> None:
    dice = random.Random(3)  # noqa: S311 - the same faults in every run of this test
    bench.api.fault = lambda method, path: fault if dice.random() < 0.33 else None
    code = bench.run("--patience=20")
    assert code == 0, bench.out + bench.err
    assert Counter(bench.api.submitted()) == Counter({"a": 1, "b": 1, "c": 1})


@pytest.mark.parametrize("fault", ["done-drop", "drop", "truncate", "delay", 503, 429])
def test_no_fault_of_a_submission_makes_a_second_one(bench: Bench, fault: str | int) -> None:
    faults = [fault, fault]

    def cut(method: str, path: str) -> str | int | None:
        return faults.pop() if method == "POST" and path.endswith("/runs") and faults else None

    bench.api.fault = cut
    assert bench.run("--patience=20") == 0, bench.out + bench.err
    assert Counter(bench.api.submitted()) == Counter({"a": 1, "b": 1, "c": 1})


def test_what_arrives_after_all_is_ended(bench: Bench) -> None:
    """A submission that was believed lost shows up twice: one stays, the other is ended."""
    bench.subjects("a")
    posts = iter(range(100))
    late: list[dict[str, object]] = []

    def slow(method: str, path: str) -> str | int | None:
        if method == "POST" and path.endswith("/runs"):
            if next(posts) == 0:
                return 503
            # The first one comes out of its queue only now.
            late.append({"run_id": "late", "state": "PENDING", "created_at": "2026-11-21T10:00:00Z"})
            key = bench.journal()["uid"]
            name = f"{bench.folder.name} a [{key}-1-1]"
            job = {
                "runtime_config": {
                    "parameters": {"job": f"/neurodesktop-storage/study/results/{bench.folder.name}/a/job.json"}
                }
            }
            bench.api.runs.append({**late[-1], **job, "display_name": name})
        return None

    bench.api.fault = slow
    assert bench.run("--patience=20") == 0
    states = sorted(run["state"] for run in bench.api.runs)
    assert len(bench.api.terminated) == 1 and states == ["CANCELED", "SUCCEEDED"]


def test_a_refusal_of_the_api_is_that_subjects_failure(bench: Bench) -> None:
    bench.api.fault = lambda method, path: 400 if method == "POST" and path.endswith("/runs") else None
    assert bench.run() == 1
    assert "a FAILED: refused: The pipeline API at" in bench.out and "HTTP 400" in bench.out


def test_a_run_that_somebody_deleted_is_a_failure(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    bench.run("--deadline=0.1")
    bench.api.runs = [run for run in bench.api.runs if " a " not in run["display_name"]]
    bench.api.does = {}
    assert bench.call("resume", bench.folder.name, "--wait", "--interval=0.02") == 1
    assert "a FAILED: its run was deleted in Kubeflow Pipelines" in bench.out


def test_an_api_that_is_away_for_a_while_is_waited_for(bench: Bench) -> None:
    bench.api.does = dict.fromkeys("abc", "hold")
    away = iter(["drop"] * 12)
    bench.api.fault = lambda method, path: next(away, None) if len(bench.api.runs) == 2 else None

    def back(method: str, path: str) -> str | None:
        if len(bench.api.runs) < 2:
            return None
        fault = next(away, None)
        if fault is None:
            bench.api.does = {}
        return fault

    bench.api.fault = back
    assert bench.run("--patience=20") == 0
    assert bench.out.count("Waiting for it.") == 1
    assert len(bench.api.runs) == 3


def test_commands_that_need_no_api_do_not_ask_it(bench: Bench) -> None:
    bench.run()
    asked = len(bench.api.requests)
    for verb in ("status", "logs"):
        assert bench.call(verb, bench.folder.name) == 0
    assert bench.call("list") == 0
    assert len(bench.api.requests) == asked

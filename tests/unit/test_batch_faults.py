"""Every command against a pipeline API that fails in every way: it ends, submits nothing twice, says what is wrong."""

from __future__ import annotations

import json
import random
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from neurobatch.kfp import template

from tests.unit.batch_bench import Bench
from tests.unit.batch_bench import bench as make_bench
from tests.unit.test_batch_pipelines import node, pipeline

#: What the server does, and what is said where it does nothing else.
FAULTS: dict[str | int, str] = {
    "drop": "the connection was closed without an answer",
    "reset": "the connection was cut",
    "delay": "no answer in time",
    "drip": "no answer in time",
    "truncate": "the answer breaks off",
    "garbage": "what answers does not speak HTTP",
    "empty": "the answer breaks off",
    "foreign": "answers, but not as the pipeline API",
    "html": "answers, but not as the pipeline API (the UI's address needs /pipeline at its end)",
    "done-drop": "the connection was closed without an answer",
    302: "answered HTTP 302: it leads to /login: a login page?",
    429: "answered HTTP 429: Too Many Requests",
    500: "answered HTTP 500: Internal Server Error",
    502: "answered HTTP 502: Bad Gateway",
    503: "answered HTTP 503: Service Unavailable",
}
#: Of the object store's archives, which the page of Kubeflow Pipelines hands on.
STORE_FAULTS: dict[str | int, str] = {
    **FAULTS,
    "html": "answers with a page in place of minio://mlpipeline/",
    "empty": "is no archive of results",
    "foreign": "is no archive of results",
    **{status: f"cannot be had from the object store: HTTP {status}: upstream connect error" for status in (429, 500)},
    **{status: f"cannot be had from the object store: HTTP {status}: upstream connect error" for status in (502, 503)},
}
#: Commands that ask the API when something is under way, and what each is called for (`prepared`).
ASK = ("smoke", "run", "submit", "resume", "resubmit", "status", "logs -f", "cancel")
#: The longest that any of them may take here, where no wait is longer than 0.6 s; a machine that is busy takes longer.
BOUND = 20


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    def hangs(*_: object) -> None:
        raise AssertionError("this command hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(3 * BOUND)
    try:
        with make_bench(tmp_path, capsys, monkeypatch) as made:
            yield made
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def call(bench: Bench, command: str) -> int:
    """Run a command the way that its batch stands for (see `prepared`)."""
    verb, *more = command.split()
    if verb == "run":
        return bench.run("--new")
    if verb == "smoke":
        return bench.smoke()
    quick = ("--wait", "--interval=0.02", "--patience=0.3", "--new")
    if verb == "submit":
        spec = bench.home / "spec.json"
        spec.write_text(json.dumps(dict(template.load("smoke", "kfp-2.0.0").pipeline)))
        return bench.call("submit", str(spec), *quick)
    if verb == "pipeline":
        path = pipeline(bench, node("a", bench.book.name))
        return bench.call("pipeline", str(path), "--image=tools:1", *quick)
    name = () if verb == "list" else (bench.folder.name,)
    driving = ("--wait", "--interval=0.02", "--patience=0.2") if verb in ("resume", "resubmit") else ()
    return bench.call(verb, *name, *driving, *more)


def prepared(bench: Bench, command: str) -> None:
    """Have a batch on which the command has something to ask the API."""
    verb = command.split(maxsplit=1)[0]
    bench.subjects("a")
    if verb in ("run", "smoke", "submit", "pipeline"):
        return
    bench.api.does = {"a": {"resubmit": "fail", "fetch": "ok"}.get(verb, "hold")}
    bench.run(*(("--deadline=0.1",) if bench.api.does["a"] == "hold" else ()))
    bench.api.does = {}


def marked(bench: Bench) -> None:
    """Let what a command asks be told from what the one before it gave up, which may still arrive."""
    bench.endpoint = bench.endpoint.removesuffix("/marked") + "/marked"


def submissions(bench: Bench) -> int:
    return bench.api.requests.count(("POST", "/marked/apis/v2beta1/runs"))


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", [*ASK, "pipeline"])
def test_an_api_that_always_fails_is_one_sentence_in_time(bench: Bench, command: str, fault: str | int) -> None:
    prepared(bench, command)
    bench.api.fault = lambda method, path: fault
    marked(bench)
    began = time.monotonic()
    code = call(bench, command)
    assert time.monotonic() - began < BOUND
    assert code == 3, bench.out + bench.err
    said = (bench.out if command == "smoke" else bench.err).strip().splitlines()[-1]
    assert said.startswith("smoke: FAILED (not submitted): " if command == "smoke" else "neurobatch: ")
    assert FAULTS[fault] in said and said.count(bench.endpoint) == 1, said
    assert "Traceback" not in bench.out + bench.err
    assert submissions(bench) <= 1


@pytest.mark.parametrize("command", [*ASK, "pipeline", "fetch"])
def test_nobody_at_the_endpoint_is_one_sentence_in_time(bench: Bench, command: str) -> None:
    prepared(bench, command)
    with socket.socket() as taken:
        # A port that is bound and not listened on refuses, and nobody else can take it meanwhile.
        taken.bind(("127.0.0.1", 0))
        bench.endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}/pipeline"
        began = time.monotonic()
        code = call(bench, command)
    assert time.monotonic() - began < BOUND
    said = (bench.out if command == "smoke" else bench.err).strip().splitlines()[-1]
    assert code == 3 and "connection refused" in said and said.count(bench.endpoint) == 1, said


@pytest.mark.parametrize("fault", STORE_FAULTS)
def test_an_object_store_that_always_fails_is_one_sentence_in_time(
    bench: Bench, fault: str | int, tmp_path: Path
) -> None:
    prepared(bench, "fetch")
    bench.api.fault = lambda method, path: fault
    before, began = sorted(bench.storage.rglob("*")), time.monotonic()
    code = bench.call("fetch", bench.folder.name, "--to", str(tmp_path / "to"))
    assert time.monotonic() - began < BOUND
    assert code == (2 if fault in ("empty", "foreign") else 3), bench.err
    (said,) = bench.err.strip().splitlines()
    assert said.startswith("neurobatch: ") and STORE_FAULTS[fault] in said
    assert sorted(bench.storage.rglob("*")) == before and not (tmp_path / "to").exists()


@pytest.mark.parametrize("status", [400, 403, 404])
def test_an_archive_that_is_not_there_is_said_at_once(bench: Bench, status: int) -> None:
    prepared(bench, "fetch")
    bench.api.fault = lambda method, path: status
    assert bench.call("fetch", bench.folder.name) == 1
    assert f"cannot be had from the object store: HTTP {status}: upstream connect error." in bench.err
    assert bench.api.requests.count(("GET", "/artifacts/get")) == 1


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("command", ["list", "logs"])
def test_what_is_in_the_storage_needs_no_api(bench: Bench, command: str, fault: str | int) -> None:
    prepared(bench, command)
    bench.api.fault = lambda method, path: fault
    marked(bench)
    assert call(bench, command) == 0
    assert bench.folder.name in bench.out or "has printed nothing" in bench.err
    assert not any(path.startswith("/marked") for _, path in bench.api.requests)


#: What a command ends with that meets one fault at some request: as if there had been none, or, where a page or a
#: login stands in the API's place, with the sentence about it (only who drives a batch waits for that to pass).
PATIENT = frozenset({"run", "submit", "resume", "resubmit", "cancel"})


@pytest.mark.parametrize("fault", ["drop", "delay", "truncate", "empty", "html", "done-drop", 302, 429, 503])
@pytest.mark.parametrize("command", [*ASK, "fetch"])
def test_one_fault_wherever_it_falls(bench: Bench, command: str, fault: str | int) -> None:
    """The fault meets the first request, then, in a new run of the same, the second one, and so on."""
    good = (0, 5) if command == "status" else (0,)
    for place in range(50):
        bench.restart()
        bench.endpoint = bench.endpoint.removesuffix("/marked")
        prepared(bench, command)
        marked(bench)
        seen = iter(range(1000))
        bench.api.fault = lambda method, path, seen=seen, place=place: fault if next(seen) == place else None  # type: ignore[misc]
        code = call(bench, command)
        met = next(seen) > place
        said = f"request {place + 1}: {bench.out}{bench.err}"
        assert "Traceback" not in said
        kept = [run["display_name"] for run in bench.api.runs if run["state"] != "CANCELED"]
        assert len(set(kept)) == len(kept), said
        assert submissions(bench) <= 2, said
        if code not in good:
            # Not known is not the same as failed: a submission of which nothing shows is said to be one.
            tolerated = command not in PATIENT and fault in ("html", "foreign", "empty", 302)
            assert tolerated or (command == "smoke" and "perhaps submitted" in said), said
            assert code == (2 if command == "fetch" and fault in ("empty", "foreign") else 3), said
        if not met:
            break
    else:
        raise AssertionError("this command never stops asking")


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


def test_logs_follow_no_longer_than_there_is_something_to_follow(bench: Bench) -> None:
    """A killed step says nothing more, and what waits is submitted by nobody: this ends all the same, and says so."""
    bench.api.does = dict.fromkeys("abc", "hold")
    bench.run("--deadline=0.1")
    bench.api.does = dict.fromkeys("ab", "killed")
    assert bench.call("logs", bench.folder.name, "-f") == 0
    assert "b has printed nothing (FAILED: killed while it ran" in bench.err
    assert f"nobody submits what is left of {bench.folder.name}; `neurobatch resume" in bench.err.splitlines()[-1]


def test_a_smoke_run_that_is_lost_sight_of_is_ended(bench: Bench) -> None:
    bench.api.fault = lambda method, path: 403 if method == "GET" and path.endswith("/r0") else None
    assert bench.smoke() == 1
    assert "smoke: FAILED (submitted, then lost sight of): The pipeline API at" in bench.out
    assert bench.api.terminated == ["r0"]


def test_commands_that_need_no_api_do_not_ask_it(bench: Bench) -> None:
    bench.run()
    marked(bench)
    for verb in ("status", "logs"):
        assert bench.call(verb, bench.folder.name) == 0
    assert bench.call("list") == 0
    assert not any(path.startswith("/marked") for _, path in bench.api.requests)

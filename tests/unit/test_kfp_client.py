"""The client of the pipeline API against a real HTTP server that fails in every way a network and a back end do."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from neurobatch.kfp.client import Client, DeadlineError, KfpError, UnreachableError
from neurobatch.kfp.runs import Run, run_of, steps_of

from tests.unit.kfp_server import Api, serving

SPEC = {"pipelineInfo": {"name": "p"}}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def client(api: Api) -> Iterator[Client]:
    with serving(api) as endpoint:
        yield Client(endpoint, timeout=(1, 1, 2), attempts=4, backoff=(0.01, 0.02))


def posts(api: Api, path: str) -> int:
    return api.requests.count(("POST", f"/apis/v2beta1/{path}"))


def test_health_names_the_version(client: Client) -> None:
    assert client.health().version == "2.0.0"


def test_an_experiment_is_made_once(api: Api, client: Client) -> None:
    assert client.ensure_experiment("x") == client.ensure_experiment("x") == "e0"
    assert posts(api, "experiments") == 1


def test_an_experiment_whose_creation_lost_its_answer_is_found(api: Api, client: Client) -> None:
    api.fault = lambda method, path: "done-drop" if method == "POST" else None
    assert client.ensure_experiment("x") == "e0"


def test_a_run_carries_spec_and_platform(api: Api, client: Client) -> None:
    run = client.create_run(
        "e0", "demo", "k1", pipeline_spec=SPEC, platform_spec={"platforms": {}}, parameters={"a": 1}
    )
    assert run.name == "demo [k1]"
    client.create_run("e0", "demo", "k2", pipeline_spec=SPEC, platform_spec={"platforms": {"kubernetes": {}}})
    assert api.runs[0]["pipeline_spec"] == {"pipeline_spec": SPEC, "platform_spec": {"platforms": {}}}
    assert api.runs[0]["runtime_config"] == {"parameters": {"a": 1}}


def test_a_run_is_never_submitted_twice(api: Api, client: Client) -> None:
    api.fault = lambda method, path: "done-drop" if method == "POST" else None
    first = client.create_run("e0", "demo", "k", pipeline_spec=SPEC)
    assert first.run_id == "r0"
    assert client.create_run("e0", "demo", "k", pipeline_spec=SPEC) == first
    assert posts(api, "runs") == 1


def test_a_run_that_may_or_may_not_be_there_is_not_submitted_again(api: Api, client: Client) -> None:
    api.fault = lambda method, path: 503 if method == "POST" else None
    with pytest.raises(KfpError, match="not known whether the run 'demo \\[k\\]' was created"):
        client.create_run("e0", "demo", "k", pipeline_spec=SPEC)
    assert posts(api, "runs") == 1


def test_a_refused_run_says_what_the_back_end_says_once(api: Api, client: Client) -> None:
    with pytest.raises(KfpError, match=r"HTTP 400: unknown template format\.$"):
        client.create_run("e0", "demo", "k", pipeline_spec={"unknown": 1})
    assert posts(api, "runs") == 1


@pytest.mark.parametrize("fault", [500, 502, 503, 504, 429, "drop"])
def test_reading_is_tried_again(api: Api, client: Client, fault: int | str) -> None:
    faults = [fault, fault]
    api.fault = lambda method, path: faults.pop() if faults else None
    assert client.health().version == "2.0.0"
    assert len(api.requests) == 3


def test_reading_is_given_up(api: Api, client: Client) -> None:
    api.fault = lambda method, path: 503
    with pytest.raises(UnreachableError, match="answered HTTP 503: Service Unavailable"):
        client.health()
    assert len(api.requests) == 4


def test_what_is_not_there_is_asked_for_once(api: Api, client: Client) -> None:
    with pytest.raises(KfpError, match=r"HTTP 404: Run r9 not found\.$"):
        client.run("r9")
    assert len(api.requests) == 1


@pytest.mark.parametrize(("fault", "words"), [("html", "needs /pipeline at its end"), (302, "it leads to /login")])
def test_another_server_is_told_apart_at_once(api: Api, client: Client, fault: int | str, words: str) -> None:
    api.fault = lambda method, path: fault
    with pytest.raises(UnreachableError, match=words):
        client.health()
    assert len(api.requests) == 1


def test_nobody_there_is_one_sentence() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
    with pytest.raises(UnreachableError) as caught:
        Client(endpoint, attempts=2, backoff=(0.01, 0.01)).health()
    assert str(caught.value) == f"{endpoint} does not answer: connection refused."


def test_a_server_that_accepts_and_says_nothing_is_timed_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(
            f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=(0.2, 0.2, 1), attempts=2, backoff=(0, 0)
        )
        with pytest.raises(UnreachableError, match="no answer in time"):
            client.health()


def test_all_pages_are_read(api: Api, client: Client) -> None:
    for number in range(5):
        client.create_run("e0", "demo", str(number), pipeline_spec=SPEC)
    assert [run.run_id for run in client.runs("e0")] == ["r4", "r3", "r2", "r1", "r0"]
    assert len(client.runs("e0", limit=3)) == 3


@pytest.mark.parametrize("end", ["SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"])
def test_a_wait_ends_with_every_end(api: Api, client: Client, end: str) -> None:
    run = client.create_run("e0", "demo", "k", pipeline_spec=SPEC)
    api.script = [{"state": "RUNNING"}, {"state": "RUNNING"}, {"state": end}]
    seen: list[str] = []
    assert client.wait(run.run_id, 5, interval=0.01, progress=lambda look: seen.append(look.state)).state == end
    assert seen == ["RUNNING", "RUNNING", end]


def test_a_wait_survives_a_restart_of_the_api(api: Api, client: Client) -> None:
    run = client.create_run("e0", "demo", "k", pipeline_spec=SPEC)
    faults = ["drop"] * 9
    api.script = [{"state": "SUCCEEDED"}]
    api.fault = lambda method, path: faults.pop() if faults else None
    assert client.wait(run.run_id, 5, interval=0.01).state == "SUCCEEDED"


def test_a_wait_has_a_deadline(api: Api, client: Client) -> None:
    run = client.create_run("e0", "demo", "k", pipeline_spec=SPEC)
    with pytest.raises(DeadlineError, match="not over after 0 s \\(state PENDING\\)") as caught:
        client.wait(run.run_id, 0.1, interval=0.02)
    assert isinstance(caught.value.run, Run)


def test_a_run_is_ended_once_and_an_ended_one_stays(api: Api, client: Client) -> None:
    run = client.create_run("e0", "demo", "k", pipeline_spec=SPEC)
    client.terminate(run.run_id)
    api.fault = lambda method, path: 400 if method == "POST" else None
    client.terminate(run.run_id)
    assert api.terminated == ["r0"]


def test_steps_are_found_among_drivers_and_pods() -> None:
    rows = [
        {"task_id": "1", "display_name": "root", "state": "RUNNING"},
        {"task_id": "2", "display_name": "a-driver", "state": "SUCCEEDED"},
        {"task_id": "3", "display_name": "a", "state": "FAILED", "child_tasks": [{"task_id": "4", "pod_name": "w-4"}]},
        {"task_id": "4", "display_name": "executor", "state": "FAILED", "error": {"message": "exit  code 3"}},
        {"task_id": "5", "display_name": "b-driver", "state": "FAILED", "error": {"details": [{"message": "bad"}]}},
    ]
    steps = steps_of(run_of({"run_id": "r", "run_details": {"task_details": rows}}), ["a", "b", "c"])
    assert [(step.state, step.error) for step in steps] == [
        ("FAILED", "exit code 3"),
        ("FAILED", "bad"),
        ("PENDING", ""),
    ]
    assert steps[0].pods == ("w-4",)

"""The smoke run against a real HTTP server and a program in kubectl's place: what it says, and how it ends."""

from __future__ import annotations

import json
import re
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neurobatch import cli
from neurobatch.kfp import template
from neurobatch.kfp.reasons import reason

from tests.unit.kfp_server import Api, serving

IMAGE = "registry.example/tools:1"
KUBECTL = """#!{python}
import json, sys
state = json.load(open({state!r}))
if "logs" in sys.argv:
    print(state["logs"].get(sys.argv[sys.argv.index("logs") + 1], ""))
else:
    print(json.dumps({{"items": state["pods"]}}))
"""


def look(state: str, error: str = "", **steps: str | tuple[str, str]) -> dict[str, Any]:
    """Return what the API says of a run whose steps are in these states; a pair is a state and an error."""
    tasks = []
    for name, step in steps.items():
        step_state, message = (step, "") if isinstance(step, str) else step
        row = {"task_id": name, "display_name": name, "state": step_state, "pod_name": f"w-{name}"}
        tasks.append({**row, "error": {"message": message}} if message else row)
    run: dict[str, Any] = {"state": state, "run_details": {"task_details": tasks}}
    return {**run, "error": {"message": error}} if error else run


GREEN = [
    look("PENDING"),
    look("RUNNING", tools="RUNNING", produce="PENDING"),
    look("RUNNING", tools="SUCCEEDED", produce="SUCCEEDED", consume="RUNNING"),
    look("SUCCEEDED", tools="SUCCEEDED", produce="SUCCEEDED", consume="SUCCEEDED"),
]


@pytest.fixture
def api() -> Api:
    return Api()


class Bench:
    """The command line against the servers of a test."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        """Put a kubeconfig and a kubectl into the folder."""
        self.endpoint, self.state = endpoint, folder / "state.json"
        self.kubeconfig, self.kubectl = folder / "kubeconfig", folder / "kubectl"
        self.kubeconfig.touch()
        self.kubectl.write_text(KUBECTL.format(python=sys.executable, state=str(self.state)))
        self.kubectl.chmod(self.kubectl.stat().st_mode | stat.S_IXUSR)
        self.cluster([], {})

    def cluster(self, pods: list[dict[str, Any]], logs: dict[str, str]) -> None:
        """Say what the cluster has now."""
        self.state.write_text(json.dumps({"pods": pods, "logs": logs}))

    def smoke(self, *argv: str, cluster: bool = True) -> int:
        """Run `neurobatch smoke` and return its exit code."""
        asked = ["smoke", f"--endpoint={self.endpoint}", f"--image={IMAGE}", "--deadline=60", "--grace=0"]
        if cluster:
            asked += [f"--kubeconfig={self.kubeconfig}", f"--kubectl={self.kubectl}"]
        return cli.main([*asked, *argv])


@pytest.fixture
def bench(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    pause = time.sleep
    monkeypatch.setattr("neurobatch.kfp.client.time.sleep", lambda seconds: pause(min(seconds, 0.05)))
    with serving(api) as endpoint:
        yield Bench(endpoint, tmp_path)


def last(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().out.splitlines()[-1]


def test_three_steps_succeed_with_a_line_for_each_change_and_their_logs(
    api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = list(GREEN)
    bench.cluster([], {"w-tools": "12 categories", "w-consume": "took 12"})
    assert bench.smoke() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "smoke: SUCCEEDED (3 of 3 steps)"
    changes = [line.split("] ")[1] for line in lines if line.startswith("[ ")]
    assert changes.count("tools: SUCCEEDED") == changes.count("tools: RUNNING") == 1
    assert "    tools | 12 categories" in lines
    sent = api.runs[0]["pipeline_spec"]
    images = {row["container"]["image"] for row in sent["pipeline_spec"]["deploymentSpec"]["executors"].values()}
    assert images == {IMAGE}


def test_json_is_one_object_on_standard_output(api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    api.script = list(GREEN)
    assert bench.smoke("--json", "--claim=cvmfs-neurodesk=other") == 0
    out = capsys.readouterr()
    outcome = json.loads(out.out)
    assert outcome["succeeded"] and [step["state"] for step in outcome["steps"]] == ["SUCCEEDED"] * 3
    assert "produce: SUCCEEDED" in out.err
    platform = api.runs[0]["pipeline_spec"]["platform_spec"]["platforms"]["kubernetes"]["deploymentSpec"]
    assert platform["executors"]["exec-tools"]["pvcMount"][0]["constant"] == "other"


def test_the_report_is_one_file_that_needs_no_other(api: Api, bench: Bench, tmp_path: Path) -> None:
    times = {"start_time": "2026-11-21T10:00:00Z", "end_time": "2026-11-21T10:00:07Z"}
    done = look("SUCCEEDED", tools="SUCCEEDED", produce="SUCCEEDED", consume="SUCCEEDED")
    for task in done["run_details"]["task_details"]:
        task.update(times)
    api.script = [done]
    digest = "sha256:" + "ab" * 32
    pods = [
        {
            "metadata": {
                "name": f"w-{name}",
                "annotations": {"workflows.argoproj.io/node-name": f"w.root.{name}.executor"},
            },
            "status": {"phase": "Succeeded", "containerStatuses": [{"name": "main", "imageID": f"{IMAGE}@{digest}"}]},
        }
        for name in ("tools", "produce", "consume")
    ]
    bench.cluster(pods, {"w-tools": "<b>12</b> categories"})
    assert bench.smoke(f"--report={tmp_path / 'report'}") == 0
    text = (tmp_path / "report" / "report.html").read_text()
    data = json.loads((tmp_path / "report" / "report.json").read_text())
    assert data["succeeded"] and data["steps"][0]["digest"] == digest
    assert [step["ended"] - step["started"] for step in data["steps"]] == [7, 7, 7]
    for words in ("SUCCEEDED (3 of 3 steps)", digest, IMAGE, "2.0.0", "&lt;b&gt;12&lt;/b&gt; categories", "<svg"):
        assert words in text
    assert not re.search(r"(?:src|href)=|url\(|@import|<script", text)


def test_a_report_of_a_run_that_could_not_be_submitted_replaces_the_last_one(
    api: Api, bench: Bench, tmp_path: Path
) -> None:
    api.fault = lambda method, path: 503
    assert bench.smoke(f"--report={tmp_path}") == 3
    assert "FAILED (not submitted)" in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "report.json").read_text())["succeeded"] is False


def test_a_report_that_cannot_be_written_is_wrong_usage(
    api: Api, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    api.script = list(GREEN)
    assert bench.smoke(f"--report={tmp_path / 'file'}") == 2
    assert "the report cannot be written to" in capsys.readouterr().err


def test_older_smoke_runs_are_removed_and_others_are_left_alone(api: Api, bench: Bench) -> None:
    old = [{"run_id": f"o{n}", "display_name": f"neurobatch-smoke [{n}]", "state": "SUCCEEDED"} for n in range(4)]
    api.runs = [{"run_id": "busy", "display_name": "neurobatch-smoke [b]", "state": "RUNNING"}, *old]
    api.script = list(GREEN)
    assert bench.smoke() == 0
    assert [row["run_id"] for row in api.runs] == ["busy", "o2", "o3", "r0"]


def test_a_failing_step_is_named_with_what_it_printed(
    api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [look("FAILED", tools=("FAILED", "exit code 12"), produce="SUCCEEDED", consume="SKIPPED")]
    bench.cluster([], {"w-tools": "SMOKE: /cvmfs/x/neurodesk-modules lists nothing"})
    assert bench.smoke() == 1
    assert last(capsys) == "smoke: FAILED (1 of 3 steps): step tools: /cvmfs/x/neurodesk-modules lists nothing."


def test_a_key_that_the_object_store_refuses(api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    text = "storing the outputs ended with exit code 1: HTTP 403: SignatureDoesNotMatch"
    api.script = [look("FAILED", tools="SUCCEEDED", produce=("FAILED", text), consume="SKIPPED")]
    assert bench.smoke() == 1
    assert "step produce: the object store refuses the key of the secret mlpipeline-minio-artifact; " in last(capsys)


def pending(step: str, status: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": f"neurobatch-smoke-1a2b-{step}"}, "status": {"phase": "Pending", **status}}


def test_a_missing_claim_ends_the_run_before_the_deadline(
    api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [look("RUNNING", tools="PENDING", produce="SUCCEEDED")] * 2
    message = '0/1 nodes are available: 1 persistentvolumeclaim "gone" not found.'
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    bench.cluster([pending("tools", {"conditions": [condition]})], {})
    assert bench.smoke("--deadline=60", "--claim=cvmfs-neurodesk=gone") == 1
    assert "smoke: FAILED (1 of 3 steps): step tools: the claim gone does not exist; the role cvmfs_csi" in last(capsys)
    assert api.terminated == ["r0"]


def test_a_missing_claim_that_only_the_api_names(api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'Unschedulable: persistentvolumeclaim "gone" not found'
    api.script = [look("RUNNING", tools=("PENDING", text), produce="SUCCEEDED")] * 3
    assert bench.smoke("--deadline=60", cluster=False) == 1
    assert "step tools: the claim gone does not exist" in last(capsys)


def test_a_wrong_image(api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    api.script = [look("RUNNING", tools="PENDING", produce="PENDING")] * 3
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    container = {"name": "main", "image": IMAGE, "state": {"waiting": waiting}}
    bench.cluster([pending("produce", {"containerStatuses": [container]})], {})
    assert bench.smoke("--deadline=60") == 1
    assert f"step produce: the image {IMAGE} cannot be had; check its name" in last(capsys)


def test_the_deadline_ends_the_run_and_says_where_it_stood(
    api: Api, bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    api.script = [look("RUNNING", tools="RUNNING", produce="SUCCEEDED")]
    assert bench.smoke("--deadline=0.3", cluster=False) == 4
    assert last(capsys).startswith("smoke: FAILED (1 of 3 steps) (not over after 0 s): step tools: it is RUNNING")
    assert api.terminated == ["r0"]


def test_nobody_there_is_exit_3(bench: Bench, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.fault = lambda method, path: 503
    assert bench.smoke() == 3
    assert last(capsys).startswith("smoke: FAILED (not submitted): The pipeline API at http://127.0.0.1:")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--compiled-for=kfp-9"], "is not compiled for 'kfp-9'; there is kfp-2.0.0, kfp-2.5.0"),
        (["--claim=a=b"], "No step of this pipeline mounts the claim a."),
        (["--kubeconfig=/nowhere"], "/nowhere cannot be read"),
    ],
)
def test_wrong_usage_is_exit_2(bench: Bench, argv: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.smoke(*argv) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("version", "argv", "sdk"),
    [
        ("2.0.0", [], "kfp-2.0.1"),
        ("2.5.0+rehearsal", [], "kfp-2.14.6"),
        ("2.5.0", ["--compiled-for=kfp-2.0.0"], "kfp-2.0.1"),
    ],
)
def test_the_pipeline_is_the_one_compiled_for_the_server_s_release(
    bench: Bench, api: Api, version: str, argv: list[str], sdk: str
) -> None:
    api.script, api.version = list(GREEN), version
    assert bench.smoke(*argv, cluster=False) == 0
    assert api.runs[0]["pipeline_spec"]["pipeline_spec"]["sdkVersion"] == sdk


def test_a_release_without_a_pipeline_is_refused(bench: Bench, api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    api.version = "2.16.0"
    assert bench.smoke() == 2
    assert "is not compiled for 'kfp-2.16.0'" in capsys.readouterr().err


@pytest.mark.parametrize("stack", template.known("smoke"))
def test_the_template_is_not_changed_by_filling_it(stack: str) -> None:
    loaded = template.load("smoke", stack)
    filled = template.fill(loaded, IMAGE, {"cvmfs-neurodesk": "x"})
    assert loaded == template.load("smoke", stack) != filled
    assert "cvmfs-neurodesk" not in str(filled.platform), "the back end would mount the template's claim"
    assert loaded.steps == ["produce", "tools", "consume"]
    with pytest.raises(template.TemplateError, match="runtime image"):
        template.fill(filled, IMAGE)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            f'main: ImagePullBackOff: Back-off pulling image "{IMAGE}" (image {IMAGE}); given up',
            f"the image {IMAGE} cannot",
        ),
        ('InvalidImageName: Failed to apply default image tag "BAD:": couldn\'t parse', "the image BAD: cannot"),
        ("ErrImagePull", "the image of the step cannot"),
        ("pod has unbound immediate PersistentVolumeClaims", "a claim is not bound to a volume"),
        ("GET /mlpipeline/x: HTTP 403", "the object store refuses the key"),
        ("failed to upload: AccessDenied: Access Denied.", "the object store refuses the key"),
    ],
)
def test_what_kubernetes_and_the_object_store_say_is_understood(said: str, meant: str) -> None:
    assert reason(said).startswith(meant)


def test_a_reason_without_a_meaning_is_passed_on_with_the_last_line() -> None:
    assert reason("exit code 3.", log=["first", "Traceback: no"]) == "exit code 3; its last line: Traceback: no"
    assert reason() == "the API gives no reason"

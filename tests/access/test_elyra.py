"""Elyra's command line in JupyterLab's container: settings valid, pipelines exported and submitted (S0-69 to S0-83)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.access import use
from tests.rehearsal.instance import Instance
from tests.rehearsal.stackfiles import constraints

Root = Callable[..., str]
METADATA = "/home/jovyan/.local/share/jupyter/metadata"
RECORDER = Path(__file__).with_name("v1_recorder.py")
LOCAL = "localhost/neurobatch/runtime:"


def test_elyra_is_the_stacks(instance: Instance) -> None:
    found = use.inside(instance, "python3 -c 'import importlib.metadata as m; print(m.version(\"elyra\"))'")
    assert found == constraints(instance.stack)["elyra"]


@pytest.mark.parametrize(("kind", "name"), [("runtimes", use.RUNTIME), ("runtime-images", "neurodesktop")])
def test_its_settings_are_valid(instance: Instance, kind: str, name: str) -> None:
    # Elyra 3.15 lists invalid ones without being asked.
    every = "" if constraints(instance.stack)["elyra"].startswith("3.") else "--include-invalid"
    said = use.inside(instance, f"elyra-metadata list {kind} {every} --json 2>/dev/null | sed -n '/^\\[/,$p'")
    listed = json.loads(said)
    (found,) = [row for row in listed if row["name"] == name]
    assert "reason" not in found  # Elyra gives one where the file is invalid


def test_the_runtime_is_its_owners_alone(instance: Instance) -> None:
    path = f"{METADATA}/runtimes/{use.RUNTIME}.json"
    assert use.inside(instance, f"stat -c '%a %U' {path}") == "600 jovyan"  # S0-70
    settings = json.loads(use.inside(instance, f"cat {path}"))["metadata"]
    assert settings["cos_auth_type"] == "KUBERNETES_SECRET"
    assert settings["cos_password"] not in {"minio123", ""}  # S0-67
    assert settings["cos_endpoint"] == "http://minio-service.kubeflow.svc.cluster.local:9000"


def test_the_image_of_steps_is_on_the_node(instance: Instance, root: Root) -> None:
    named = json.loads(use.inside(instance, f"cat {METADATA}/runtime-images/neurodesktop.json"))["metadata"]
    assert named["image_name"].startswith(LOCAL)
    assert named["pull_policy"] == "IfNotPresent"
    listed = root(f"docker exec minikube ctr -n k8s.io images list name=={named['image_name']}")
    assert named["image_name"] in listed
    assert "io.cri-containerd.pinned=pinned" in listed  # the kubelet leaves it alone when its disk fills up


def test_the_template_is_valid(instance: Instance) -> None:
    said = use.inside(instance, f"elyra-pipeline validate {use.TEMPLATE} --runtime-config={use.RUNTIME}")
    assert "Error" not in said


@pytest.fixture(scope="module")
def exported(instance: Instance) -> Iterator[str]:
    """The template as Elyra exports it."""
    use.inside(
        instance,
        f"elyra-pipeline export {use.TEMPLATE} --runtime-config={use.RUNTIME} --output=exported.yaml --overwrite",
    )
    yield use.inside(instance, "cat exported.yaml")
    use.inside(instance, "rm -f exported.yaml")


def test_what_is_exported_holds_image_claims_and_no_secret(instance: Instance, exported: str) -> None:
    assert LOCAL in exported  # S0-77
    assert re.search(r"mountPath: /cvmfs/neurodesk\.ardc\.edu\.au\b", exported)  # S0-76
    assert re.search(r"mountPath: /neurodesktop-storage\b", exported)  # S0-78: no sudo mkdir is needed
    assert "cvmfs-neurodesk" in exported
    assert "file:///opt/neurobatch/elyra/bootstrapper.py" in exported  # S0-75
    assert "neurobatch-object-store" in exported
    assert [name for name, value in use.secrets(instance).items() if value in exported] == []


@pytest.fixture(scope="module")
def submitted(instance: Instance, root: Root) -> dict[str, Any]:
    """The template's run, submitted with the command line and followed to its end."""
    root("rm -f /home/engineer/neurodesktop-storage/batch-template.txt")
    said = use.elyra_submit(instance)
    return {**said, "run": use.follow(instance, said["run_id"])}


@pytest.mark.stack("rehearsal-2.5.0")
def test_the_step_runs_as_a_pod(root: Root, submitted: dict[str, Any]) -> None:
    run = submitted["run"]
    assert run["state"] == "SUCCEEDED", run
    pods = json.loads(root(f"{use.KUBECTL} get pods -l pipeline/runid={run['run_id']} -o json"))["items"]
    assert [pod["status"]["phase"] for pod in pods] == ["Succeeded"]
    assert pods[0]["spec"]["containers"][0]["image"].startswith(LOCAL)
    assert pods[0]["metadata"]["labels"]["elyra/node-type"] == "notebook-script"


@pytest.mark.stack("rehearsal-2.5.0")
def test_it_needed_nothing_from_the_internet(root: Root, submitted: dict[str, Any]) -> None:
    log = root(f"{use.KUBECTL} logs -c main -l pipeline/runid={submitted['run_id']} --tail=-1")
    assert "Downloading file:///opt/neurobatch/elyra/bootstrapper.py" in log
    assert "https://" not in log
    for installing in ("Collecting ", "Successfully installed", "Package not found"):
        assert installing not in log, log


@pytest.mark.stack("rehearsal-2.5.0")
def test_it_read_cvmfs_and_wrote_the_labs_data(root: Root, submitted: dict[str, Any]) -> None:
    assert submitted["run"]["state"] == "SUCCEEDED"
    written = root("cat /home/engineer/neurodesktop-storage/batch-template.txt")
    assert re.fullmatch(r"toytool/1\.0 on \S+: toytool 1\.0", written), written


@pytest.mark.stack("rehearsal-2.5.0")
def test_the_executed_notebook_and_its_page_come_back(instance: Instance, submitted: dict[str, Any]) -> None:
    folder = submitted["object_storage_path"].removeprefix("/mlpipeline/")
    found = use.bucket(instance, f"{folder}/")  # S0-82
    assert {name.rpartition("/")[2].rpartition(".")[2] for name in found} >= {"ipynb", "html", "gz"}
    (notebook,) = [json.loads(text) for name, text in found.items() if name.endswith(".ipynb")]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert "toytool 1.0" in json.dumps(code[-1]["outputs"])
    (page,) = [text for name, text in found.items() if name.endswith(".html")]
    assert "toytool/1.0" in page


@pytest.mark.stack("rehearsal-2.5.0")
def test_no_secret_is_in_what_was_submitted(instance: Instance, submitted: dict[str, Any]) -> None:
    reference = submitted["run"]["pipeline_version_reference"]
    version = f"pipelines/{reference['pipeline_id']}/versions/{reference['pipeline_version_id']}"
    shown = json.dumps([submitted["run"], use.api(instance, version), use.api(instance, "runs?page_size=50")])
    assert "neurobatch-object-store" in shown
    assert [name for name, value in use.secrets(instance).items() if value in shown] == []


@pytest.mark.stack("rehearsal-2.0.0")
def test_a_submission_is_made_in_the_older_api(instance: Instance, root: Root, measured: Callable[[str], None]) -> None:
    """What Elyra 3.15 sends, recorded; no back end of that API runs here, so no pod does."""
    for line in (
        f"cat > /tmp/recorder.py <<'END'\n{RECORDER.read_text()}\nEND",
        "docker cp /tmp/recorder.py neurodesktop:/tmp/recorder.py",
        "docker exec --detach --user jovyan neurodesktop sh -c "
        "'echo $$ > /tmp/recorder.pid; exec python3 /tmp/recorder.py 18899 /tmp/recorded.jsonl'",
    ):
        root(line)
    use.inside(
        instance,
        f"rm -f /tmp/recorded.jsonl; sed -E 's|http://ml-pipeline-ui[^\"]*/pipeline|http://127.0.0.1:18899/pipeline|' "
        f"{METADATA}/runtimes/{use.RUNTIME}.json > {METADATA}/runtimes/recorder.json",
    )
    try:
        said = use.elyra_submit(instance, runtime="recorder")
        rows = [json.loads(line) for line in use.inside(instance, "cat /tmp/recorded.jsonl").splitlines()]
    finally:
        use.inside(instance, f"rm -f {METADATA}/runtimes/recorder.json; kill $(cat /tmp/recorder.pid)")
    measured(
        "Elyra 3.15 submitted through the older API to a recorder; no pod ran, since no rehearsed back end runs it"
    )
    assert said["run_id"] == "r-1"
    assert [(row["method"], row["path"]) for row in rows] == [
        ("GET", "/"),
        ("GET", "/apis/v1beta1/healthz"),
        ("GET", "/apis/v1beta1/experiments"),
        ("GET", "/apis/v1beta1/pipelines"),
        ("POST", "/apis/v1beta1/pipelines/upload"),
        ("GET", "/apis/v1beta1/experiments"),
        ("POST", "/apis/v1beta1/experiments"),
        ("POST", "/apis/v1beta1/runs"),
    ]
    workflow = rows[4]["body"]
    assert "kind: Workflow" in workflow
    for part in (LOCAL, "cvmfs-neurodesk", "/neurodesktop-storage", "neurobatch-object-store", "IfNotPresent"):
        assert part in workflow, part
    sent = json.dumps(rows)
    assert [name for name, value in use.secrets(instance).items() if value in sent] == []
    assert use.bucket(instance, said["object_storage_path"].removeprefix("/mlpipeline/"))  # the archive went up

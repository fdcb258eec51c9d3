"""Broken on purpose: the right diagnosis within the deadline, and the next run recovers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import Server
from tests.server import playbook

Measured = Callable[[str], None]
DIRECTORY = "/var/lib/neurobatch/kubeflow_pipelines"
#: Seconds that a broken installation is given.
DEADLINE = 60


def reapply(server: Server) -> None:
    """Have the next run apply everything again."""
    server.root(f"rm -f {DIRECTORY}/applied")


@contextlib.contextmanager
def overlay(server: Server, patch: str) -> Iterator[None]:
    """Put a patch into the release's own manifests on the server, as a site that serves others would."""
    path = f"{DIRECTORY}/manifests/env/platform-agnostic/kustomization.yaml"
    server.root(f"cp {path} {path}.kept; cat >> {path} <<'END'\npatches:\n{patch}\nEND")
    try:
        yield
    finally:
        server.root(f"mv {path}.kept {path}")


def patched(name: str, *operations: str) -> str:
    """Return a kustomize patch of a Deployment."""
    rows = "".join(f"\n      - {each}" for each in operations)
    return f"  - target: {{kind: Deployment, name: {name}}}\n    patch: |-{rows}"


FAULTS = {
    "an image that does not exist": (
        patched("ml-pipeline-ui", "{op: replace, path: /spec/template/spec/containers/0/image, "
                                  "value: 'gcr.io/ml-pipeline/nowhere:9.9.9'}"),
        ("Deployment ml-pipeline-ui", "gcr.io/ml-pipeline/nowhere:9.9.9", "image"),
    ),
    "too little memory": (
        patched("metadata-grpc-deployment", "{op: add, path: /spec/template/spec/containers/0/resources, "
                                            "value: {requests: {memory: 512Gi}}}"),
        ("metadata-grpc-deployment", "too little memory", "512Gi", "minikube_memory_mb"),
    ),
    "a program that crashes": (
        patched("ml-pipeline-ui", "{op: add, path: /spec/template/spec/containers/0/command, "
                                  "value: [sh, -c, 'echo FATAL broken on purpose; exit 3']}"),
        ("ml-pipeline-ui", "exit code 3", "FATAL broken on purpose"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("patch", "words"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_named_and_the_next_run_recovers(
    server: Server, measured: Measured, patch: str, words: tuple[str, ...]
) -> None:
    with overlay(server, patch):
        reapply(server)
        failed = server.apply(seconds=DEADLINE, ok=False)
    assert [word for word in words if word not in failed.text] == [], failed.output[-3000:]
    recovered = server.apply()
    again = server.apply()
    assert again.recap()["changed"] == 0
    measured(f"named after {failed.seconds:.0f} s, recovered in {recovered.seconds:.0f} s")


def test_a_slow_database_is_waited_for(server: Server, measured: Measured) -> None:
    delay = ("{op: add, path: /spec/template/spec/initContainers, value: [{name: slow, image: 'python:3.11', "
             "command: [sleep, '120']}]}")  # fmt: skip
    image = server.kubectl("get deployment mysql -o jsonpath='{.spec.template.spec.containers[0].image}'")
    before = server.pods()
    with overlay(server, patched("mysql", delay.replace("python:3.11", image))):
        reapply(server)
        result = server.apply()
    crashed = {name: count for name, count in server.pods().items() if count and not before.get(name)}
    assert crashed == {}, "nothing crashed for want of the database"
    server.apply()
    measured(f"{result.seconds:.0f} s with 120 s of delay")


def test_wrong_keys_of_the_object_store_are_brought_back(server: Server, measured: Measured) -> None:
    wrong = json.dumps({"data": {"secretkey": "bm90LXRoZS1rZXktb2YtdGhpcy1zdG9yZQ=="}})
    server.kubectl(f"patch secret mlpipeline-minio-artifact --type=merge -p '{wrong}'")
    server.kubectl("rollout restart deployment/minio")
    result = server.apply()
    assert "Secret mlpipeline-minio-artifact was changed by hand" in result.text
    assert server.root("neurobatch-smoke --deadline 300 2>/dev/null | tail -n1", timeout=400).startswith(
        "smoke: SUCCEEDED"
    )
    measured(f"{result.seconds:.0f} s")


def test_a_claim_that_stays_pending_is_named(server: Server) -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "stuck"},
             "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "nobody",
                      "resources": {"requests": {"storage": "1Gi"}}}}  # fmt: skip
    server.kubectl(f"create -f - <<'END'\n{json.dumps(claim)}\nEND")
    try:
        said = server.play("playbooks/diagnose.yml").text
    finally:
        server.kubectl("delete pvc stuck")
    assert "Claim stuck" in said
    assert "nobody" in said


def test_the_api_server_killed_amid_an_application(server: Server, measured: Measured) -> None:
    reapply(server)
    process = started(server)
    waited(server, "== applied the cluster-scoped")
    server.root("docker exec minikube pkill -KILL kube-apiserver")
    output = process.communicate(timeout=600)[0]
    result = server.apply()
    assert server.apply().recap()["changed"] == 0
    ended = "it went through" if process.returncode == 0 else "it failed, and"
    measured(f"{ended} the next run took {result.seconds:.0f} s: {output[-200:]!r}")


def started(server: Server) -> subprocess.Popen[str]:
    """Start an application in a process group of its own."""
    argv = playbook.command(server.instance, "--tags", "preflight,neurodesktop,minikube,kubeflow_pipelines")
    return subprocess.Popen(argv, env=playbook.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, start_new_session=True)  # fmt: skip


def waited(server: Server, words: str, seconds: float = 180) -> None:
    """Wait until the application on the server has said something."""
    log = "/var/log/neurobatch/kubeflow-pipelines.log"
    server.root(f"rm -f {log}")
    deadline = time.monotonic() + seconds
    while words not in server.root(f"cat {log} 2>/dev/null || true"):
        assert time.monotonic() < deadline, words
        time.sleep(0.5)


PHASES = ("== applied the cluster-scoped", "== the database is proven", "== applied Kubeflow Pipelines")


@pytest.mark.parametrize("words", PHASES)
def test_a_playbook_killed_in_any_phase_is_run_again(server: Server, measured: Measured, words: str) -> None:
    reapply(server)
    process = started(server)
    waited(server, words)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    result = server.apply()
    assert server.apply().recap()["changed"] == 0
    measured(f"{result.seconds:.0f} s")


PLANTED = "Pl4nted-s3cret-of-nobody-0123456789"


def test_planted_secrets_are_in_no_log_and_not_in_the_bundle(server: Server, measured: Measured) -> None:
    for folder in ("neurodesktop", "kubeflow_pipelines"):
        server.root(f"umask 077; printf %s {PLANTED} > /etc/neurobatch/secrets/{folder}/planted")
    server.kubectl(f"create secret generic planted --from-literal=a={PLANTED}")
    server.root(f"logger -t minikube said {PLANTED}; echo said {PLANTED} > /var/log/neurobatch/planted.log")
    try:
        result = server.play("playbooks/diagnose.yml", "-vvv")
        secrets = [PLANTED, *server.root("cat /etc/neurobatch/secrets/*/*_* | tr '\\n' ' '").split()]
        secrets += server.root("cd /etc/neurobatch/secrets; for f in */*; do cat $f; echo; done").split()
        everything = server.play("site.yml", "-vvv")
    finally:
        server.kubectl("delete secret planted")
        server.root("rm -f /etc/neurobatch/secrets/*/planted /var/log/neurobatch/planted.log")
    bundle = Path("reports") / next(iter(result.recap_hosts())) / "diagnosis.tar.gz"
    text = ""
    with tarfile.open(bundle) as tar:
        names = tar.getnames()
        for member in tar.getmembers():
            stream = tar.extractfile(member)
            text += stream.read().decode() if stream else ""
    assert {"diagnosis/cluster/events.txt", "diagnosis/docker/version.txt", "diagnosis/server/disk.txt"} <= set(names)
    assert any(name.endswith("overlay/kustomization.yaml") for name in names)
    hits = [each for each in set(secrets) if each in text or each in result.output or each in everything.output]
    assert hits == []
    measured(
        f"{len(set(secrets))} secrets, 0 hits in {len(text)} characters of {len(names)} files and two verbose logs"
    )


def test_a_disk_that_is_nearly_full_is_named(server: Server) -> None:
    # A file system of its own in Docker's place would need another server; the judgement is that of the real disk.
    free = int(server.root("df --output=avail -B1 / | tail -n1"))
    size = int(server.root("df --output=size -B1 / | tail -n1"))
    ballast = free - size // 20
    if ballast > 8_000_000_000:
        pytest.skip(f"{ballast / 1e9:.0f} GB would have to be written")
    server.root(f"fallocate -l {ballast} /var/tmp/ballast")
    try:
        assert "nearly full" in server.play("playbooks/diagnose.yml").text
    finally:
        server.root("rm -f /var/tmp/ballast")

"""Broken on purpose: the right diagnosis within the deadline, and the next run recovers."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.conftest import TAGS, Server
from tests.rehearsal.names import CHECKOUT
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
    # Back to the release's own, which the record of what is applied does not tell apart.
    reapply(server)
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
    argv = playbook.command(server.instance, "--tags", TAGS)
    log = "/var/log/neurobatch/kubeflow-pipelines.log"
    server.root(f"rm -f {log}")
    with subprocess.Popen(argv, env=playbook.environment(), cwd=CHECKOUT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:  # fmt: skip
        said = f"grep -q '== applied the cluster-scoped' {log} && echo yes || true"
        server.until("an application", lambda: server.root(said) == "yes", 300)
        server.root("docker exec minikube pkill -KILL kube-apiserver")
        output = process.communicate(timeout=600)[0]
    result = server.apply()
    again = server.apply()
    assert again.recap()["changed"] == 0, again.output[-3000:]
    ended = "it went through" if process.returncode == 0 else "it failed, and"
    measured(f"{ended} the next run took {result.seconds:.0f} s: {output[-200:]!r}")


PHASES = ("== applied the cluster-scoped", "== the database is proven", "== applied Kubeflow Pipelines")


def test_a_playbook_killed_in_any_phase_is_run_again(server: Server, measured: Measured) -> None:
    seconds = []
    for words in PHASES:
        reapply(server)
        server.killed(words, "--tags", TAGS)
        seconds.append(server.apply().seconds)
    again = server.apply()
    assert again.recap()["changed"] == 0, again.output[-3000:]
    measured(f"{', '.join(f'{each:.0f} s' for each in seconds)} after a kill, then changed=0")


def test_a_disk_that_is_nearly_full_is_named(server: Server) -> None:
    # A file system of its own, as many servers have there; this machine's own disk is not the test's to fill.
    server.root("mount -t tmpfs -o size=64m tmpfs /tmp")
    try:
        server.root("head -c 62000000 /dev/zero > /tmp/ballast")
        said = server.play("playbooks/diagnose.yml").text
    finally:
        server.root("umount /tmp")
    assert re.search(r"Disk of /tmp: it is nearly full, \d\.\d of 67 MB are left", said)

"""What is said about a cluster in trouble, and what never leaves a server."""

from __future__ import annotations

import base64
import copy
import json
import subprocess
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from neurobatch import mirrors, remote
from neurobatch.remote import diagnose
from neurobatch.remote.cluster import asked, judge
from neurobatch.remote.cluster.redact import redact, shapes

DEPLOYMENT: dict[str, Any] = {
    "kind": "Deployment",
    "metadata": {"name": "minio", "namespace": "kubeflow", "generation": 2},
    "spec": {"replicas": 1},
    "status": {"observedGeneration": 2, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 1},
}
REPLICASET = {
    "kind": "ReplicaSet",
    "metadata": {"name": "minio-5d", "uid": "rs", "ownerReferences": [{"name": "minio", "uid": "d"}]},
}
NODE = {
    "metadata": {"name": "minikube"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"memory": "4096Mi", "cpu": "2"}},
}


def pod(name: str = "minio-5d-x", **status: Any) -> dict[str, Any]:
    """Return a pod of the Deployment."""
    return {
        "metadata": {"name": name, "namespace": "kubeflow", "ownerReferences": [{"name": "minio-5d", "uid": "rs"}]},
        "spec": {
            "containers": [{"name": "minio", "resources": {"requests": {"memory": "64Gi"}}}],
            "volumes": [{"persistentVolumeClaim": {"claimName": "minio-pvc"}}],
        },
        "status": {"phase": "Pending", **status},
    }


def container(state: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return the status of a pod with one container in a state."""
    return {"containerStatuses": [{"name": "minio", "image": "gone.example/minio:1", "state": state, **more}]}


def event(name: str, reason: str, message: str) -> dict[str, Any]:
    """Return an event about an object."""
    return {"involvedObject": {"name": name}, "reason": reason, "message": message, "lastTimestamp": "2026-01-01"}


def judged(logs: dict[str, str] | None = None, /, **objects: list[Any]) -> list[str]:
    """Return the findings about a cluster with one Deployment in trouble, and these objects."""
    waits = copy.deepcopy(DEPLOYMENT)
    waits["status"]["availableReplicas"] = 0
    seen = {
        "nodes": [NODE], "deployments": [waits], "replicasets": [REPLICASET], "pods": [], "events": [],
        "persistentvolumeclaims": [], **objects,
    }  # fmt: skip
    return [judge.text(each) for each in judge.findings(seen, logs or {})]


def unscheduled(message: str) -> dict[str, Any]:
    """Return a pod that the scheduler could not place."""
    return pod(conditions=[{"type": "PodScheduled", "status": "False", "message": message}])


CASES: dict[str, tuple[dict[str, list[Any]], tuple[str, ...]]] = {
    "an image that does not exist": (
        {"pods": [pod(**container({"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}))],
         "events": [event("minio-5d-x", "Failed", "rpc error: code = NotFound: manifest unknown")]},
        ("Deployment minio, pod minio-5d-x, container minio", "gone.example/minio:1 does not exist", "mirror"),
    ),
    "an image that needs a login": (
        {"pods": [pod(**container({"waiting": {"reason": "ErrImagePull", "message": "401 Unauthorized"}}))]},
        ("gone.example/minio:1 is refused", "login"),
    ),
    "a registry that is away": (
        {"pods": [pod(**container({"waiting": {"reason": "ErrImagePull", "message": "dial tcp: i/o timeout"}}))]},
        ("cannot be pulled", "network"),
    ),
    "too little memory": (
        {"pods": [unscheduled("0/1 nodes are available: 1 Insufficient memory.")]},
        ("too little memory", "asks for 64Gi memory", "minikube has 4096Mi memory", "minikube_memory_mb"),
    ),
    "a claim that is not bound": (
        {"pods": [unscheduled("pod has unbound immediate PersistentVolumeClaims")],
         "persistentvolumeclaims": [{"metadata": {"name": "minio-pvc"}, "spec": {"storageClassName": "fast"},
                                     "status": {"phase": "Pending"}}],
         "events": [event("minio-pvc", "ProvisioningFailed", 'storageclass "fast" not found')]},
        ("Claim minio-pvc: its storage class fast does not exist", "minio-pvc is not bound"),
    ),
    "a missing Secret": (
        {"pods": [pod(**container({"waiting": {"reason": "CreateContainerConfigError",
                                               "message": 'secret "mysql-secret" not found'}}))]},
        ("the secret mysql-secret does not exist",),
    ),
    "a webhook's certificate": (
        {"pods": [pod()], "events": [event("minio-5d-x", "FailedMount", 'secret "webhook-server-tls" not found')]},
        ("webhook-server-tls", "cache-deployer-deployment"),
    ),
    "a webhook that does not answer": (
        {"events": [event("minio-5d", "FailedCreate", 'failed calling webhook "pods.example.org": refused')]},
        ("Deployment minio: the webhook pods.example.org lets no pod of it be made",),
    ),
    "the tools' repository that cannot be mounted": (
        {"pods": [pod()], "events": [
            event("minio-5d-x", "FailedMount", 'MountVolume.SetUp failed for volume "a" : rpc error: code = Internal '
                  "desc = failed to bind mount: exit status 32: mount: /var/lib/kubelet/pods/1/volumes/mount: special "
                  "device /cvmfs/neurodesk.ardc.edu.au does not exist."),
            event("minio-5d-x", "FailedMount", "Unable to attach or mount volumes: timed out waiting")]},
        ("the node cannot mount the repository", "cvmfs_servers", "special device /cvmfs/"),
    ),
    "killed for its memory": (
        {"pods": [pod(**container({"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=3,
                                  lastState={"terminated": {"reason": "OOMKilled", "exitCode": 137}}))]},
        ("more memory than it may",),
    ),
    "a full disk": (
        {"nodes": [{"metadata": {"name": "minikube"}, "status": {"conditions": [
            {"type": "DiskPressure", "status": "True", "message": "kubelet has disk pressure"}]}}]},
        ("Node minikube: the disk is nearly full",),
    ),
    "scaled to nothing": (
        {"deployments": [{"metadata": {"name": "minio", "generation": 1}, "spec": {"replicas": 0}, "status": {}}]},
        ("Deployment minio: it was scaled to nothing",),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("objects", "words"), CASES.values(), ids=CASES)
def test_trouble_is_named_with_its_place_its_cause_and_the_remedy(
    objects: dict[str, list[Any]], words: tuple[str, ...]
) -> None:
    said = "\n".join(judged(**objects))
    assert [word for word in words if word not in said] == [], said


LOOKUP = {"waiting": {"reason": "ErrImagePull", "message": "lookup gone.example: no such host"}}


@pytest.mark.parametrize(
    ("status", "words"), [(404, ("does not exist", "has no minio:1")), (200, ("cannot be pulled", "has minio:1"))]
)
def test_the_mirror_is_asked_for_an_image_whose_own_registry_is_out_of_reach(
    status: int, words: tuple[str, ...], tmp_path: Path
) -> None:
    class Mirror(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status if self.path == "/v2/minio/manifests/1" else 500)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    for file in mirrors.containerd_files({"gone.example": url}, str(tmp_path)):
        Path(file["path"]).parent.mkdir(parents=True)
        Path(file["path"]).write_text(file["content"])
    try:
        heard = asked.mirror("gone.example/minio:1", f"{tmp_path}/etc/containerd/certs.d")
        assert asked.mirror("other.example/minio:1", f"{tmp_path}/etc/containerd/certs.d") == ""
    finally:
        server.shutdown()
        server.server_close()
    pods = [pod(**container(LOOKUP))]
    assert judge.unpulled(pods) == {"gone.example/minio:1"}
    said = "\n".join(judged({judge.image_key("gone.example/minio:1"): heard}, pods=pods))
    assert [word for word in (*words, url) if word not in said] == [], said


def test_a_crash_is_shown_with_its_last_lines() -> None:
    crashed = pod(**container({"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=4,
                              lastState={"terminated": {"exitCode": 1}}))  # fmt: skip
    assert judge.ended([crashed]) == [("kubeflow", "minio-5d-x", "minio", True)]
    (lost,) = judged({"minio-5d-x/minio": "ls: /cvmfs/x: Too many levels of symbolic links"}, pods=[crashed])
    assert "(ELOOP). Mount the claim cvmfs-neurodesk" in lost
    (said,) = judged({"minio-5d-x/minio": "first\nFATAL no space"}, pods=[crashed])
    assert "exit code 1, 4 restarts" in said
    assert said.endswith("\n    FATAL no space")


def test_what_others_need_comes_first() -> None:
    gone = {"metadata": {"name": "away", "generation": 1}, "spec": {}, "status": {}}
    rows = [
        {**gone, "metadata": {"name": name, "generation": 1}} for name in ("ml-pipeline-ui", "mysql", "ml-pipeline")
    ]
    assert [each.split(":")[0] for each in judged(deployments=rows)] == [
        "Deployment mysql", "Deployment ml-pipeline", "Deployment ml-pipeline-ui",
    ]  # fmt: skip


def test_where_nothing_is_wrong_nothing_is_said() -> None:
    done = pod("a-step", phase="Succeeded")
    bound = {"metadata": {"name": "minio-pvc"}, "spec": {}, "status": {"phase": "Bound"}}
    assert judged(deployments=[DEPLOYMENT], pods=[done], persistentvolumeclaims=[bound]) == []


@pytest.mark.parametrize("key", ["observedGeneration", "updatedReplicas", "availableReplicas"])
def test_a_deployment_is_well_when_all_of_it_runs_as_described_now(key: str) -> None:
    assert judge.well(DEPLOYMENT)
    assert not judge.well({**DEPLOYMENT, "status": {**DEPLOYMENT["status"], key: 0}})


PLANTED = "k9Fz+/q=Wx 7Lm"
WRITTEN = [
    PLANTED,
    base64.b64encode(PLANTED.encode()).decode(),
    base64.b64encode(f"user:{PLANTED}".encode()).decode(),
    base64.b64encode(f"{{'a': '{PLANTED}', 'b': 1}}".encode()).decode(),
    "k9Fz%2B%2Fq%3DWx%207Lm",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_known_secret_is_taken_out_however_it_is_written(written: str) -> None:
    clean = redact(f"before {written} after", shapes([PLANTED + "\n"]))
    assert "before" in clean
    assert "after" in clean
    # What is left of a base64 text is what stood around the secret.
    assert written not in clean
    assert PLANTED[2:-2] not in clean
    assert base64.b64encode(PLANTED.encode()).decode()[4:-4] not in clean


LOOKS = {
    '{"auths": {"mirror:5000": {"auth": "dTpodW50ZXIy"}}}': "dTpodW50ZXIy",
    "password=hunter2hunter": "hunter2hunter",
    '"MYSQL_ROOT_PASSWORD": "hunter2"': "hunter2",
    "http://user:hunter2@mirror.lab/x": "hunter2",
    "Authorization: Bearer abcdef0123456789": "abcdef0123456789",
    "GET /lab?token=0123456789abcdef": "0123456789abcdef",
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlcm5ldGVz.c2lnbmF0dXJl": "eyJpc3MiOiJrdWJlcm5ldGVz",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----": "MIIE",
}


@pytest.mark.parametrize(("said", "secret"), LOOKS.items())
def test_what_looks_like_a_secret_is_taken_out(said: str, secret: str) -> None:
    assert secret not in redact(said, [])


@pytest.mark.parametrize(
    "said",
    [
        "MYSQL_ROOT_PASSWORD: <set to the key 'password' in secret 'mysql-secret'>",
        "--mysql_config_password=$(DBCONFIG_PASSWORD)",
        "image http://mirror:5000/minio@sha256:0123",
        "root logged in",
    ],
)
def test_what_is_none_stays(said: str) -> None:
    assert redact(said, shapes(["root"])) == said


def test_the_bundle_is_for_its_owner_alone_and_clean(tmp_path: Path) -> None:
    target = tmp_path / "bundle.tar.gz"
    size = diagnose.pack({"a/log.txt": f"said {PLANTED}\n", "b.txt": "fine"}, str(target), shapes([PLANTED]))
    assert size == target.stat().st_size
    assert oct(target.stat().st_mode & 0o777) == "0o600"
    with tarfile.open(target) as tar:
        assert sorted(tar.getnames()) == ["diagnosis/a/log.txt", "diagnosis/b.txt"]
        member = tar.extractfile("diagnosis/a/log.txt")
        assert member is not None
        assert member.read() == b"said [removed]\n"


def test_a_server_without_a_cluster_is_diagnosed_too(tmp_path: Path) -> None:
    params = {
        "cluster": {"kubectl": str(tmp_path / "kubectl"), "kubeconfig": str(tmp_path / "kubeconfig")}, "own": True,
        "namespaces": ["kubeflow"], "units": [], "secrets_dir": str(tmp_path), "files": [], "bundle": "",
    }  # fmt: skip
    program = remote.program("diagnose", params)
    run = subprocess.run([sys.executable, "-I", "-"], input=program, capture_output=True, text=True, check=True)
    assert any(each.startswith("Cluster: there is none") for each in json.loads(run.stdout)["findings"])

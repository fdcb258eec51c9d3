"""What the programs of the role cvmfs_csi decide, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from neurobatch.remote import cvmfs_csi_install, cvmfs_csi_probe, cvmfs_csi_verify, program

PARAMS = {
    "namespace": "cvmfs",
    "release": "cvmfs-csi",
    "claims_namespace": "kubeflow",
    "claim": "cvmfs-neurodesk",
    "repository": "neurodesk.ardc.edu.au",
    "seconds": 240,
}


def item(kind: str, name: str, namespace: str = "", **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, **rest}


def test_the_probe_reads_driver_classes_claims_and_namespace() -> None:
    items = [
        item("DaemonSet", "cvmfs-csi-nodeplugin", "cvmfs", status={"numberReady": 1, "desiredNumberScheduled": 1}),
        item("StorageClass", "standard", provisioner="k8s.io/minikube-hostpath"),
        item("StorageClass", "cvmfs", provisioner="cvmfs.csi.cern.ch"),
        item("StorageClass", "cvmfs-neurodesk", provisioner="cvmfs.csi.cern.ch", parameters={"repository": "r"}),
        item("PersistentVolumeClaim", "cvmfs", "kubeflow", status={"phase": "Bound"}),
        item("PersistentVolumeClaim", "cvmfs-neurodesk", "kubeflow", status={"phase": "Pending"}),
        item("PersistentVolumeClaim", "cvmfs-neurodesk", "elsewhere", status={"phase": "Bound"}),
        item("Namespace", "kubeflow"),
    ]
    assert cvmfs_csi_probe.read(items, PARAMS) == {
        "ready": True,
        "classes": {"cvmfs": "", "cvmfs-neurodesk": "r"},
        "bound": ["cvmfs"],
        "claims_namespace": True,
    }


@pytest.mark.parametrize("status", [{}, {"numberReady": 0, "desiredNumberScheduled": 0}, {"desiredNumberScheduled": 1}])
def test_a_driver_that_runs_nowhere_is_not_ready(status: dict[str, int]) -> None:
    items = [item("DaemonSet", "cvmfs-csi-nodeplugin", "cvmfs", status=status)]
    assert not cvmfs_csi_probe.read(items, PARAMS)["ready"]


def pod(name: str = "p", **status: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "cvmfs"}, "spec": {"containers": [{}, {}]}, "status": status}


def waiting(reason: str) -> dict[str, Any]:
    return {"name": "automount", "ready": False, "state": {"waiting": {"reason": reason, "message": "said"}}}


def test_pods_are_ready_only_when_all_their_containers_are() -> None:
    ready = {"name": "a", "ready": True}
    assert cvmfs_csi_install.unready([pod(containerStatuses=[ready, ready])]) == ""
    assert cvmfs_csi_install.unready([]) == "there is no pod yet"
    assert "1 of 2" in cvmfs_csi_install.unready([pod(containerStatuses=[ready, {"name": "b", "ready": False}])])
    assert "0 of 2" in cvmfs_csi_install.unready([pod()])


@pytest.mark.parametrize(
    ("reason", "remedy"), [("ImagePullBackOff", "registry_mirrors"), ("CrashLoopBackOff", "autofs")]
)
def test_a_container_that_waits_is_named_with_its_reason_and_remedy(reason: str, remedy: str) -> None:
    said = cvmfs_csi_install.unready([pod("plugin", containerStatuses=[waiting(reason)])])
    assert said.startswith(f"plugin, container automount: {reason} (said)")
    assert remedy in said


def test_running_pods_that_hold_a_claim_are_found_before_the_driver_restarts() -> None:
    def user(name: str, namespace: str, claim: str, phase: str = "Running") -> dict[str, Any]:
        volumes = [{"persistentVolumeClaim": {"claimName": claim}}, {"emptyDir": {}}]
        return {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"volumes": volumes},
            "status": {"phase": phase},
        }

    pods = [
        user("step", "kubeflow", "cvmfs-neurodesk"),
        user("done", "kubeflow", "cvmfs-neurodesk", "Succeeded"),
        user("other", "elsewhere", "cvmfs-neurodesk"),
        user("data", "kubeflow", "neurodesktop-storage"),
    ]
    assert cvmfs_csi_install.users(pods, {("kubeflow", "cvmfs-neurodesk")}) == ["kubeflow/step"]


def test_the_pod_mounts_what_a_step_mounts_and_as_a_step_does() -> None:
    spec = cvmfs_csi_verify.manifest(PARAMS, "image")["spec"]
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert mount == {"name": "cvmfs", "mountPath": "/cvmfs/neurodesk.ardc.edu.au"}
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "cvmfs-neurodesk"}
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["securityContext"]["runAsNonRoot"] is True


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("found 12 384", (12, 384)),
        ("noise\nfound 1 2", (1, 2)),
        ("found 0 384", None),
        ("found 12 0", None),
        ("ls: cannot access", None),
        ("", None),
    ],
)
def test_only_a_repository_with_modules_and_containers_counts(said: str, found: tuple[int, int] | None) -> None:
    assert cvmfs_csi_verify.counts(said) == found


@pytest.mark.parametrize(
    ("evidence", "cause", "remedy"),
    [
        ("ls: cannot open directory '/cvmfs/x': Too many levels of symbolic links", "ELOOP", "delete it"),
        ("ls: cannot access '/cvmfs/x': Transport endpoint is not connected", "ENOTCONN", "run again"),
        ("ls: reading directory: Input/output error", "EIO", "cvmfs_csi_cache_mb"),
        ("ls: cannot access '/cvmfs/x/neurodesk-modules': No such file or directory", "ENOENT", "cvmfs_servers"),
        ("no CVMFS file system at /cvmfs/x", "ordinary folder", "/var/cvmfs"),
        ("FailedMount: MountVolume.SetUp failed for volume: rpc error", "cannot mount", "cvmfs_servers"),
        ("FailedScheduling: 0/1 nodes are available", "no node takes", "describe node"),
        ('pods "cvmfs-verify" is forbidden: violates PodSecurity "restricted:latest"', "refuses", "labels"),
        ("found 0 3", "empty", "cvmfs_servers"),
        ("something new", "not known", "lines below"),
    ],
)
def test_each_known_fault_has_its_cause_and_remedy(evidence: str, cause: str, remedy: str) -> None:
    likely, do = cvmfs_csi_verify.diagnosis(evidence)
    assert cause in likely
    assert remedy in do


def test_servers_that_cannot_be_asked_are_named_with_the_reason() -> None:
    (line,) = cvmfs_csi_verify.server_answers(["http://127.0.0.1:1"], "r")
    assert line.startswith("http://127.0.0.1:1: ")
    assert "refused" in line


@pytest.mark.parametrize("name", ["cvmfs_csi_probe", "cvmfs_csi_install", "cvmfs_csi_verify", "cvmfs_csi_remove"])
def test_the_programs_are_whole(name: str) -> None:
    compile(program(name, {}), name, "exec")

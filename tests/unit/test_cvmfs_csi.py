"""What the programs of the role cvmfs_csi decide, without a cluster."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from neurobatch.remote import cvmfs_csi_install, cvmfs_csi_probe, cvmfs_csi_tool, cvmfs_csi_verify, program
from neurobatch.remote.cvmfs import faults, release, step, volumes

PARAMS = {
    "namespace": "cvmfs",
    "release": "cvmfs-csi",
    "namespaces": ["kubeflow", "lab"],
    "claim": "cvmfs-neurodesk",
    "repository": "neurodesk.ardc.edu.au",
    "seconds": 240,
}


def item(kind: str, name: str, namespace: str = "", **rest: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, **rest}


CLASSES = [
    item("StorageClass", "standard", provisioner="k8s.io/minikube-hostpath"),
    item("StorageClass", "cvmfs", provisioner="cvmfs.csi.cern.ch"),
    item("StorageClass", "cvmfs-neurodesk", provisioner="cvmfs.csi.cern.ch", parameters={"repository": "r"}),
]


def claim(name: str, namespace: str = "kubeflow", phase: str = "Bound", **meta: str) -> dict[str, Any]:
    made = item("PersistentVolumeClaim", name, namespace, status={"phase": phase}, spec={"storageClassName": name})
    made["metadata"] |= meta
    return made


def user(name: str, claim_name: str, phase: str = "Running", **mount: str) -> dict[str, Any]:
    """Return a pod with a claim at /tools."""
    return item(
        "Pod", name, "kubeflow",
        spec={
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim_name}}],
            "containers": [{"name": "main", "volumeMounts": [{"name": "v", "mountPath": "/tools", **mount}]}],
        },
        status={"phase": phase, "containerStatuses": [{"name": "main", "state": {"running": {}}}]},
    )  # fmt: skip


def test_the_probe_reads_driver_classes_claims_and_namespaces() -> None:
    items = [
        item(
            "DaemonSet",
            "cvmfs-csi-nodeplugin",
            "cvmfs",
            spec={},
            status={"numberReady": 1, "desiredNumberScheduled": 1},
        ),
        *CLASSES,
        claim("cvmfs"),
        claim("cvmfs-neurodesk", phase="Pending"),
        claim("cvmfs", "lab", deletionTimestamp="2026-01-01"),
        claim("cvmfs-neurodesk", "elsewhere"),
        item("Namespace", "kubeflow"),
        user("step", "cvmfs-neurodesk"),
    ]
    found = cvmfs_csi_probe.read(items, PARAMS)
    assert (found["ready"], found["plugin"]) == (True, True)
    assert found["classes"] == {"cvmfs": "", "cvmfs-neurodesk": "r"}
    assert found["bound"] == ["kubeflow/cvmfs"]
    assert found["missing"] == ["lab"]
    assert found["breaks"] == ["kubeflow/step"]


def test_hands_on_the_driver_are_seen() -> None:
    objects = [
        item("DaemonSet", "cvmfs-csi-nodeplugin", "cvmfs", spec={"a": 1}, status={"numberReady": 1}),
        item("ConfigMap", "cvmfs-csi-config-d", "cvmfs", data={"a": "b"}),
    ]
    for each in objects:
        each["metadata"]["labels"] = {"app": "cvmfs-csi"}
    before = release.live(objects, "cvmfs")
    root = item("ConfigMap", "kube-root-ca.crt", "cvmfs", data={"ca": "x"})
    other = item("ConfigMap", "pipeline-install-config", "kubeflow", data={"a": "b"})
    openshift = item("ConfigMap", "openshift-service-ca.crt", "cvmfs", data={"ca": "y"})
    assert release.live([other, root, openshift, *reversed(objects)], "cvmfs") == before
    objects[0]["status"] = {"numberReady": 0}
    assert release.live(objects, "cvmfs") == before
    objects[1]["data"] = {"a": "c"}
    assert release.live(objects, "cvmfs") != before


@pytest.mark.parametrize("status", [{}, {"numberReady": 0, "desiredNumberScheduled": 0}, {"desiredNumberScheduled": 1}])
def test_a_driver_that_runs_nowhere_is_not_ready(status: dict[str, int]) -> None:
    items = [item("DaemonSet", "cvmfs-csi-nodeplugin", "cvmfs", spec={}, status=status)]
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


def test_running_pods_that_hold_a_volume_are_found_with_what_they_would_lose() -> None:
    items = [
        *CLASSES, claim("cvmfs"), claim("cvmfs-neurodesk"), claim("data"),
        user("step", "cvmfs-neurodesk"),
        user("whole", "cvmfs"),
        user("follows", "cvmfs", mountPropagation="HostToContainer"),
        user("also-step", "cvmfs-neurodesk", mountPropagation="HostToContainer"),
        user("done", "cvmfs-neurodesk", "Succeeded"),
        user("other", "data"),
    ]  # fmt: skip
    found = {each.pod: each for each in volumes.users(items, "repo.example.org")}
    assert sorted(found) == ["also-step", "follows", "step", "whole"]
    assert found["step"].path == "/tools"
    assert found["whole"].path == "/tools/repo.example.org"
    # Its new mounts are made below all of /cvmfs alone.
    assert volumes.breaks(list(found.values())) == ["kubeflow/also-step", "kubeflow/step", "kubeflow/whole"]


class Answers:
    """A cluster whose pods answer `ls` with these words and code 2; none means that it lists."""

    def __init__(self, words: dict[str, str]) -> None:
        """Remember them."""
        self.words = words

    def run(self, *argv: str, **_: Any) -> subprocess.CompletedProcess[str]:
        """Answer."""
        words = self.words.get(argv[3], "")
        return subprocess.CompletedProcess(argv, 2 if words else 0, "", words)


def test_pods_that_lost_the_tools_are_named_with_the_reason() -> None:
    def one(name: str) -> volumes.User:
        return volumes.User("kubeflow", name, "main", "/cvmfs/r", recovers=False)

    answers = Answers(
        {
            "dead": "ls: cannot access '/cvmfs/r/': Transport endpoint is not connected",
            "whole": "ls: cannot access '/cvmfs/r/': Too many levels of symbolic links",
            "bare": 'exec: "ls": executable file not found in $PATH: /cvmfs/r: No such file or directory',
            "gone": 'Error from server (NotFound): pods "gone" not found',
        }
    )
    rows = volumes.lost(answers, [one(name) for name in ("dead", "well", "whole", "bare", "gone")])  # type: ignore[arg-type]
    assert [(user.name, fault.word) for user, fault in rows] == [
        ("kubeflow/dead", "ENOTCONN"),
        ("kubeflow/whole", "ELOOP"),
    ]


def test_the_job_mounts_what_a_step_mounts_and_as_a_step_does() -> None:
    made = step.job("verify", {**PARAMS, "claim": "cvmfs-neurodesk"}, "image", "true", dict(step.RESTRICTED))
    spec = made["spec"]["template"]["spec"]
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert mount == {"name": "tools", "mountPath": "/cvmfs/neurodesk.ardc.edu.au"}
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "cvmfs-neurodesk"}
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert (made["spec"]["backoffLimit"], made["metadata"]["namespace"]) == (0, "kubeflow")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("found 12 384 77 http://a", (12, 384, 77, "http://a")),
        ("noise\nfound 1 2 3 unknown", (1, 2, 3, "unknown")),
        ("found 0 384 7 http://a", None),
        ("found 12 0 7 http://a", None),
        ("found 12 384 none unknown", None),
        ("ls: cannot access", None),
        ("", None),
    ],
)
def test_only_a_repository_with_modules_containers_and_a_revision_counts(
    said: str, found: tuple[Any, ...] | None
) -> None:
    names = ("modules", "containers", "revision", "host")
    assert cvmfs_csi_verify.counts(said) == (dict(zip(names, found, strict=True)) if found else None)


def test_the_revision_is_compared_with_what_the_servers_have_signed() -> None:
    answers = {
        "a": {"state": "genuine", "revision": 40},
        "b": {"state": "genuine", "revision": 41},
        "c": {"state": "forged", "revision": 99},
    }
    assert cvmfs_csi_verify.currency(41, answers) == "revision 41, as signed"
    assert cvmfs_csi_verify.currency(40, answers).startswith("revision 40, but 41 is signed by now")
    assert cvmfs_csi_verify.currency(50, answers).startswith("revision 50, newer than 41")
    assert "no server could be asked" in cvmfs_csi_verify.currency(41, {"a": {"state": "silent"}})


@pytest.mark.parametrize(
    ("evidence", "cause", "remedy"),
    [
        ("ls: cannot open directory '/cvmfs/x': Too many levels of symbolic links", "ELOOP", "delete it"),
        ("ls: cannot access '/cvmfs/x': Transport endpoint is not connected", "ENOTCONN", "Run the pod again"),
        ("ls: reading directory: Input/output error", "EIO", "cvmfs_cache_mb"),
        ("ls: cannot access '/cvmfs/x/neurodesk-modules': No such file or directory", "ENOENT", "cvmfs_servers"),
        ("no CVMFS file system at /cvmfs/x", "ordinary folder", "/var/cvmfs"),
        ("FailedMount: MountVolume.SetUp failed for volume: rpc error", "cannot mount", "cvmfs_servers"),
        ("FailedScheduling: 0/1 nodes are available", "no node takes", "describe node"),
        ('pods "cvmfs-verify" is forbidden: violates PodSecurity "restricted:latest"', "refuses", "labels"),
        ("mount: Failed to initialize root file catalog (16 - file catalog failure)", "file catalog", "cvmfs_servers"),
        ("CVMFS_HTTP_PROXY required", "no proxy", "cvmfs_http_proxy"),
        ("Failed to load public key", "public key", "cvmfs_public_key"),
        ("found 0 3 7 http://a", "empty", "cvmfs_servers"),
        ("found 1 3 none unknown", "no CVMFS", "/var/cvmfs"),
        ("something new", "not known", "lines below"),
    ],
)
def test_each_known_fault_has_its_cause_and_remedy(evidence: str, cause: str, remedy: str) -> None:
    likely, do = cvmfs_csi_verify.diagnosis(evidence)
    assert cause in likely
    assert remedy in do


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("OSError: [Errno 40] Too many levels of symbolic links: '/cvmfs/neurodesk.ardc.edu.au'", "ELOOP"),
        ("ls: cannot open directory '/cvmfs/x/containers': Input/output error", "EIO"),
        ("/cvmfs/x/containers/fsl_6/fslmaths: No such file or directory", "ENOENT"),
        ("OSError: [Errno 107] Transport endpoint is not connected: '/cvmfs/x'", "ENOTCONN"),
        ("Failed to initialize root file catalog (16 - file catalog failure)", "catalog"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/data/sub-01.nii'", ""),
        ("write error: Input/output error", ""),
        ("all is well", ""),
    ],
)
def test_a_step_s_own_words_name_the_fault_where_they_are_about_cvmfs(line: str, word: str) -> None:
    fault = faults.in_output(f"Traceback\n{line}\nend")
    assert (fault.word if fault else "") == word


def test_what_failed_before_the_last_mount_is_no_fault() -> None:
    failed = ">> Failed to initialize root file catalog (16 - file catalog failure)\n"
    mounted = "handle_packet_missing_indirect: mounted /cvmfs/neurodesk.ardc.edu.au\n"
    assert faults.of_client(mounted + failed) == faults.named("catalog")
    assert faults.of_client(failed + mounted) is None
    assert faults.of_client(">> CVMFS_HTTP_PROXY required\n") == faults.named("proxy")
    assert faults.of_client("attempting to mount entry /cvmfs/neurodesk.ardc.edu.au") is None


#: What a pod says about itself; each case changes some of it.
WELL = {"by": "its file", "ended": "0", "namespaces": "95000", "clone": "1", "restricted": "0", "profile": "unconfined",
        "seccomp": "0", "unshare": "ok", "mount": "ok"}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "printed", "runs", "words"),
    [
        ({}, "niimath 1.0", True, "niimath runs in a step and says: niimath 1.0"),
        ({"ended": "1", "namespaces": "0", "unshare": "No space left on device", "mount": "No space left on device"},
         "unshare failed", False, "user namespaces are off on this server (user.max_user_namespaces=0)"),
        ({"ended": "1", "clone": "0", "unshare": "Operation not permitted", "mount": "x"}, "", False,
         "kernel.unprivileged_userns_clone=0"),
        ({"ended": "1", "seccomp": "2", "unshare": "Operation not permitted", "mount": "x"}, "", False,
         "seccomp profile forbids user namespaces (RuntimeDefault"),
        ({"ended": "255", "restricted": "1", "profile": "unconfined", "mount": "Permission denied"}, "FATAL", False,
         "kernel.apparmor_restrict_unprivileged_userns=1"),
        ({"ended": "255", "profile": "cri-containerd.apparmor.d (enforce)", "mount": "Permission denied"}, "", False,
         "the pod's AppArmor profile cri-containerd.apparmor.d forbids mounts"),
        ({"ended": "1"}, "ls: cannot access '/cvmfs/r/x': Input/output error", False, "EIO"),
        ({"ended": "127"}, "Unable to locate a modulefile for 'niimath'", False, "no such module"),
        ({"ended": "3"}, "segfault", False, "the tool itself"),
    ],
)  # fmt: skip
def test_the_verdict_names_what_stops_a_tool(change: dict[str, str], printed: str, runs: bool, words: str) -> None:
    said = printed + "\n" + "\n".join(f"TOOL {key} {value}" for key, value in {**WELL, **change}.items())
    verdict = cvmfs_csi_tool.verdict(said, "niimath")
    assert verdict[0] is runs
    assert words in verdict[1]


@pytest.mark.parametrize(
    "name", ["cvmfs_csi_probe", "cvmfs_csi_install", "cvmfs_csi_verify", "cvmfs_csi_tool", "cvmfs_csi_remove"]
)
def test_the_programs_are_whole(name: str) -> None:
    compile(program(name, {}), name, "exec")

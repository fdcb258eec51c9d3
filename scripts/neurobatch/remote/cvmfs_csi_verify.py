"""Read the Neurodesk repository in a pod, as a pipeline's step does, and name the first thing that is broken.

The pod mounts the single-repository claim with no mount propagation, no rights and an ordinary user: what Elyra makes.
It runs on the driver's image, which is on the node already. Nothing of it is left behind.

Parameters: cluster (kubectl, kubeconfig), namespace and release of the driver, claims_namespace, claim, repository,
servers, seconds (deadline), record and configuration (what to note where).
"""

from __future__ import annotations

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from neurobatch.remote.common import Cluster

NAME = "cvmfs-verify"
#: Seconds that one pod gets: more than autofs remembers a failed mount (60), so that the next one asks anew.
ONE_POD = 70
#: What the pod runs. Its last line tells what there is; everything before is what went wrong.
SCRIPT = """
exec 2>&1
export LC_ALL=C
end() { echo "$1"; exit 1; }
modules=$(ls "$ROOT/neurodesk-modules" 2>&1) || end "$modules"
containers=$(ls "$ROOT/containers" 2>&1) || end "$containers"
grep -q " $ROOT .* - fuse" /proc/self/mountinfo || end "no CVMFS file system at $ROOT"
echo "found $(echo "$modules" | grep -c .) $(echo "$containers" | grep -c .)"
"""
#: Words of the kernel, kubelet or API server, in order: which fault they show, its likely cause and what to do.
FAULTS: tuple[tuple[str, str, str], ...] = (
    (
        "Too many levels of symbolic links",
        "the claim holds all of /cvmfs, which a pod without mount propagation cannot enter (ELOOP).",
        "The claim has to be of the class cvmfs-neurodesk: delete it (kubectl -n kubeflow delete pvc cvmfs-neurodesk) "
        "and run this again.",
    ),
    (
        "Transport endpoint is not connected",
        "the node plugin was restarted and left a dead mount on the node (ENOTCONN).",
        "It is cleared within a minute; if not, delete the node plugin's pod. Pods that ran meanwhile have to be run "
        "again.",
    ),
    (
        "Input/output error",
        "the cache is too small for a big directory, or the servers stopped answering midway (EIO).",
        "Raise cvmfs_csi_cache_mb, or look at the servers below.",
    ),
    (
        "Permission denied",
        "the repository is mounted for root only (EACCES).",
        "The driver's configuration differs from what this role writes: look at the ConfigMaps in the namespace cvmfs.",
    ),
    (
        "No such file or directory",
        "the repository is not mounted or lacks the folder (ENOENT): no server answered, or its content is not signed "
        "with Neurodesk's key.",
        "Look at the servers below; set cvmfs_servers or cvmfs_csi_http_proxy. A failed mount is remembered for 60 s.",
    ),
    (
        "no CVMFS file system",
        "the driver published an ordinary folder of the node instead of the repository (no FUSE mount).",
        "Delete the node plugin's pod, and look what else uses /var/cvmfs on the node.",
    ),
    (
        "FailedMount",
        "the node cannot mount the repository: no server answered, or its content is not signed with Neurodesk's key.",
        "Look at the servers below; set cvmfs_servers or cvmfs_csi_http_proxy.",
    ),
    (
        "FailedScheduling",
        "no node takes the pod; its claim has no volume, or the node is full or not ready.",
        "Look at `kubectl describe node` and `kubectl -n kubeflow get pvc`.",
    ),
    ("violates PodSecurity", "the namespace refuses the pod.", "Look at the labels of the namespace."),
    ("ImagePull", "the driver's image is not on the node and cannot be pulled.", "Look at registry_mirrors."),
)


def manifest(params: dict[str, Any], image: str) -> dict[str, Any]:
    """Return the pod, with the security context that Kubeflow Pipelines gives its steps from 2.16.0 on."""
    root = f"/cvmfs/{params['repository']}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": NAME, "namespace": params["claims_namespace"], "labels": {"app": NAME}},
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": params["seconds"] + ONE_POD,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsUser": 1000, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "verify",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["/bin/sh", "-c", SCRIPT],
                    "env": [{"name": "ROOT", "value": root}],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    # No mountPropagation, on purpose: neither Elyra nor Kubeflow Pipelines can ask for it.
                    "volumeMounts": [{"name": "cvmfs", "mountPath": root}],
                }
            ],
            "volumes": [{"name": "cvmfs", "persistentVolumeClaim": {"claimName": params["claim"]}}],
        },
    }


def counts(said: str) -> tuple[int, int] | None:
    """Return how many module folders and containers the pod has found, None where it did not get so far."""
    words = (said.strip().splitlines() or [""])[-1].split()
    if len(words) != 3 or words[0] != "found" or "0" in words[1:]:
        return None
    return int(words[1]), int(words[2])


def diagnosis(evidence: str) -> tuple[str, str]:
    """Return likely cause and remedy for what the pod, its events or the API server said."""
    for sign, cause, remedy in FAULTS:
        if sign in evidence:
            return cause, remedy
    if "found " in evidence:
        return "the repository is there but empty: a mirror server serves another one.", "Look at cvmfs_servers."
    return "not known to this check.", "The lines below show how far it comes."


def delete(cluster: Cluster, params: dict[str, Any]) -> None:
    """Remove the pod, and wait until it is gone."""
    where = ["-n", params["claims_namespace"], "--ignore-not-found", "--wait=true"]
    cluster.run("delete", "pod", NAME, *where, seconds=90)


def attempt(cluster: Cluster, params: dict[str, Any], image: str) -> tuple[str, tuple[int, int] | None]:
    """Run the pod once; return what it, its events or the API server said, and its findings where there are any."""
    place = params["claims_namespace"]
    delete(cluster, params)
    try:
        made = cluster.run("create", "--filename=-", stdin=json.dumps(manifest(params, image)))
        if made.returncode:
            return made.stderr.strip(), None
        end = time.monotonic() + ONE_POD
        while time.monotonic() < end:
            phase = ((cluster.get("pod", NAME, "-n", place) or {}).get("status") or {}).get("phase")
            if phase in {"Succeeded", "Failed"}:
                said = cluster.run("logs", NAME, "-n", place).stdout.strip()
                return said, counts(said) if phase == "Succeeded" else None
            time.sleep(0.5)
        events = cluster.get("events", "-n", place, f"--field-selector=involvedObject.name={NAME},type=Warning") or {}
        said = "; ".join(f"{event['reason']}: {event['message']}" for event in events.get("items", [])[-2:])
        return said or f"the pod did not end within {ONE_POD} s", None
    finally:
        delete(cluster, params)


def server_answers(servers: list[str], repository: str) -> list[str]:
    """Return one line a server: what it answers to the question for the repository's manifest."""
    lines = []
    for server in servers:
        url = f"{server.rstrip('/')}/cvmfs/{repository}/.cvmfspublished"
        try:
            with urllib.request.urlopen(url, timeout=6) as response:
                named = f"\nN{repository}\n".encode() in response.read(4096)
                lines.append(f"{server}: {'has the repository' if named else 'answers with something else'}")
        except urllib.error.HTTPError as error:
            lines.append(f"{server}: HTTP {error.code}")
        except (OSError, ValueError) as error:
            lines.append(f"{server}: {getattr(error, 'reason', error)}")
    return lines


def driver_lines(cluster: Cluster, params: dict[str, Any]) -> str:
    """Return the driver's last words about trouble."""
    where = ["-n", params["namespace"], f"--selector=component=nodeplugin,release={params['release']}"]
    log = cluster.run("logs", *where, "--container=automount", "--tail=200").stdout
    signs = ("fail", "error", "could not", "unable")
    return "\n".join([line for line in log.splitlines() if any(sign in line.lower() for sign in signs)][-4:])


def main(params: dict[str, Any]) -> None:
    """Print what was found and take note of it, or end with what is broken."""
    cluster = Cluster(params["cluster"])
    started = time.monotonic()
    plugin = cluster.get("daemonset", f"{params['release']}-nodeplugin", "-n", params["namespace"])
    if not plugin:
        sys.exit("The CVMFS driver's node plugin does not exist; it was uninstalled meanwhile. Run this role again.")
    containers = plugin["spec"]["template"]["spec"]["containers"]
    image = next(each["image"] for each in containers if each["name"] == "automount")
    found = None
    while not found:
        said, found = attempt(cluster, params, image)
        if not found and time.monotonic() - started > params["seconds"]:
            cause, remedy = diagnosis(said)
            answers = "\n  ".join(server_answers(params["servers"], params["repository"]))
            sys.exit(
                f"A pod cannot read {params['repository']}: {said[:700]}\nLikely cause: {cause} {remedy}\n"
                f"The servers, asked from this server:\n  {answers}\n"
                f"The driver's last words:\n{driver_lines(cluster, params) or '(none about errors)'}"
            )
        if not found:
            time.sleep(10)
    Path(params["record"]).write_text(params["configuration"], encoding="utf-8")
    seconds = round(time.monotonic() - started, 1)
    print(json.dumps({"modules": found[0], "containers": found[1], "seconds": seconds}))

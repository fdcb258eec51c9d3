"""Install the CVMFS-CSI chart, wait for its pods, make the claims. An operator sees its "== " lines meanwhile.

Parameters: cluster (kubectl, kubeconfig, helm), namespace, release, chart (helm's words for it), values (a path),
objects and claims (manifests), seconds (deadline), record and installation (what to note where when all is well).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.common import Cluster, text

#: What a container's waiting reason means, with what to do.
WAITING = {
    "ErrImagePull": "The image cannot be pulled: look at registry_mirrors and at the network of the cluster.",
    "ImagePullBackOff": "The image cannot be pulled: look at registry_mirrors and at the network of the cluster.",
    "CrashLoopBackOff": (
        "Its program ends again and again; its last lines are below. `Fatal glibc error` there means a CPU model "
        "without x86-64-v2, `kernel protocol version` a host without autofs (sudo modprobe autofs4, then restart "
        "minikube.service)."
    ),
    "CreateContainerConfigError": "A ConfigMap that it needs is missing: run this again.",
}


def refuse(reason: str) -> None:
    """End with one sentence that the operator sees."""
    sys.exit(f"REFUSED: {reason}")


def apply(cluster: Cluster, what: str, objects: list[dict[str, Any]]) -> None:
    """Apply manifests on the server's side."""
    run = cluster.run(
        "apply",
        "--server-side",
        "--force-conflicts",
        "--filename=-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}),
    )
    if run.returncode:
        refuse(f"{what} cannot be applied: {run.stderr.strip()[-600:]}")


def pods(cluster: Cluster, params: dict[str, Any], component: str = "nodeplugin") -> list[dict[str, Any]]:
    """Return the driver's pods of one component."""
    labels = f"--selector=app=cvmfs-csi,component={component},release={params['release']}"
    found: list[dict[str, Any]] = (cluster.get("pods", "-n", params["namespace"], labels) or {}).get("items", [])
    return found


def users(items: list[dict[str, Any]], claims: set[tuple[str, str]]) -> list[str]:
    """Return "namespace/name" of running pods that mount one of ``claims``, given as (namespace, name)."""
    found = []
    for pod in items:
        place = pod["metadata"]["namespace"]
        volumes = pod["spec"].get("volumes") or []
        names = {(place, (volume.get("persistentVolumeClaim") or {}).get("claimName", "")) for volume in volumes}
        if names & claims and pod["status"].get("phase") == "Running":
            found.append(f"{place}/{pod['metadata']['name']}")
    return sorted(found)


def restart(cluster: Cluster, params: dict[str, Any], old: list[dict[str, Any]]) -> None:
    """Delete node plugins that were there before a change: their update strategy is OnDelete (S0-50)."""
    claims = {(claim["metadata"]["namespace"], claim["metadata"]["name"]) for claim in params["claims"]}
    affected = users((cluster.get("pods", "--all-namespaces") or {}).get("items", []), claims)
    if affected:
        print(f"== the driver restarts; pods to run again afterwards: {', '.join(affected)}", flush=True)
    for pod in old:
        cluster.run("delete", "pod", pod["metadata"]["name"], "-n", params["namespace"], "--wait=true", seconds=150)


def unready(items: list[dict[str, Any]]) -> str:
    """Return why the pods are not all ready, the first reason only; empty when they are."""
    if not items:
        return "there is no pod yet"
    for pod in items:
        name, status = pod["metadata"]["name"], pod["status"]
        for condition in status.get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"{name} has no node: {condition.get('message', '')}"
        if pod["metadata"].get("deletionTimestamp"):
            return f"{name} is ending"
        containers = status.get("containerStatuses") or []
        for container in containers:
            waiting = container.get("state", {}).get("waiting") or {}
            if waiting.get("reason") in WAITING:
                reason, said = waiting["reason"], waiting.get("message", "")[:200]
                return f"{name}, container {container['name']}: {reason} ({said}). {WAITING[reason]}"
        ready = sum(container.get("ready", False) for container in containers)
        if not containers or ready < len(containers):
            return f"{name} has {ready} of {len(containers) or len(pod['spec']['containers'])} containers ready"
    return ""


def last_lines(cluster: Cluster, params: dict[str, Any], items: list[dict[str, Any]]) -> str:
    """Return the end of the logs of the first container that is not ready."""
    for pod in items:
        for container in pod["status"].get("containerStatuses") or []:
            if not container.get("ready"):
                where = ["-n", params["namespace"], pod["metadata"]["name"], "-c", container["name"], "--tail=5"]
                run = cluster.run("logs", *where)
                return (cluster.run("logs", *where, "--previous").stdout or run.stdout).strip()
    return ""


def wait(cluster: Cluster, params: dict[str, Any], deadline: float) -> None:
    """Wait until node and controller plugins are ready; an image that cannot be pulled for a minute ends it early."""
    said = ""
    hopeless_since = 0.0
    while True:
        both = [pods(cluster, params, component) for component in ("nodeplugin", "controllerplugin")]
        reason = next(filter(None, (unready(items) for items in both)), "")
        if not reason:
            return
        if reason != said:
            print(f"== waiting: {reason}", flush=True)
            said = reason
        now = time.monotonic()
        hopeless_since = (hopeless_since or now) if any(word in reason for word in WAITING) else 0.0
        if now > deadline or (hopeless_since and now - hopeless_since > 120):
            words = last_lines(cluster, params, [pod for items in both for pod in items])
            refuse(f"The CVMFS driver is not ready: {reason}" + (f" Its last lines: {words}" if words else ""))
        time.sleep(2)


def bind(cluster: Cluster, params: dict[str, Any], deadline: float) -> None:
    """Apply the claims and wait until each has a volume."""
    apply(cluster, "The claims", params["claims"])
    for claim in params["claims"]:
        name, place = claim["metadata"]["name"], claim["metadata"]["namespace"]
        while ((cluster.get("pvc", name, "-n", place) or {}).get("status") or {}).get("phase") != "Bound":
            if time.monotonic() > deadline:
                events = cluster.get("events", "-n", place, f"--field-selector=involvedObject.name={name}") or {}
                said = "; ".join(event.get("message", "") for event in events.get("items", [])[-2:])
                refuse(f"The claim {name} gets no volume: {said or 'the controller plugin says nothing about it'}.")
            time.sleep(1)
        print(f"== the claim {name} is bound", flush=True)


def main(params: dict[str, Any]) -> None:
    """Install, and take note of it; a run that was broken off is simply run again."""
    cluster = Cluster(params["cluster"])
    deadline = time.monotonic() + params["seconds"]
    apply(cluster, "The namespace", params["objects"])
    old = pods(cluster, params) if text(params["record"]) != params["installation"] else []
    print(f"== helm installs {params['chart'][0].rpartition('/')[2]}", flush=True)
    where = ["--namespace", params["namespace"], "--values", params["values"]]
    argv = [params["cluster"]["helm"], "upgrade", "--install", params["release"], *params["chart"], *where]
    helm = subprocess.run(
        argv,
        env={"HOME": "/root", **os.environ, "KUBECONFIG": params["cluster"]["kubeconfig"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if helm.returncode:
        said = (helm.stderr or helm.stdout).strip()[-600:]
        remedy = (
            "An earlier run was broken off; remove its traces "
            f"(helm -n {params['namespace']} uninstall {params['release']}) and run this again."
            if "another operation" in said
            else "Look at artifact_mirror and registry_mirrors if it could not be downloaded."
        )
        refuse(f"helm cannot install the CVMFS driver: {said} {remedy}")
    restart(cluster, params, old)
    wait(cluster, params, deadline)
    print("== the driver is ready", flush=True)
    bind(cluster, params, time.monotonic() + 60)
    Path(params["record"]).write_text(params["installation"], encoding="utf-8")

"""Install the CVMFS-CSI chart, wait for its pods, make the claims. An operator sees its "== " lines meanwhile.

Parameters: cluster (kubectl, kubeconfig, helm), namespace, release, chart (helm's words for it), values (a path),
objects and claims (manifests), repository, seconds (deadline), directory (of the records `installed`, `node`,
`live`), installation and node (what to note there when all is well), break_pods (whether running pods may lose the
tools).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from neurobatch.remote.common import Cluster, text
from neurobatch.remote.cvmfs import release, volumes

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
#: No answer is no proof that nobody uses the tools, nor that the driver is as it was.
SILENT = "The cluster stopped answering before anything was changed; look at minikube.service, and run this again."


def refuse(reason: str) -> NoReturn:
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


def affected(cluster: Cluster, params: dict[str, Any]) -> list[str]:
    """Return the running pods that lose the tools when the node plugins restart."""
    places = sorted({claim["metadata"]["namespace"] for claim in params["claims"]})
    if (items := volumes.seen(cluster, places)) is None:
        refuse(SILENT)
    return volumes.breaks(volumes.users(items, params["repository"]))


def outdated(cluster: Cluster, params: dict[str, Any], *, touched: bool) -> list[dict[str, Any]]:
    """Return the node plugins that run with another configuration than the wanted one, or that hands changed."""
    return pods(cluster, params) if touched or text(f"{params['directory']}/node") != params["node"] else []


def forget(cluster: Cluster, params: dict[str, Any], objects: list[dict[str, Any]]) -> None:
    """Remove what hands changed, but no pod: helm would stop at a conflict with the field's other owner, or miss it."""
    names = [f"{item['kind']}/{item['metadata']['name']}".lower() for item in release.own(objects, params["namespace"])]
    if names:
        print("== what was changed by hand is made anew", flush=True)
        cluster.run("delete", *names, "-n", params["namespace"], "--cascade=orphan", "--ignore-not-found", seconds=90)


def ask(cluster: Cluster, params: dict[str, Any]) -> None:
    """Name the pods that a restart breaks, and end before anything is changed unless they may break."""
    if not (names := affected(cluster, params)):
        return
    if not params["break_pods"]:
        refuse(
            f"The changed configuration needs a restart of the CVMFS driver, by which these pods lose the tools: "
            f"{', '.join(names)}. Run this again when they have ended, or with -e cvmfs_csi_break_pods=true."
        )
    print(f"== the driver restarts; pods to run again afterwards: {', '.join(names)}", flush=True)


def restart(cluster: Cluster, params: dict[str, Any], old: list[dict[str, Any]]) -> None:
    """Delete node plugins that run with another configuration: their update strategy is OnDelete (S0-50)."""
    for pod in old:
        print(f"== restarting {pod['metadata']['name']}", flush=True)
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
        while (found := cluster.get("pvc", name, "-n", place) or {}).get("status", {}).get("phase") != "Bound":
            if time.monotonic() > deadline:
                events = cluster.get("events", "-n", place, f"--field-selector=involvedObject.name={name}") or {}
                said = "; ".join(event.get("message", "") for event in events.get("items", [])[-2:])
                refuse(f"The claim {name} gets no volume: {said or 'the controller plugin says nothing about it'}.")
            time.sleep(1)
        if found["metadata"].get("deletionTimestamp"):
            refuse(
                f"The claim {name} in {place} is being deleted, and pods that ended still hold it: delete those "
                f"(kubectl -n {place} delete pods --field-selector=status.phase!=Running) and run this again."
            )
        print(f"== the claim {name} in {place} is bound", flush=True)


def helm(params: dict[str, Any]) -> None:
    """Install or upgrade the release."""
    print(f"== helm installs {params['chart'][0].rpartition('/')[2]}", flush=True)
    where = ["--namespace", params["namespace"], "--values", params["values"]]
    run = subprocess.run(
        [params["cluster"]["helm"], "upgrade", "--install", params["release"], *params["chart"], *where],
        env={"HOME": "/root", **os.environ, "KUBECONFIG": params["cluster"]["kubeconfig"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        said = (run.stderr or run.stdout).strip()[-600:]
        remedy = (
            "An earlier run was broken off; remove its traces "
            f"(helm -n {params['namespace']} uninstall {params['release']}) and run this again."
            if "another operation" in said
            else "Look at artifact_mirror and registry_mirrors if it could not be downloaded."
        )
        refuse(f"helm cannot install the CVMFS driver: {said} {remedy}")


def main(params: dict[str, Any]) -> None:
    """Install, and take note of it; a run that was broken off is simply run again."""
    cluster, records = Cluster(params["cluster"]), Path(params["directory"])
    deadline = time.monotonic() + params["seconds"]
    answer = cluster.get("daemonsets,configmaps", "-n", params["namespace"])
    if answer is None:
        refuse(SILENT)
    objects: list[dict[str, Any]] = answer["items"]
    touched = text(f"{params['directory']}/live") != release.live(objects, params["namespace"])
    if old := outdated(cluster, params, touched=touched):
        ask(cluster, params)
        # Broken off from here on, the next run restarts them.
        (records / "node").unlink(missing_ok=True)
    apply(cluster, "The namespace", params["objects"])
    if touched:
        forget(cluster, params, objects)
    helm(params)
    restart(cluster, params, old)
    wait(cluster, params, deadline)
    print("== the driver is ready", flush=True)
    bind(cluster, params, time.monotonic() + 60)
    own = cluster.get("daemonsets,configmaps", "-n", params["namespace"]) or {}
    (records / "live").write_text(release.live(own.get("items", []), params["namespace"]), encoding="utf-8")
    (records / "node").write_text(params["node"], encoding="utf-8")
    (records / "installed").write_text(params["installation"], encoding="utf-8")

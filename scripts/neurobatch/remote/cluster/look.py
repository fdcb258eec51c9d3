"""Read from a cluster what `judge` wants to know, in as few requests as it takes."""

from __future__ import annotations

from typing import Any

from neurobatch.remote.cluster import asked, judge
from neurobatch.remote.common import Cluster
from neurobatch.remote.cvmfs import volumes

#: Where the CVMFS driver is, and what it mounts.
DRIVER, REPOSITORY = "cvmfs", "neurodesk.ardc.edu.au"
KINDS = ("deployments", "replicasets", "pods", "persistentvolumeclaims", "events")
SINGULAR = {"Deployment": "deployments", "ReplicaSet": "replicasets", "Pod": "pods", "Event": "events",
            "PersistentVolumeClaim": "persistentvolumeclaims", "Node": "nodes"}  # fmt: skip


def objects(cluster: Cluster, namespaces: list[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the objects that tell how a cluster is, by kind; without an answer there are none."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in SINGULAR.values()}
    answers = [cluster.get("nodes")] + [cluster.get(",".join(KINDS), "-n", each) for each in namespaces]
    for answer in answers:
        for item in (answer or {}).get("items", []):
            found[SINGULAR[item["kind"]]].append(item)
    return found


def logs(cluster: Cluster, pods: list[dict[str, Any]]) -> dict[str, str]:
    """Return the last lines of every container whose last lines matter, by `judge.log_key`."""
    lines = {}
    for namespace, pod, container, previous in judge.ended(pods):
        options = ["--previous"] if previous else []
        run = cluster.run("logs", pod, "-n", namespace, "-c", container, f"--tail={judge.LINES}", *options)
        lines[judge.log_key(pod, container)] = run.stdout.strip() or run.stderr.strip()
    return lines


def tools(cluster: Cluster, namespaces: list[str]) -> list[dict[str, Any]]:
    """Return what is wrong with the Neurodesk tools: a driver that cannot mount, running pods that lost their mount."""
    rows = []
    for namespace in namespaces:
        if namespace == DRIVER and (found := volumes.unmountable(cluster, namespace)):
            fault, words = found
            rows.append(judge.finding(15, "CVMFS driver", fault.cause, fault.remedy, words))
    for user, lost in volumes.lost(cluster, volumes.users(volumes.seen(cluster, namespaces) or [], REPOSITORY)):
        rows.append(judge.finding(30, f"Pod {user.pod}, running", f"it lost the tools: {lost.cause}", lost.remedy))
    return rows


def findings(cluster: Cluster, namespaces: list[str]) -> list[dict[str, Any]]:
    """Return what is wrong in the namespaces, the cause of others first."""
    seen = objects(cluster, namespaces)
    mirrors = {judge.image_key(image): asked.mirror(image) for image in judge.unpulled(seen["pods"])}
    found = judge.findings(seen, {**logs(cluster, seen["pods"]), **mirrors}) + tools(cluster, namespaces)
    return sorted(found, key=lambda each: int(each["rank"]))

"""Read from a cluster what `judge` wants to know, in as few requests as it takes."""

from __future__ import annotations

from typing import Any

from neurobatch.remote.cluster import asked, judge
from neurobatch.remote.common import Cluster

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


def findings(cluster: Cluster, namespaces: list[str]) -> list[dict[str, Any]]:
    """Return what is wrong in the namespaces, the cause of others first."""
    seen = objects(cluster, namespaces)
    mirrors = {judge.image_key(image): asked.mirror(image) for image in judge.unpulled(seen["pods"])}
    return judge.findings(seen, {**logs(cluster, seen["pods"]), **mirrors})

"""Read what the existing_cluster role decides on, and judge a cluster that is not ours. Changes nothing.

Parameters: tools (name to path), records (folder of their records), files (paths that the role writes), kubeconfig
(where it is), wanted (the SHA-256 that it should have); namespaces ("pipelines" and "driver"); classes (variable to the
storage class that it names); file (the kubeconfig's name for its operator). Prints JSON: tools, files, and `cluster`,
which is null until kubectl and the wanted kubeconfig are there.
"""

from __future__ import annotations

import json
from typing import Any

from neurobatch.remote.cluster import openshift, rights, storage
from neurobatch.remote.common import Cluster, fingerprint, tool

#: A Deployment of Kubeflow Pipelines, and what is on its pods where we installed it.
PROOF, OURS = "ml-pipeline", "neurobatch.org/credentials"


def nodes(cluster: Cluster) -> dict[str, Any]:
    """Return how many nodes take pods, and what the largest of them offers."""
    items = (cluster.get("nodes") or {"items": []})["items"]
    usable = [each["status"]["allocatable"] for each in items if not each["spec"].get("unschedulable")]
    return {
        "nodes": len(usable),
        "cpus": max((cpus(each["cpu"]) for each in usable), default=0),
        "memory_mib": max((mebibytes(each["memory"]) for each in usable), default=0),
        "architectures": sorted({each["status"]["nodeInfo"]["architecture"] for each in items}),
    }


def cpus(quantity: str) -> int:
    """Return whole CPUs of a Kubernetes quantity."""
    return int(float(quantity[:-1]) / 1000) if quantity.endswith("m") else int(float(quantity))


def mebibytes(quantity: str) -> int:
    """Return MiB of a Kubernetes quantity."""
    units = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9}
    for unit, factor in units.items():
        if quantity.endswith(unit):
            return int(float(quantity[: -len(unit)]) * factor / 2**20)
    return int(float(quantity) / 2**20)


def taken(cluster: Cluster, namespace: str) -> str:
    """Return why the pipelines cannot have a namespace, empty where they can: it is none yet, or is ours or empty."""
    found = cluster.get("namespace", namespace)
    if found and found.get("status", {}).get("phase") == "Terminating":
        return f"The namespace {namespace} is being removed; wait until it is gone, or look at what keeps it there."
    deployment = cluster.run("get", "deployment", PROOF, "-n", namespace, "--ignore-not-found", "--output=json")
    if deployment.returncode == 0 and deployment.stdout.strip():
        template = json.loads(deployment.stdout)["spec"]["template"]
        if OURS not in (template["metadata"].get("annotations") or {}):
            return (
                f"The namespace {namespace} has a Kubeflow Pipelines that somebody else installed, which would be "
                "overwritten: set existing_cluster_namespace to another name."
            )
    return ""


def unreachable(said: str, params: dict[str, Any]) -> str:
    """Return why the cluster does not let us in, by kubectl's own words."""
    if "Unauthorized" in said or "must be logged in" in said or "asked for the client to provide credentials" in said:
        cause = f"the cluster does not know the account in {params['file']} (any more): take a newer kubeconfig"
    elif "x509" in said or "certificate" in said:
        cause = f"its certificate is not the one that {params['file']} names: take the cluster's own kubeconfig"
    else:
        cause = "compare the address in it, and look whether a firewall stands between"
    return f"The API server of {params['file']} does not answer this server: {cause}. kubectl said: {said[-300:]}"


def judge(params: dict[str, Any]) -> dict[str, Any]:
    """Return what the cluster is, `problems` (sentences; nothing may be applied) and `notes` (worth knowing)."""
    cluster = Cluster({"kubectl": params["tools"]["kubectl"], "kubeconfig": params["kubeconfig"]})
    spaces = params["namespaces"]
    found: dict[str, Any] = {"problems": [], "notes": [], "openshift": False}
    asked = cluster.run("get", "--raw", "/apis", seconds=30)
    if asked.returncode:
        return {**found, "problems": [unreachable(asked.stderr.strip(), params)]}
    missing = rights.denied(cluster, rights.needed(spaces["pipelines"], spaces["driver"]))
    if isinstance(missing, str):
        problem = f"The cluster does not say what the account in {params['file']} may do: {missing}"
        return {**found, "problems": [problem]}
    if missing:
        return {**found, "problems": [rights.sentence(missing, params["file"])]}
    classes = (cluster.get("storageclasses") or {"items": []})["items"]
    problems = [storage.complaint(variable, name, classes) for variable, name in params["classes"].items()]
    problems.append(taken(cluster, spaces["pipelines"]))
    size = nodes(cluster)
    if not size["nodes"]:
        problems.append("The cluster has no node that takes pods; look at `kubectl get nodes`.")
    elif "amd64" not in size["architectures"]:
        problems.append(f"The cluster's nodes are {size['architectures'][0]}, but Neurodesk's tools are x86-64.")
    groups = [each["name"] for each in json.loads(asked.stdout)["groups"]]
    if openshift.recognised(groups):
        found |= {"openshift": True, "notes": openshift.differs(spaces)}
        problems += openshift.lacking(cluster, spaces)
    return {**found, **size, "problems": [each for each in problems if each]}


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    tools = {name: tool(name, path, params["records"]) for name, path in params["tools"].items()}
    file = fingerprint(params["kubeconfig"])
    ready = tools["kubectl"] and file and file["sha256"] == params["wanted"]
    state = {
        "tools": tools,
        "files": {path: fingerprint(path) for path in params["files"]},
        "cluster": judge(params) if ready else None,
    }
    print(json.dumps(state))

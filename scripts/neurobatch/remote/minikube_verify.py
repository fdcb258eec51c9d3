"""Wait until the cluster can do work: the API ready, the node Ready, a claim of the default class possible, DNS up.

Parameters: kubectl, kubeconfig, seconds (deadline), record and configuration (what to note where).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.common import output


def broken(kubectl: list[str]) -> str:
    """Return the first thing that is broken, with cause and remedy; empty when all is well."""
    if output(*kubectl, "get", "--raw", "/readyz", seconds=8) != "ok":
        return (
            "The Kubernetes API does not answer. Likely cause: the node's container is stopped or still starting. "
            "Look at `systemctl status minikube.service` and `docker ps -a`."
        )
    nodes = json.loads(output(*kubectl, "get", "nodes", "-o", "json") or '{"items": []}')["items"]
    for node in nodes:
        ready = [each for each in node["status"]["conditions"] if each["type"] == "Ready"]
        if not ready or ready[0]["status"] != "True":
            said = ready[0].get("message", "") if ready else "no condition"
            return f"The node {node['metadata']['name']} is not Ready ({said}). Look at `minikube logs`."
    if not nodes:
        return "The cluster has no node. Likely cause: its kubelet did not start. Look at `minikube logs`."
    classes = json.loads(output(*kubectl, "get", "storageclasses", "-o", "json") or '{"items": []}')["items"]
    default = "storageclass.kubernetes.io/is-default-class"
    if not any((each["metadata"].get("annotations") or {}).get(default) == "true" for each in classes):
        return (
            "The cluster has no default StorageClass, so databases get no disk. Likely cause: Minikube's addon "
            "default-storageclass is off. Run `minikube addons enable default-storageclass` as user neurobatch."
        )
    dns = output(*kubectl, "-n", "kube-system", "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIP}")
    if not dns:
        return "The cluster has no DNS service (kube-dns). Likely cause: its addons are still starting; run this again."
    return ""


def main(params: dict[str, Any]) -> None:
    """Print "ok" and take note of it, or end with what is broken."""
    kubectl = [params["kubectl"], f"--kubeconfig={params['kubeconfig']}", "--request-timeout=8s"]
    deadline = time.monotonic() + params["seconds"]
    while reason := broken(kubectl):
        if time.monotonic() > deadline:
            sys.exit(f"{reason} (waited {params['seconds']} s)")
        time.sleep(2)
    record = Path(params["record"])
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(params["configuration"], encoding="utf-8")
    print("ok")

"""A Job that mounts the repository's claim as a step of Elyra does, run once, with what it said. Nothing stays."""

from __future__ import annotations

import json
import time
from typing import Any

from neurobatch.remote.common import Cluster

Object = dict[str, Any]
#: What Kubeflow Pipelines gives the steps' containers from 2.16.0 on (backend/src/v2/compiler/argocompiler).
RESTRICTED: Object = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def job(name: str, params: Object, image: str, script: str, security: Object) -> Object:
    """Return the Job: one pod, one try, a claim without mount propagation, as neither Elyra nor KFP can ask for it."""
    root = f"/cvmfs/{params['repository']}"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": params["namespaces"][0], "labels": {"app": name}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": params["seconds"] + 120,
            # Also when nobody is left to delete it.
            "ttlSecondsAfterFinished": 600,
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {
                            "name": "step",
                            "image": image,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["/bin/sh", "-c", script],
                            "env": [{"name": "ROOT", "value": root}],
                            "securityContext": security,
                            "volumeMounts": [{"name": "tools", "mountPath": root}],
                        }
                    ],
                    "volumes": [{"name": "tools", "persistentVolumeClaim": {"claimName": params["claim"]}}],
                },
            },
        },
    }


def delete(cluster: Cluster, made: Object) -> None:
    """Remove a Job, and wait until its pod is gone."""
    meta = made["metadata"]
    where = ["-n", meta["namespace"], "--ignore-not-found", "--wait=true"]
    cluster.run("delete", "job", meta["name"], *where, "--cascade=foreground", seconds=90)
    cluster.run("delete", "pod", "-l", f"app={meta['name']}", *where, seconds=90)


def run(cluster: Cluster, made: Object, seconds: float) -> tuple[bool, str]:
    """Run a Job to its end; return whether it was well, and what its pod, its events or the API server said."""
    delete(cluster, made)
    _, well, said = timed(cluster, made, seconds)
    return well, said


def timed(cluster: Cluster, made: Object, seconds: float) -> tuple[float, bool, str]:
    """Run a Job that is not there yet; return the seconds to its end, whether it was well, and what was said."""
    name, place = made["metadata"]["name"], made["metadata"]["namespace"]
    started = time.monotonic()
    try:
        created = cluster.run("create", "--filename=-", stdin=json.dumps(made))
        if created.returncode:
            return 0.0, False, created.stderr.strip()
        while (taken := time.monotonic() - started) < seconds:
            pods = (cluster.get("pods", "-n", place, f"--selector=app={name}") or {}).get("items", [])
            phase = pods[0]["status"].get("phase") if pods else ""
            if phase in {"Succeeded", "Failed"}:
                said = cluster.run("logs", pods[0]["metadata"]["name"], "-n", place).stdout.strip()
                return taken, phase == "Succeeded", said
            time.sleep(0.5)
        events = cluster.get("events", "-n", place, "--field-selector=type=Warning") or {}
        rows = [item for item in events.get("items", []) if item["involvedObject"]["name"].startswith(name)]
        heard = "; ".join(f"{row['reason']}: {row['message']}" for row in rows[-2:])
        return taken, False, heard or f"the pod did not end within {seconds:.0f} s"
    finally:
        delete(cluster, made)

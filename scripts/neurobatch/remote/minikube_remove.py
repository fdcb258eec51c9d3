"""Put aside what the cluster's claims hold, or let it go, and delete the cluster; print what was done, or would be.

Parameters: write, cluster (kubectl, kubeconfig), profile, user, home, created (path of the record that the cluster is
ours), namespace (of Kubeflow Pipelines), kept (folder for its data; empty: they go with the cluster).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.cluster import data
from neurobatch.remote.common import Cluster, docker_api, unit_state


def calm(cluster: Cluster, namespace: str, seconds: float = 60) -> None:
    """Let the database and the object store end by themselves, where the cluster still answers."""
    if cluster.run("get", "--raw", "/readyz", seconds=10).stdout != "ok":
        return
    for name in ("mysql", "minio"):
        cluster.run("scale", "-n", namespace, f"deployment/{name}", "--replicas=0")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pods = (cluster.get("pods", "-n", namespace, "-l", "app in (mysql,minio)") or {}).get("items", [])
        if not pods:
            return
        time.sleep(2)


def main(params: dict[str, Any]) -> None:
    """Print what was done as a JSON list."""
    node = docker_api(f"/containers/{params['profile']}/json")
    volume = docker_api(f"/volumes/{params['profile']}")
    # Somebody else's cluster of the same name is not ours to delete.
    if not os.path.exists(params["created"]) or not (node or volume):
        print("[]")
        return
    done = []
    if params["write"]:
        if params["kept"]:
            calm(Cluster(params["cluster"]), params["namespace"])
        if unit_state("minikube.service")["loaded"]:
            subprocess.run(["systemctl", "stop", "minikube.service"], check=False)
        if docker_api(f"/containers/{params['profile']}/json"):
            subprocess.run(["docker", "stop", "--time=60", params["profile"]], capture_output=True, check=False)
    if params["kept"] and params["write"]:
        done += [f"kept {claim} in {params['kept']}" for claim in data.keep(Path(params["kept"]), params["namespace"])]
    if params["write"]:
        home = params["home"]
        env = {"PATH": os.environ["PATH"], "HOME": home, "MINIKUBE_HOME": f"{home}/.minikube", "MINIKUBE_IN_STYLE": "0",
               "KUBECONFIG": f"{home}/kubeconfig"}  # fmt: skip
        argv = [
            "runuser",
            "-u",
            params["user"],
            "--",
            "/usr/local/bin/minikube",
            "delete",
            f"--profile={params['profile']}",
        ]
        try:
            run = subprocess.run(argv, env=env, cwd="/", capture_output=True, text=True, timeout=300, check=False)
            said = run.stdout + run.stderr
        except (OSError, subprocess.TimeoutExpired) as error:
            said = str(error)
        # What Minikube leaves, or cannot do without its own files, the caller removes by name.
        print(said, file=sys.stderr)
    done.append(f"cluster {params['profile']}")
    print(json.dumps(done))

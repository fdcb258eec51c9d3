"""Remove the claims, the CVMFS driver and its namespace, and print what was removed.

Parameters: cluster (kubectl, kubeconfig, helm), namespace, release, namespaces that have the claims, claims (names).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from neurobatch.remote.common import Cluster


def main(params: dict[str, Any]) -> None:
    """Remove what is there; a claim that a pod still uses is named instead of being waited for."""
    cluster = Cluster(params["cluster"])
    if cluster.run("get", "--raw", "/readyz").stdout != "ok":
        sys.exit("The cluster does not answer, so nothing can be removed from it. Start minikube.service first.")
    removed = []
    for place in params["namespaces"]:
        for claim in params["claims"]:
            where = ["-n", place]
            if cluster.get("pvc", claim, *where):
                run = cluster.run("delete", "pvc", claim, *where, "--timeout=60s", seconds=90)
                if run.returncode:
                    sys.exit(
                        f"The claim {claim} in {place} is still used by a pod; end it and run this again. "
                        f"{run.stderr.strip()}"
                    )
                removed.append(claim)
    if cluster.get("namespace", params["namespace"]):
        env = {"HOME": "/root", **os.environ, "KUBECONFIG": params["cluster"]["kubeconfig"]}
        argv = [params["cluster"]["helm"], "uninstall", params["release"], "--namespace", params["namespace"]]
        helm = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        if helm.returncode and "not found" not in helm.stderr:
            sys.exit(f"helm cannot remove the CVMFS driver: {helm.stderr.strip()[-400:]}")
        run = cluster.run("delete", "namespace", params["namespace"], "--timeout=120s", seconds=150)
        if run.returncode:
            sys.exit(f"The namespace {params['namespace']} does not go away: {run.stderr.strip()}")
        removed.append(params["namespace"])
    print(json.dumps(removed))

"""Ask through every forward as a browser does, and name the first one that is broken.

Parameters: cluster (kubectl, kubeconfig), forwards, name and address (of the object store in /etc/hosts), seconds
(deadline), record and configuration (what to note where).
"""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.common import Cluster, http_status, may_bind, output


def cause(cluster: Cluster, forward: dict[str, Any]) -> str:
    """Return why a forward is silent: the cluster, the Service, its pods, the port or the forward itself."""
    service, namespace = forward["service"], forward["namespace"]
    if cluster.run("get", "--raw", "/readyz", seconds=15).stdout != "ok":
        return "The cluster does not answer. Look at `systemctl status minikube.service`."
    if not cluster.get("service", service, "-n", namespace):
        return f"The cluster has no Service {namespace}/{service}. Run the role kubeflow_pipelines."
    endpoints = cluster.get("endpoints", service, "-n", namespace) or {}
    if not any(subset.get("addresses") for subset in endpoints.get("subsets") or []):
        return f"No pod behind {service} is ready. Look at `kubectl -n {namespace} get pods`."
    unit = f"neurobatch-forward@{forward['name']}.service"
    journal = output("journalctl", f"--unit={unit}", "--lines=8", "--no-pager", "--output=cat") or "(none)"
    taken = "address already in use" in journal
    hint = (
        f"Another program holds port {forward['port']}: look at `sudo ss -ltnp`." if taken else "See the lines below."
    )
    return f"Service and pod are well; the forward is not. {hint}\nLast lines of {unit}:\n{journal}"


def main(params: dict[str, Any]) -> None:
    """Print how each forward answers and take note of it, or end with what is broken."""
    cluster = Cluster(params["cluster"])
    deadline = time.monotonic() + params["seconds"]
    found = {}
    for forward in params["forwards"]:
        for address in forward["listen"]:
            # The bridge's address is there once Neurodesktop runs; the forward follows by itself.
            if not may_bind(address):
                continue
            while not (status := http_status(address, forward["port"], forward["path"], 5)):
                if time.monotonic() > deadline:
                    where = f"http://{address}:{forward['port']}{forward['path']}"
                    sys.exit(
                        f"The forward {forward['name']} does not answer at {where} after {params['seconds']} s. "
                        f"{cause(cluster, forward)}"
                    )
                time.sleep(0.5)
            found[f"{address}:{forward['port']}"] = status
    try:
        address = socket.gethostbyname(params["name"])
    except OSError:
        address = "nothing"
    if address != params["address"]:
        sys.exit(
            f"{params['name']} means {address} on this server, not {params['address']}. Likely cause: another program "
            "writes /etc/hosts, or nsswitch.conf asks DNS first. Look at `getent hosts` and /etc/hosts."
        )
    Path(params["record"]).write_text(params["configuration"], encoding="utf-8")
    print(json.dumps(found))

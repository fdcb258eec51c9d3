"""Time a pod from its creation until it has listed the Neurodesk tools, and print the seconds.

Parameters: cluster (kubectl, kubeconfig), namespace and release of the driver, namespaces (the first one's claim is
mounted), repository, claim, cold (whether the node plugin is restarted before, which wipes its cache), seconds
(deadline).
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from neurobatch.remote.common import Cluster
from neurobatch.remote.cvmfs import step

NAME = "cvmfs-time"
Object = dict[str, Any]


def plugins(cluster: Cluster, params: Object) -> list[Object]:
    """Return the node plugins."""
    labels = f"--selector=app=cvmfs-csi,component=nodeplugin,release={params['release']}"
    found: list[Object] = (cluster.get("pods", "-n", params["namespace"], labels) or {}).get("items", [])
    return found


def restart(cluster: Cluster, params: Object, old: list[Object]) -> None:
    """Restart the node plugins and wait until all are ready."""
    gone = {pod["metadata"]["uid"] for pod in old}
    for pod in old:
        cluster.run("delete", "pod", pod["metadata"]["name"], "-n", params["namespace"], "--wait=true", seconds=150)
    end = time.monotonic() + params["seconds"]
    while time.monotonic() < end:
        new = [pod for pod in plugins(cluster, params) if pod["metadata"]["uid"] not in gone]
        states = [state for pod in new for state in pod["status"].get("containerStatuses") or []]
        if states and len(new) == len(old) and all(state["ready"] for state in states):
            return
        time.sleep(0.5)
    sys.exit(f"The node plugins are not ready {params['seconds']} s after their restart.")


def main(params: Object) -> None:
    """Print the seconds."""
    cluster = Cluster(params["cluster"])
    old = plugins(cluster, params)
    images = [each["image"] for pod in old for each in pod["spec"]["containers"] if each["name"] == "automount"]
    if not images:
        sys.exit("The CVMFS driver has no node plugin here; run site.yml.")
    if params["cold"]:
        restart(cluster, params, old)
    made = step.job(NAME, params, images[0], 'ls "$ROOT/neurodesk-modules"', {})
    step.delete(cluster, made)
    taken, well, said = step.timed(cluster, made, params["seconds"])
    if not well:
        sys.exit(f"The pod did not list the tools: {said}")
    print(json.dumps(round(taken, 3)))

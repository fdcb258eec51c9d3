"""Read what the cvmfs_csi role decides on, and which running pods have lost the tools. Changes nothing.

Parameters: cluster (kubectl, kubeconfig), namespace and release of the driver, namespaces that get the claims,
repository, files, paths that the role writes; directory of the role's records; installation, what would be installed.
"""

from __future__ import annotations

import json
from typing import Any

from neurobatch.remote.common import Cluster, fingerprint, settled, text
from neurobatch.remote.cvmfs import release, volumes


def read(items: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
    """Return what of ``items`` (the API's objects) the role needs.

    ``ready`` is whether the driver runs on every node, ``classes`` maps storage classes of the driver to their
    repository (empty: all of /cvmfs), ``bound`` names the claims that have a volume (namespace/name), ``missing`` the
    namespaces that do not exist, ``breaks`` the running pods that would lose the tools, ``live`` stands for what the
    driver's objects say.
    """
    found: dict[str, Any] = {"ready": False, "plugin": False, "classes": {}, "bound": []}
    there = set()
    for item in items:
        kind, meta = item["kind"], item["metadata"]
        place, status = meta.get("namespace"), item.get("status", {})
        if kind == "DaemonSet" and (place, meta["name"]) == (params["namespace"], f"{params['release']}-nodeplugin"):
            found["ready"] = status.get("numberReady", 0) == status.get("desiredNumberScheduled", 0) > 0
            found["plugin"] = True
        elif kind == "StorageClass" and item.get("provisioner") == volumes.DRIVER:
            found["classes"][meta["name"]] = (item.get("parameters") or {}).get("repository", "")
        elif kind == "PersistentVolumeClaim" and place in params["namespaces"]:
            kept = status.get("phase") == "Bound" and not meta.get("deletionTimestamp")
            found["bound"] += [f"{place}/{meta['name']}"] * kept
        elif kind == "Namespace":
            there.add(meta["name"])
    found["missing"] = [name for name in params["namespaces"] if name not in there]
    found["breaks"] = volumes.breaks(volumes.users(items, params["repository"]))
    found["live"] = release.live(items, params["namespace"])
    return found


def look(params: dict[str, Any]) -> dict[str, Any]:
    """Return what the cluster has now."""
    cluster = Cluster(params["cluster"])
    items = volumes.seen(cluster, params["namespaces"])
    if items is None:
        return {"cluster": False, "lost": [], **read([], params)}
    own = cluster.get("daemonsets,configmaps", "-n", params["namespace"]) or {}
    rows = volumes.lost(cluster, volumes.users(items, params["repository"]))
    lost = [{"pod": user.name, "why": fault.cause} for user, fault in rows]
    return {"cluster": True, "lost": lost, **read(items + own.get("items", []), params)}


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    records = {
        name: text(f"{params['directory']}/{name}") for name in ("installed", "node", "live", "verified", "tool")
    }
    current = records["installed"] == params["installation"]
    state = settled(lambda: look(params), lambda found: found["ready"] or not current)
    state["touched"] = current and state["plugin"] and records["live"] != state["live"]
    state |= {"files": {path: fingerprint(path) for path in params["files"]}, **records, "live": state["live"]}
    print(json.dumps(state))

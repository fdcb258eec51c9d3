"""Read what the cvmfs_csi role decides on, with one question to the cluster. Changes nothing.

Parameters: cluster (kubectl, kubeconfig), namespace and release of the driver, claims_namespace, files, paths that the
role writes; directory of the role's records; installation, what would be installed.
"""

from __future__ import annotations

import json
from typing import Any

from neurobatch.remote.common import Cluster, fingerprint, settled, text

DRIVER = "cvmfs.csi.cern.ch"


def read(items: list[dict[str, Any]], params: dict[str, Any]) -> dict[str, Any]:
    """Return what of ``items`` (the API's objects) the role needs.

    ``ready`` is whether the driver runs on every node, ``classes`` maps storage classes of the driver to their
    repository (empty: all of /cvmfs), ``bound`` names the claims that have a volume.
    """
    found: dict[str, Any] = {"ready": False, "classes": {}, "bound": [], "claims_namespace": False}
    for item in items:
        kind, meta = item["kind"], item["metadata"]
        place, status = meta.get("namespace"), item.get("status", {})
        if kind == "DaemonSet" and (place, meta["name"]) == (params["namespace"], f"{params['release']}-nodeplugin"):
            found["ready"] = status.get("numberReady", 0) == status.get("desiredNumberScheduled", 0) > 0
        elif kind == "StorageClass" and item.get("provisioner") == DRIVER:
            found["classes"][meta["name"]] = (item.get("parameters") or {}).get("repository", "")
        elif kind == "PersistentVolumeClaim" and place == params["claims_namespace"]:
            found["bound"] += [meta["name"]] * (status.get("phase") == "Bound")
        elif kind == "Namespace" and meta["name"] == params["claims_namespace"]:
            found["claims_namespace"] = True
    return found


def look(params: dict[str, Any]) -> dict[str, Any]:
    """Return what the cluster has now."""
    kinds = "daemonsets,storageclasses,persistentvolumeclaims,namespaces"
    answer = Cluster(params["cluster"]).get(kinds, "--all-namespaces")
    return {"cluster": answer is not None, **read((answer or {}).get("items", []), params)}


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    installed = text(f"{params['directory']}/installed")
    current = installed == params["installation"]
    state = settled(lambda: look(params), lambda found: found["ready"] or not current)
    state |= {
        "files": {path: fingerprint(path) for path in params["files"]},
        "installed": installed,
        "verified": text(f"{params['directory']}/verified"),
    }
    print(json.dumps(state))

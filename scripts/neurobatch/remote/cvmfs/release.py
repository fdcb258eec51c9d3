"""What of the driver's release decides how it runs, as one word to compare."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def own(items: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """Return the driver's DaemonSets and ConfigMaps among ``items``, by the label that its chart gives them.

    Clusters put certificates of their own into every namespace (kube-root-ca.crt, OpenShift's, Istio's).
    """
    return [
        item
        for item in items
        if item["kind"] in {"ConfigMap", "DaemonSet"}
        and item["metadata"].get("namespace") == namespace
        and (item["metadata"].get("labels") or {}).get("app") == "cvmfs-csi"
    ]


def live(items: list[dict[str, Any]], namespace: str) -> str:
    """Return a hash over the driver's DaemonSets and ConfigMaps among ``items``: another one, if hands changed them."""
    rows = [
        [item["kind"], item["metadata"]["name"], item.get("data") if item["kind"] == "ConfigMap" else item["spec"]]
        for item in own(items, namespace)
    ]
    return hashlib.sha256(json.dumps(sorted(rows, key=lambda row: row[:2]), sort_keys=True).encode()).hexdigest()

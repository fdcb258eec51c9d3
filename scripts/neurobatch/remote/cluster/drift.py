"""Tell whether somebody changed by hand what was applied, in one request."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from neurobatch.remote.common import Cluster, text

#: Kinds in the namespace whose content is ours alone.
KINDS = "deployments,services,configmaps,secrets,serviceaccounts,roles,rolebindings,persistentvolumeclaims"
#: What Kubernetes writes by itself: it says nothing about what was wanted.
OTHERS = {"apiVersion", "kind", "metadata", "status", "secrets"}


def key(item: dict[str, Any]) -> str:
    """Return what names an object in a namespace."""
    return f"{item['kind']} {item['metadata']['name']}"


def digests(items: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return a SHA-256 over what each object asks for, by `key`."""
    return {
        key(item): hashlib.sha256(
            json.dumps({name: value for name, value in item.items() if name not in OTHERS}, sort_keys=True).encode()
        ).hexdigest()
        for item in items
    }


def live(cluster: Cluster, namespace: str) -> dict[str, dict[str, Any]] | None:
    """Return the objects that are there by `key`, None where the cluster does not answer."""
    found = cluster.get(KINDS, "-n", namespace)
    return None if found is None else {key(item): item for item in found["items"]}


def recorded(path: str) -> dict[str, str]:
    """Return the digests noted after the last application, empty where there are none."""
    return dict(json.loads(text(path) or "{}"))


def changed(there: dict[str, dict[str, Any]] | None, noted: dict[str, str]) -> list[str]:
    """Return the objects that are not as they were left, or are gone; without an answer, none can be named."""
    if there is None:
        return []
    now = digests(there.values())
    return sorted(name for name, digest in noted.items() if now.get(name) != digest)

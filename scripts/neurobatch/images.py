"""Names of container images (https://github.com/distribution/reference) and where to pull them from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from neurobatch.mirrors import Mirror

#: Where a stack's `place` is counted from in each kind of object.
_ROOTS = {"Deployment": "/spec/template/spec/containers/0/", "ConfigMap": "/data/"}


def registry_of(reference: str) -> str:
    """Return the registry host of an image reference; Docker Hub is "docker.io", written or not."""
    first, _, rest = reference.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return first
    return "docker.io"


def qualified(reference: str) -> str:
    """Return an image reference with its registry's host, and Docker Hub's official images with "library"."""
    registry = registry_of(reference)
    name = reference.removeprefix(f"{registry}/")
    if registry == "docker.io" and "/" not in name.partition("@")[0]:
        name = f"library/{name}"
    return f"{registry}/{name}"


def pull_reference(reference: str, mirrors: Mapping[str, Any]) -> str:
    """Return the name by which Docker has to pull ``reference`` where registries are mirrored.

    Args:
        reference: an image, by tag or digest.
        mirrors: the variable `registry_mirrors`.

    Docker consults a mirror for docker.io by itself if it can (`Mirror.by_name`); an image of any other registry is
    asked from the mirror by name.
    """
    registry = registry_of(reference)
    if registry not in mirrors:
        return reference
    mirror = Mirror.of(mirrors[registry], registry)
    if registry == "docker.io" and not mirror.by_name:
        return reference
    return f"{mirror.name}/{qualified(reference).removeprefix(registry + '/')}"


def substitutions(images: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return Kustomize's patches (target, patch) that put a release's images in place of those its manifests name.

    Args:
        images: `kubeflow_pipelines.images` of a stack.

    Each patch tests first that the manifests name what the stack says; `kubectl kustomize` fails where they do not. An
    object that an earlier patch has deleted is passed over.
    """
    patches = []
    for name in sorted(images):
        row = images[name]
        kind, _, rest = row["place"].partition("/")
        if row["substitute"] is None or kind not in _ROOTS:
            continue
        target, _, pointer = rest.partition(" ")
        path = _ROOTS[kind] + pointer
        steps = [{"op": "test", "path": path, "value": row["image"]}]
        steps += [{"op": "replace", "path": path, "value": row["substitute"]}]
        patches.append({"target": {"kind": kind, "name": target}, "patch": json.dumps(steps)})
    return patches


def replaced(images: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names that must be gone from the manifests once the substitutions were made."""
    return sorted(row["image"] for row in images.values() if row["substitute"] is not None)

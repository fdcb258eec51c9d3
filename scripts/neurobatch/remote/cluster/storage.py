"""Which storage classes a cluster has, and whether the wanted ones are among them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DEFAULT = "storageclass.kubernetes.io/is-default-class"
#: Before Kubernetes 1.6 it was called so, and clusters that have grown old still name it so.
OLD_DEFAULT = "storageclass.beta.kubernetes.io/is-default-class"


def defaults(classes: Iterable[dict[str, Any]]) -> list[str]:
    """Return the classes that are marked as the default."""
    return [
        each["metadata"]["name"]
        for each in classes
        if "true" in {(each["metadata"].get("annotations") or {}).get(name) for name in (DEFAULT, OLD_DEFAULT)}
    ]


def complaint(variable: str, wanted: str, classes: list[dict[str, Any]]) -> str:
    """Return why claims of this class would stay pending, with the classes there are; empty when they would not.

    Args:
        variable: what the operator sets it by.
        wanted: its name; empty means the cluster's default.
        classes: the StorageClasses of the cluster.
    """
    names = sorted(each["metadata"]["name"] for each in classes)
    there = f"the cluster has {', '.join(names)}" if names else "the cluster has none at all"
    if wanted and wanted not in names:
        remedy = "name one of them" if names else "have its administrator install a provisioner"
        return f"{variable} is {wanted}, but there is no such storage class: {there}; {remedy}."
    if not wanted and not defaults(classes):
        remedy = f"set {variable} to one of them" if names else "have its administrator install a provisioner"
        return f"{variable} is empty, but no storage class is the default: {there}; {remedy}."
    return ""

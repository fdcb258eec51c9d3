"""The tables of docs/stacks.md, made from the stacks themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neurobatch import stacks
from neurobatch.wording import listed

#: What an image is needed for, in a reader's words.
NEEDS = {"v1": "Elyra's runs", "v2": "V2 runs", "ui": "the user interface", "schedules": "recurring runs"}

Row = tuple[str, ...]


def parts() -> dict[str, list[Row]]:
    """Return the tables by name; the first row of each is its head."""
    shipped = [stacks.resolve(name) for name in sorted(stacks.known())]
    return {"versions": versions(shipped), **{f"images {stack['name']}": images(stack) for stack in shipped}}


def versions(shipped: Sequence[dict[str, Any]]) -> list[Row]:
    """Return what each stack is made of, a stack a column."""

    def row(what: str, *path: str) -> Row:
        cells = []
        for stack in shipped:
            value: Any = stack
            for key in path:
                value = value[key]
            cells.append(str(value))
        return (what, *cells)

    python = ["{minimum} to {maximum}".format(**stack["runtime_image"]["python"]) for stack in shipped]
    return [
        ("", *(f"`{stack['name']}`" for stack in shipped)),
        row("Kubeflow Pipelines", "kubeflow_pipelines", "version"),
        row("kfp SDK that compiles for it", "kubeflow_pipelines", "sdk", "kfp"),
        row("Kubernetes", "kubernetes", "version"),
        row("Minikube", "tools", "minikube", "version"),
        row("kubectl", "tools", "kubectl", "version"),
        row("helm", "tools", "helm", "version"),
        row("CVMFS-CSI", "cvmfs_csi", "version"),
        row("Elyra", "neurodesktop", "constraints", "elyra"),
        row("JupyterLab", "neurodesktop", "constraints", "jupyterlab"),
        row("Image of pipeline steps", "runtime_image", "name"),
        ("Python in an image for Elyra's steps", *python),
    ]


def images(stack: dict[str, Any]) -> list[Row]:
    """Return the images of a stack: what upstream names, what is installed instead, and what for."""
    rows: list[Row] = [("Image of the release", "Installed instead", "Needed for")]
    for row in stack["kubeflow_pipelines"]["images"].values():
        needs = listed([NEEDS[need] for need in row["needed"]]) if row["needed"] else "not installed"
        rows.append((f"`{row['image']}`", f"`{row['substitute']}`" if row["substitute"] else "", needs))
    return rows

"""Pipelines compiled beforehand (specs/NAME-STACK.yaml) and what is filled in when a run is submitted.

A template holds two names to be replaced, since KFP 2.0.0 takes neither from a run's parameters: the image
IMAGE of its steps, and the claims that it mounts. Nothing else in it is touched.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

#: Stands in every template for the image that steps run on; no registry answers to this name.
IMAGE = "neurobatch.invalid/runtime-image"


class TemplateError(ValueError):
    """There is no such template, or it lacks what is to be replaced; the message is one sentence."""


@dataclass(frozen=True)
class Template:
    """A compiled pipeline: the IR and, where the pipeline has one, its Kubernetes part."""

    pipeline: Mapping[str, Any]
    platform: Mapping[str, Any]

    @property
    def steps(self) -> list[str]:
        """The names of the steps in an order in which they may run; of equals, alphabetically."""
        tasks: Mapping[str, Any] = self.pipeline["root"]["dag"]["tasks"]
        order: list[str] = []
        while len(order) < len(tasks):
            left = sorted(tasks.keys() - set(order))
            ready = [name for name in left if set(tasks[name].get("dependentTasks", ())) <= set(order)]
            if not ready:
                raise TemplateError("The steps of this pipeline wait for each other.")
            order += ready
        return order


def known(name: str) -> list[str]:
    """Return the stacks for which the pipeline ``name`` was compiled, e.g. ["kfp-2.0.0"]."""
    files = (path.name for path in _folder().iterdir())
    kinds = (".yaml", ".json")
    return sorted(file[len(name) + 1 : -5] for file in files if file.startswith(f"{name}-") and file.endswith(kinds))


def load(name: str, stack: str) -> Template:
    """Return the pipeline ``name`` as compiled for ``stack``.

    Raises:
        TemplateError: it was not compiled for this stack.
    """
    if stack not in known(name):
        raise TemplateError(f"The pipeline {name} is not compiled for {stack!r}; there is {', '.join(known(name))}.")
    ready = _folder() / f"{name}-{stack}.json"
    if ready.is_file():  # one file that runs anywhere (neurobatch.pyz) carries them so, and needs no YAML
        pipeline, *platform = json.loads(ready.read_text(encoding="utf-8"))
    else:
        import yaml  # noqa: PLC0415 - 40 ms, which who only looks at a run need not wait for

        text = (_folder() / f"{name}-{stack}.yaml").read_text(encoding="utf-8")
        pipeline, *platform = yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return Template(pipeline, platform[0] if platform else {})


def fill(template: Template, image: str, claims: Mapping[str, str] | None = None) -> Template:
    """Return the template with its image and claims replaced.

    Args:
        template: as loaded; it is left as it is.
        image: what the steps run on, e.g. ``vnmd/neurodesktop:2024-10-16``.
        claims: claim in the template to claim in the cluster.

    Raises:
        TemplateError: the template has no image to replace, or lacks one of the claims.
    """
    pipeline, platform = copy.deepcopy(dict(template.pipeline)), copy.deepcopy(dict(template.platform))
    containers = [row["container"] for row in pipeline["deploymentSpec"]["executors"].values() if "container" in row]
    replaced = [container for container in containers if container["image"] == IMAGE]
    if not replaced:
        raise TemplateError("No step of this pipeline runs on the stack's runtime image.")
    for container in replaced:
        container["image"] = image
    executors = platform.get("platforms", {}).get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    mounts = [mount for row in executors.values() for mount in row.get("pvcMount", [])]
    # Since 2.13 the SDK writes a constant name twice, and a back end that knows the later field takes it from there.
    mounts += [mount["pvcNameParameter"]["runtimeValue"] for mount in mounts if "pvcNameParameter" in mount]
    for old, new in (claims or {}).items():
        found = [mount for mount in mounts if mount.get("constant") == old]
        if not found:
            raise TemplateError(f"No step of this pipeline mounts the claim {old}.")
        for mount in found:
            mount["constant"] = new
    return Template(pipeline, platform)


def _folder() -> Any:
    return resources.files("neurobatch.kfp") / "specs"

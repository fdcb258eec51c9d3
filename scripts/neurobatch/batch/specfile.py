"""A pipeline compiled elsewhere (the IR of Kubeflow Pipelines 2): is it one, and which parameters does it take."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurobatch.batch import notebook
from neurobatch.batch.inputs import content_of
from neurobatch.batch.refusal import RefusalError
from neurobatch.kfp.template import Template, TemplateError

LARGEST = 8 * 2**20
"""Bytes of a file; the API keeps specs in a column of its database."""


_KINDS: dict[str, type] = {
    "NUMBER_INTEGER": int,
    "NUMBER_DOUBLE": float,
    "BOOLEAN": bool,
    "LIST": list,
    "STRUCT": dict,
}


@dataclass(frozen=True)
class Spec:
    """A spec: its file, its bytes, the pipeline, its steps, and its parameters as the IR describes them."""

    path: Path
    content: bytes
    template: Template
    steps: list[str]
    inputs: dict[str, dict[str, Any]]

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    def value(self, name: str, text: str, origin: str) -> Any:
        """Return a parameter's value from a text, of the type that the pipeline asks for.

        Raises:
            RefusalError: there is no such parameter, or the text is no such value.
        """
        if name not in self.inputs:
            there = ", ".join(self.inputs) or "none"
            raise RefusalError(f"{self.path} has no parameter {name!r} ({origin}); it has: {there}.")
        kind = str(self.inputs[name].get("parameterType", "STRING"))
        if kind == "STRING":
            return text
        try:
            found = json.loads(text) if kind in ("LIST", "STRUCT") else notebook.value(text)
        except ValueError:
            found = None
        wanted = _KINDS.get(kind)
        if wanted is None:
            raise RefusalError(f"{self.path}: the parameter {name} is {kind}, which cannot be given.")
        if wanted is float and type(found) is int:
            return float(found)
        if type(found) is not wanted:
            raise RefusalError(f"{self.path}: the parameter {name} ({origin}) is {kind}, which {text!r} is not.")
        return found

    def check(self, given: set[str]) -> None:
        """Refuse a run that would lack a parameter.

        Raises:
            RefusalError: names the first that is missing.
        """
        for name, row in self.inputs.items():
            if name not in given and "defaultValue" not in row and not row.get("isOptional"):
                raise RefusalError(f"{self.path}: the parameter {name} has no default; -p {name}=VALUE gives it one.")


def read(path: Path) -> Spec:
    """Return the spec in a file of YAML or JSON.

    Raises:
        RefusalError: there is none, or it is no pipeline of version 2.
    """
    content = content_of(path)
    if len(content) > LARGEST:
        raise RefusalError(
            f"{path} is larger than {LARGEST // 2**20} MiB; a spec is a text that the SDK's compiler wrote."
        )
    documents = _documents(path, content)
    pipeline = documents[0] if documents else None
    if isinstance(pipeline, dict) and pipeline.get("kind") == "Workflow":
        raise RefusalError(f"{path} is a workflow of Kubeflow Pipelines 1; compile it with version 2 of the SDK.")
    needed = ("pipelineInfo", "deploymentSpec", "root", "schemaVersion")
    if not isinstance(pipeline, dict) or any(key not in pipeline for key in needed) or len(documents) > 2:
        raise RefusalError(f"{path} is no compiled pipeline (kfp.compiler.Compiler().compile writes one).")
    platform = documents[1] if len(documents) == 2 else {}
    if not isinstance(platform, dict) or (platform and "platforms" not in platform):
        raise RefusalError(f"{path}: its second document is no platform configuration (kfp-kubernetes writes one).")
    template = Template(pipeline, platform)
    try:
        steps = template.steps
        inputs = dict((pipeline["root"].get("inputDefinitions") or {}).get("parameters") or {})
    except (TemplateError, KeyError, TypeError, AttributeError) as error:
        raise RefusalError(f"{path} is no compiled pipeline: {error}.") from error
    return Spec(path, content, template, steps, inputs)


def _documents(path: Path, content: bytes) -> list[Any]:
    try:
        return [json.loads(content)]
    except ValueError:
        pass
    try:
        import yaml  # noqa: PLC0415 - 40 ms, and not everywhere
    except ImportError:
        raise RefusalError(
            f"{path} is no JSON, and the Python that runs this has no YAML; compile to a file that ends with .json."
        ) from None
    try:
        return list(yaml.load_all(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except (yaml.YAMLError, ValueError) as error:
        raise RefusalError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())[:200]}.") from error

"""What a step is given: its inputs, resolved, and its command with the placeholders filled in.

Source: backend/src/v2/driver/driver.go (resolveInputs) and backend/src/v2/component/launcher_v2.go (getPlaceholders)
at tag 2.0.0.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.rehearsal.kfp.api.errors import StepError
from tests.rehearsal.kfp.api.spec import Json, Spec

METADATA_FILE = "/tmp/kfp_outputs/output_metadata.json"  # noqa: S108  # KFP's place for it
DEFAULT_ROOT = "minio://mlpipeline/v2/artifacts"


@dataclass(frozen=True)
class Step:
    """A step that is ready to run.

    Attributes:
        executor_input: what KFP calls so: inputs and outputs with paths and URIs.
        command: the container's command, filled in.
        args: the container's arguments, filled in.
        types: output parameters and their types.
    """

    executor_input: Json
    command: list[str]
    args: list[str]
    types: dict[str, str]

    def plan(self) -> Json:
        """Return what launcher.py fetches and stores."""
        inputs, outputs = self.executor_input["inputs"], self.executor_input["outputs"]
        return {
            "inputs": [_place(each) for each in inputs["artifacts"].values()],
            "outputs": [_place(each) for each in outputs["artifacts"].values()],
            "parameters": {
                name: {"path": each["outputFile"], "type": self.types[name]}
                for name, each in outputs["parameters"].items()
            },
            "metadata": METADATA_FILE,
        }


def local_path(uri: str) -> str:
    """Return where an artifact lies in the step: minio://bucket/key at /minio/bucket/key.

    Raises:
        StepError: the URI is of another kind of store.
    """
    if not uri.startswith("minio://"):
        raise StepError(f"This rehearsal of KFP reads and writes minio:// artifacts only, not {uri}.")
    return "/minio/" + uri.removeprefix("minio://")


def _place(artifact: Json) -> Json:
    """Return bucket, key and local path of an artifact in an executor input."""
    uri = artifact["artifacts"][0]["uri"]
    bucket, _, key = uri.removeprefix("minio://").partition("/")
    return {"bucket": bucket, "key": key, "path": local_path(uri)}


def as_text(value: Any) -> str:
    """Return a parameter's value as a placeholder shows it: text as it is, the rest as JSON, 3.0 as 3."""
    return value if isinstance(value, str) else json.dumps(_whole(value), separators=(",", ":"))


def _whole(value: Any) -> Any:
    """Return a value with whole floats as integers: protobuf's Struct knows only floats, Go prints them so."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return value


def parameter(selector: Json, run: Json, task: str) -> Any:
    """Resolve one input parameter of a task.

    Args:
        selector: the proto's InputParameterSpec.
        run: the run's record: ``parameters`` of the pipeline, ``outputs`` of its finished tasks.
        task: its name, for messages.

    Raises:
        StepError: what it refers to is not there.
    """
    if "componentInputParameter" in selector:
        name = selector["componentInputParameter"]
        if name not in run["parameters"]:
            raise StepError(f"resolving input parameter of {task}: parent DAG does not have input parameter {name}")
        return run["parameters"][name]
    if "taskOutputParameter" in selector:
        source = selector["taskOutputParameter"]
        values = run["outputs"].get(source["producerTask"], {}).get("parameters", {})
        if source["outputParameterKey"] not in values:
            missing = f"{source['producerTask']}.{source['outputParameterKey']}"
            raise StepError(f"resolving input parameter of {task}: cannot find output parameter {missing}")
        return values[source["outputParameterKey"]]
    if "runtimeValue" in selector:
        return selector["runtimeValue"].get("constant", "")
    raise StepError(f"resolving input parameter of {task}: {sorted(selector)} is not rehearsed")


def resolve(spec: Spec, run: Json, task: str) -> Step:
    """Return a task with everything filled in.

    Raises:
        StepError: an input cannot be resolved.
    """
    component = spec.component(task)
    wanted = component.get("inputDefinitions", {})
    given = spec.tasks[task].get("inputs", {})
    values = {
        name: each["defaultValue"] for name, each in wanted.get("parameters", {}).items() if "defaultValue" in each
    }
    for name, selector in given.get("parameters", {}).items():
        try:
            values[name] = parameter(selector, run, task)
        except StepError:
            # An optional parameter of the pipeline that nobody set is left out.
            if not wanted.get("parameters", {}).get(name, {}).get("isOptional"):
                raise
    for name, definition in wanted.get("parameters", {}).items():
        if name not in values and not definition.get("isOptional"):
            raise StepError(f"resolving inputs of {task}: parameter {name} has no value")
    for name, value in values.items():
        if isinstance(value, str):
            values[name] = _fill(
                value, {f"{{{{$.inputs.parameters['{key}']}}}}": as_text(v) for key, v in values.items()}
            )
    artifacts = {name: _input_artifact(each, run, task) for name, each in given.get("artifacts", {}).items()}
    for name, definition in wanted.get("artifacts", {}).items():
        if name not in artifacts and not definition.get("isOptional"):
            raise StepError(f"resolving inputs of {task}: artifact {name} has no value")
    executor_input = {
        "inputs": {"parameterValues": _whole(values), "artifacts": artifacts},
        "outputs": _outputs(component, run, task),
    }
    defined = component.get("outputDefinitions", {}).get("parameters", {})
    container = spec.executors[spec.executor_label(task)]
    texts = placeholders(executor_input)
    return Step(
        executor_input,
        [_fill(each, texts) for each in container.get("command", [])],
        [_fill(each, texts) for each in container.get("args", [])],
        {name: each["parameterType"] for name, each in defined.items()},
    )


def _input_artifact(selector: Json, run: Json, task: str) -> Json:
    """Return an input artifact as the executor input has it."""
    source = selector.get("taskOutputArtifact")
    if source is None:
        raise StepError(f"resolving input artifact of {task}: component input artifact not implemented yet")
    produced = run["outputs"].get(source["producerTask"], {}).get("artifacts", {})
    if source["outputArtifactKey"] not in produced:
        missing = f"{source['producerTask']}.{source['outputArtifactKey']}"
        raise StepError(f"resolving input artifact of {task}: cannot find output artifact {missing}")
    return {"artifacts": [produced[source["outputArtifactKey"]]]}


def _outputs(component: Json, run: Json, task: str) -> Json:
    """Return a task's outputs: where it writes parameters, and the URIs of its artifacts."""
    defined = component.get("outputDefinitions", {})
    base = f"{run['root'].rstrip('/')}/{run['pipeline']}/{run['run_id']}/{task}"
    artifacts = {
        name: {
            "artifacts": [{"name": name, "type": each.get("artifactType", {}), "uri": f"{base}/{name}", "metadata": {}}]
        }
        for name, each in defined.get("artifacts", {}).items()
    }
    parameters = {
        name: {"outputFile": f"/tmp/kfp/outputs/{name}/data"}  # noqa: S108  # KFP's place for it
        for name in defined.get("parameters", {})
    }
    return {"parameters": parameters, "artifacts": artifacts, "outputFile": METADATA_FILE}


def placeholders(executor_input: Json) -> dict[str, str]:
    """Return every placeholder that the launcher knows, with its text."""
    texts = {"{{$}}": json.dumps(executor_input, separators=(",", ":"))}
    for name, value in executor_input["inputs"]["parameterValues"].items():
        texts[f"{{{{$.inputs.parameters['{name}']}}}}"] = as_text(value)
    for side in ("inputs", "outputs"):
        for name, listed in executor_input[side]["artifacts"].items():
            artifact = listed["artifacts"][0]
            texts[f"{{{{$.{side}.artifacts['{name}'].uri}}}}"] = artifact["uri"]
            texts[f"{{{{$.{side}.artifacts['{name}'].path}}}}"] = local_path(artifact["uri"])
    for name, each in executor_input["outputs"]["parameters"].items():
        texts[f"{{{{$.outputs.parameters['{name}'].output_file}}}}"] = each["outputFile"]
    return texts


def _fill(text: str, texts: dict[str, str]) -> str:
    """Replace placeholders, each place once: what a value brings along is not looked at again."""
    return re.sub(r"\{\{\$[^{}]*\}\}", lambda match: texts.get(match.group(), match.group()), text)

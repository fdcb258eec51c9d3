"""Pipeline specs, parsed with the stack's own protocol buffers as the back end of that stack does.

Source: backend/src/apiserver/template/v2_template.go and backend/src/v2/driver at the tags 2.0.0 and 2.5.0: the
pipeline spec is parsed strictly, the deployment config and unknown documents leniently, the Kubernetes config by the
driver, that is when the step is about to run: strictly in 2.0.0, leniently from 2.4.1 on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from google.protobuf import json_format  # type: ignore[import-not-found,import-untyped,unused-ignore]
from kfp.kubernetes import kubernetes_executor_config_pb2 as platform_pb2  # type: ignore[import-not-found]
from kfp.pipeline_spec import pipeline_spec_pb2 as pipeline_pb2  # type: ignore[import-not-found]

from tests.rehearsal.kfp.api.errors import InvalidInput, StepError, Unsupported

Json = dict[str, Any]

_FIELDS = {"pvcMount", "secretAsEnv", "secretAsVolume", "nodeSelector"}
_MORE = {"podMetadata", "imagePullPolicy", "imagePullSecret", "tolerations", "activeDeadlineSeconds"}
KUBERNETES_FIELDS = {"2.0.0": _FIELDS, "2.5.0": _FIELDS | _MORE}
"""What pods.py acts on; the back end knows more."""


@dataclass(frozen=True)
class Spec:
    """A pipeline that this rehearsal can run.

    Attributes:
        name: the pipeline's name.
        tasks: task specs by name, in camel case.
        components: component specs by name.
        executors: container specs by executor label.
        kubernetes: Kubernetes config by executor label, not yet judged.
        parameters: input parameters of the pipeline, name to definition.
        document: ``{pipeline_spec, platform_spec}`` or the bare spec, as it came.
    """

    name: str
    tasks: dict[str, Json]
    components: dict[str, Json]
    executors: dict[str, Json]
    kubernetes: dict[str, Json]
    parameters: dict[str, Json]
    document: Json = field(repr=False)

    def component(self, task: str) -> Json:
        """Return the component of a task."""
        return self.components[self.tasks[task]["componentRef"]["name"]]

    def executor_label(self, task: str) -> str:
        """Return the label of a task's executor."""
        return str(self.component(task)["executorLabel"])


def from_text(text: str, version: str) -> Spec:
    """Parse an uploaded file: a pipeline spec and, after ``---``, perhaps a platform spec."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise InvalidInput(f"unknown template format: {error}") from error
    if not documents or not isinstance(documents[0], dict):
        raise InvalidInput("unknown template format")
    if len(documents) == 1:
        return parse(documents[0], version)
    return parse({"pipeline_spec": documents[0], "platform_spec": documents[1]}, version)


def parse(document: Json, version: str) -> Spec:
    """Parse what a request carries as ``pipeline_spec``.

    Args:
        document: a pipeline spec, or ``{"pipeline_spec", "platform_spec"}``.
        version: ``2.0.0`` or ``2.5.0``.

    Raises:
        InvalidInput: it is no pipeline spec.
        Unsupported: it has something that only the real back end runs.
    """
    if document.get("apiVersion", "").startswith("argoproj.io"):
        raise Unsupported("Argo workflows (pipelines of the v1 SDK)", "compile them with the v2 SDK")
    pipeline = document.get("pipeline_spec", document)
    message = pipeline_pb2.PipelineSpec()
    try:
        json_format.ParseDict(pipeline, message)
    except json_format.ParseError as error:
        raise InvalidInput(f"unknown template format: pipeline spec is invalid: {error}") from error
    if message.schema_version != "2.1.0":
        raise InvalidInput(
            f"unknown template format: invalid v2 pipeline spec: schema version {message.schema_version}"
        )
    spec: Json = json_format.MessageToDict(message)
    config = pipeline_pb2.PipelineDeploymentConfig()
    json_format.ParseDict(spec.get("deploymentSpec", {}), config, ignore_unknown_fields=True)
    executors = {label: json_format.MessageToDict(executor) for label, executor in config.executors.items()}
    root = spec.get("root", {})
    tasks = root.get("dag", {}).get("tasks", {})
    if not tasks:
        raise InvalidInput("unknown template format: the root of the pipeline has no tasks")
    parsed = Spec(
        name=message.pipeline_info.name,
        tasks=tasks,
        components=spec.get("components", {}),
        executors={label: executor.get("container", {}) for label, executor in executors.items()},
        kubernetes=_platform(document.get("platform_spec")),
        parameters=root.get("inputDefinitions", {}).get("parameters", {}),
        document=document,
    )
    for name in tasks:
        _refuse_unsupported(parsed, name, executors, version)
    _order(parsed)
    return parsed


def _platform(document: Any) -> dict[str, Json]:
    """Return Kubernetes configs by executor; a document that is no platform spec is ignored, as in KFP."""
    message = pipeline_pb2.PlatformSpec()
    try:
        json_format.ParseDict(document or {}, message)
    except json_format.ParseError:
        return {}
    platforms: Json = json_format.MessageToDict(message).get("platforms", {})
    executors: dict[str, Json] = platforms.get("kubernetes", {}).get("deploymentSpec", {}).get("executors", {})
    return executors


def kubernetes_config(raw: Json, version: str) -> Json:
    """Parse a step's Kubernetes config as the driver does.

    Raises:
        StepError: a field that this version does not know, or that the rehearsal does not act on.
    """
    message = platform_pb2.KubernetesExecutorConfig()
    try:
        json_format.ParseDict(raw, message, ignore_unknown_fields=version != "2.0.0")
    except json_format.ParseError as error:
        raise StepError(f"failed to unmarshal Kubernetes config, error: {error}") from error
    config: Json = json_format.MessageToDict(message)
    unknown = sorted(set(config) - KUBERNETES_FIELDS[version])
    if unknown:
        raise StepError(str(Unsupported(f"the Kubernetes fields {', '.join(unknown)}")))
    return config


def _refuse_unsupported(spec: Spec, name: str, executors: dict[str, Json], version: str) -> None:
    """Refuse, by its name, what this rehearsal does not run.

    Raises:
        Unsupported: names the construct and the task.
    """
    task = spec.tasks[name]
    component = spec.components.get(task.get("componentRef", {}).get("name", ""))
    if component is None:
        raise InvalidInput(f"unknown template format: task {name} refers to a component that is not there")
    trigger = task.get("triggerPolicy", {})
    executor = executors.get(component.get("executorLabel", ""), {})
    inputs = task.get("inputs", {}).get("parameters", {}).values()
    image = executor.get("container", {}).get("image", "")
    arguments = [*executor.get("container", {}).get("command", []), *executor.get("container", {}).get("args", [])]
    found = {
        "loops (dsl.ParallelFor)": "artifactIterator" in task or "parameterIterator" in task,
        "conditions (dsl.Condition, dsl.If)": bool(trigger.get("condition")),
        "exit handlers (dsl.ExitHandler)": trigger.get("strategy") == "ALL_UPSTREAM_TASKS_COMPLETED"
        or any("taskFinalStatus" in each for each in inputs),
        "nested pipelines": "dag" in component,
        "importers (dsl.importer)": "importer" in executor,
        "executors that are no container": "dag" not in component and "container" not in executor,
        "caching (cachingOptions.enableCache)": bool(task.get("cachingOptions", {}).get("enableCache")),
        "retries": version != "2.0.0" and bool(task.get("retryPolicy", {}).get("maxRetryCount")),
        "the creation or deletion of claims (CreatePVC, DeletePVC)": image.startswith("argostub/"),
        "optional placeholders (dsl.IfPresentPlaceholder, dsl.ConcatPlaceholder)": any(
            re.match(r'\{"(IfPresent|Concat)":', each) for each in arguments
        ),
    }
    for construct, there in found.items():
        if there:
            hint = "call .set_caching_options(False) on the task" if construct.startswith("caching") else ""
            raise Unsupported(f"{construct}, used by task {name}", hint)


def dependencies(spec: Spec, task: str) -> set[str]:
    """Return the tasks that have to succeed before a task starts: named ones and those whose outputs it reads."""
    definition = spec.tasks[task]
    found = set(definition.get("dependentTasks", []))
    inputs = definition.get("inputs", {})
    for each in inputs.get("parameters", {}).values():
        found |= {each["taskOutputParameter"]["producerTask"]} if "taskOutputParameter" in each else set()
    for each in inputs.get("artifacts", {}).values():
        found |= {each["taskOutputArtifact"]["producerTask"]} if "taskOutputArtifact" in each else set()
    for each in spec.kubernetes.get(spec.executor_label(task), {}).get("pvcMount", []):
        output = each.get("taskOutputParameter") or each.get("pvcNameParameter", {}).get("taskOutputParameter")
        found |= {output["producerTask"]} if output else set()
    return found


def _order(spec: Spec) -> None:
    """Refuse dependencies on tasks that are not there, and circles.

    Raises:
        InvalidInput: names the tasks.
    """
    left = {task: dependencies(spec, task) for task in spec.tasks}
    for task, needs in left.items():
        if needs - set(left):
            raise InvalidInput(f"task {task} depends on {', '.join(sorted(needs - set(left)))}, which is not there")
    while left:
        ready = [task for task, needs in left.items() if not needs & set(left)]
        if not ready:
            raise InvalidInput(f"the tasks {', '.join(sorted(left))} depend on each other in a circle")
        for task in ready:
            del left[task]

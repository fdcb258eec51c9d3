"""A step as a pod, and a pod's state as a step's."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from tests.rehearsal.kfp.api.dag import Step, as_text, parameter
from tests.rehearsal.kfp.api.spec import Json

SERVICE_ACCOUNT = "pipeline-runner"
PULL_REASONS = {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"}
FATAL_REASONS = {"InvalidImageName", "CreateContainerError"}
PENDING, RUNNING, SUCCEEDED, FAILED = "PENDING", "RUNNING", "SUCCEEDED", "FAILED"


def pod_name(pipeline: str, run_id: str, task: str) -> str:
    """Return a name of at most 63 characters that says which step of which run it is."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{pipeline[:20]}-{run_id[:8]}-{task[:30]}".lower())
    return words.strip("-")


def manifest(run: Json, task: str, step: Step, container: Json, *, config: Json, image: str) -> Json:
    """Return the pod of a step.

    Args:
        run: the run's record.
        task: the task's name.
        step: its inputs and command, filled in.
        container: the executor's container spec.
        config: the executor's Kubernetes config, parsed.
        image: the launcher's image.
    """
    name = pod_name(run["pipeline"], run["run_id"], task)
    volumes: list[Json] = [{"name": f"kfp-{index}", "emptyDir": {}} for index in range(3)]
    # The three places of launcher.WORKSPACE, shared by the step and the launcher.
    mounts = [
        {"name": f"kfp-{index}", "mountPath": path}
        for index, path in enumerate(("/minio", "/tmp/kfp", "/tmp/kfp_outputs"))  # noqa: S108
    ]
    environment = [{"name": each["name"], "value": each.get("value", "")} for each in container.get("env", [])]
    main: Json = {
        "name": "main",
        "image": container["image"],
        "command": step.command,
        "args": step.args,
        "resources": _resources(container.get("resources", {})),
    }
    main["env"] = environment + _secret_environment(config, run, task)
    main["volumeMounts"] = mounts + _mounts(config, run, task, volumes)
    if config.get("imagePullPolicy"):
        main["imagePullPolicy"] = config["imagePullPolicy"]
    helper: Json = {
        "image": image,
        "env": [
            {"name": "STEP", "value": json.dumps(step.plan())},
            {"name": "POD_NAME", "value": name},
        ],
        "volumeMounts": mounts,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
    }
    metadata = config.get("podMetadata", {})
    spec: Json = {
        "restartPolicy": "Never",
        "serviceAccountName": run["service_account"],
        "volumes": volumes,
        "initContainers": [{**helper, "name": "fetch", "args": ["fetch"]}],
        "containers": [main, {**helper, "name": "store", "args": ["store"]}],
    }
    if config.get("nodeSelector", {}).get("labels"):
        spec["nodeSelector"] = config["nodeSelector"]["labels"]
    if config.get("tolerations"):
        spec["tolerations"] = [
            {k: int(v) if k == "tolerationSeconds" else v for k, v in each.items()} for each in config["tolerations"]
        ]
    if config.get("imagePullSecret"):
        spec["imagePullSecrets"] = [{"name": each["secretName"]} for each in config["imagePullSecret"]]
    if config.get("activeDeadlineSeconds"):
        spec["activeDeadlineSeconds"] = int(config["activeDeadlineSeconds"])
    labels = {"pipeline/runid": run["run_id"], "pipelines.kubeflow.org/v2_component": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": {**metadata.get("labels", {}), **labels},
            "annotations": {**metadata.get("annotations", {}), "pipelines.kubeflow.org/task": task},
        },
        "spec": spec,
    }


def _resources(asked: Json) -> Json:
    """Return limits and requests as driver.go formats them: CPUs as a number, memory in decimal gigabytes."""
    made: Json = {}
    for side, kind in (("limits", "Limit"), ("requests", "Request")):
        values = {}
        if asked.get(f"cpu{kind}"):
            values["cpu"] = as_text(asked[f"cpu{kind}"])
        if asked.get(f"memory{kind}"):
            values["memory"] = f"{as_text(asked[f'memory{kind}'])}G"
        if values:
            made[side] = values
    accelerator = asked.get("accelerator", {})
    if accelerator.get("type") and int(accelerator.get("count", 0)):
        made.setdefault("limits", {})[accelerator["type"]] = str(accelerator["count"])
    return made


def _secret_name(each: Json, run: Json, task: str) -> str:
    """Return the Secret's name, which later SDKs write as an input parameter."""
    selector = each.get("secretNameParameter")
    return str(parameter(selector, run, task)) if selector else str(each["secretName"])


def _secret_environment(config: Json, run: Json, task: str) -> list[Json]:
    """Return environment variables that come from Secrets."""
    return [
        {
            "name": pair["envVar"],
            "valueFrom": {"secretKeyRef": {"name": _secret_name(each, run, task), "key": pair["secretKey"]}},
        }
        for each in config.get("secretAsEnv", [])
        for pair in each.get("keyToEnv", [])
    ]


def _mounts(config: Json, run: Json, task: str, volumes: list[Json]) -> list[Json]:
    """Add a volume for every claim and Secret, and return their mounts."""
    mounts: list[Json] = []
    for each in config.get("pvcMount", []):
        selector = each.get("pvcNameParameter") or {
            key: each[key] for key in ("taskOutputParameter", "componentInputParameter") if key in each
        }
        claim = str(parameter(selector, run, task) if selector else each["constant"])
        if not any(volume["name"] == f"claim-{claim}" for volume in volumes):
            volumes.append({"name": f"claim-{claim}", "persistentVolumeClaim": {"claimName": claim}})
        mounts.append({"name": f"claim-{claim}", "mountPath": each["mountPath"]})
    for index, each in enumerate(config.get("secretAsVolume", [])):
        secret: Json = {"secretName": _secret_name(each, run, task)}
        if "optional" in each:
            secret["optional"] = each["optional"]
        volumes.append({"name": f"secret-{index}", "secret": secret})
        mounts.append({"name": f"secret-{index}", "mountPath": each["mountPath"], "readOnly": True})
    return mounts


@dataclass(frozen=True)
class Found:
    """What a pod says of its step.

    Attributes:
        state: PENDING, RUNNING, SUCCEEDED or FAILED.
        reason: why it waits or failed; empty when all is well.
        pulling: an image cannot be pulled; it may come yet.
        message: what ``store`` said (JSON) when the step succeeded.
        wants_log: the step itself failed, so that its log has the reason.
    """

    state: str
    reason: str = ""
    pulling: bool = False
    message: str = ""
    wants_log: bool = False


def judge(pod: Json) -> Found:  # noqa: PLR0911  # one line a finding
    """Read a pod's status."""
    status = pod.get("status", {})
    phase = status.get("phase", "Pending")
    containers = {each["name"]: each for each in status.get("containerStatuses", [])}
    init = {each["name"]: each for each in status.get("initContainerStatuses", [])}
    waiting = [each for each in (*init.values(), *containers.values()) if "waiting" in each.get("state", {})]
    if phase == "Failed":
        return _failure(status, containers, init)
    if phase == "Succeeded":
        return Found(SUCCEEDED, message=_ended(containers.get("store")).get("message", ""))
    if "running" in containers.get("main", {}).get("state", {}) or "terminated" in containers.get("main", {}).get(
        "state", {}
    ):
        return Found(RUNNING)
    for each in waiting:
        state = each["state"]["waiting"]
        text = f"{each['name']}: {state.get('reason', '')}: {state.get('message', '')}".rstrip(": ")
        if state.get("reason") in PULL_REASONS:
            return Found(PENDING, f"{text} (image {each.get('image', '')})", pulling=True)
        if state.get("reason") in FATAL_REASONS:
            return Found(FAILED, text)
        if state.get("reason") not in ("PodInitializing", "ContainerCreating", None):
            return Found(PENDING, text)
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return Found(PENDING, f"{condition.get('reason', '')}: {condition.get('message', '')}")
    return Found(RUNNING if _ended(init.get("fetch")) and phase == "Running" else PENDING)


def _ended(container: Json | None) -> dict[str, Any]:
    """Return a container's ``terminated`` state, empty when it has not ended."""
    return ((container or {}).get("state") or {}).get("terminated") or {}


def _failure(status: Json, containers: dict[str, Json], init: dict[str, Json]) -> Found:
    """Return why a failed pod failed: what came first counts."""
    for name, what in (("fetch", "fetching the inputs"), ("main", "the step"), ("store", "storing the outputs")):
        ended = _ended(init.get(name) or containers.get(name))
        if ended.get("exitCode"):
            words = [f"{what} ended with exit code {ended['exitCode']}"]
            if ended.get("reason") not in (None, "Error"):
                words.append(ended["reason"])
            if ended.get("message"):
                words.append(ended["message"].strip())
            return Found(FAILED, ": ".join(words), wants_log=name == "main")
    words = [status.get("reason", "Failed"), status.get("message", "")]
    return Found(FAILED, ": ".join(word for word in words if word))

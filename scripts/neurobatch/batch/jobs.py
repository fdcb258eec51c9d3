"""A subject as a pipeline run: the spec that is submitted, the job file that the step reads, what it left behind."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from neurobatch.batch.journal import FAILED_FOLDER, NOTEBOOK, SPEC, Batch, Subject, read_json, write_json
from neurobatch.batch.refusal import RefusalError
from neurobatch.batch.settings import Settings
from neurobatch.kfp import template

PIPELINE, STEP = "notebook", "notebook"
#: In a batch's folder: the pipeline of one that is not of a single notebook, and copies of what its nodes run.
#: No subject is called so.
SPEC_FILE, SOURCES = ".pipeline.json", ".sources"
#: The claims' names in the compiled pipeline (kfp/specs/notebook.py).
STORAGE_CLAIM, TOOLS_CLAIM = "neurodesktop-storage", "cvmfs-neurodesk"
GPU = "nvidia.com/gpu"
_UNITS = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def cpus(text: str) -> float:
    """Return CPUs from ``2``, ``0.5`` or ``500m``.

    Raises:
        RefusalError: it is neither.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(m?)", text)
    number = float(found[1]) / (1000 if found[2] else 1) if found else 0.0
    if number <= 0:
        raise RefusalError(f"--cpu {text}: write a number of CPUs such as 2, 0.5 or 500m.")
    return number


def memory(text: str) -> int:
    """Return bytes from Kubernetes' notation, ``4G`` or ``4Gi``.

    Raises:
        RefusalError: it is none, or less than a notebook's kernel needs.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([kMGT]|[KMGT]i)?", text)
    number = int(float(found[1]) * _UNITS[found[2] or ""]) if found else 0
    if number < 128 * 2**20:
        raise RefusalError(f"--memory {text}: write an amount such as 4G or 4Gi, at least 128Mi.")
    return number


def spec(settings: Settings, request: Mapping[str, Any]) -> template.Template:
    """Return the pipeline with this batch's image, claims and limits; all subjects share it.

    Raises:
        template.TemplateError: it is not compiled for this stack.
    """
    claims = {STORAGE_CLAIM: settings.claim, TOOLS_CLAIM: settings.tools_claim}
    filled = template.fill(template.load(PIPELINE, settings.compiled_for), str(request["image"]), claims)
    pipeline, platform = copy.deepcopy(dict(filled.pipeline)), copy.deepcopy(dict(filled.platform))
    executors = pipeline["deploymentSpec"]["executors"]
    limits: dict[str, Any] = {}
    if request.get("cpu"):
        limits["cpuLimit"] = limits["cpuRequest"] = float(request["cpu"])
    if request.get("memory"):
        # The back end takes and prints gigabytes of 10^9 bytes (backend/src/v2/driver/driver.go).
        limits["memoryLimit"] = limits["memoryRequest"] = round(request["memory"] / 1e9, 3)
    if settings.compiled_for != "kfp-2.0.0":
        # Later SDKs write each limit twice, the second time as text, and later back ends prefer that.
        if request.get("cpu"):
            limits["resourceCpuLimit"] = limits["resourceCpuRequest"] = f"{request['cpu']:g}"
        if request.get("memory"):
            limits["resourceMemoryLimit"] = limits["resourceMemoryRequest"] = str(request["memory"])
    if request.get("gpu"):
        limits["accelerator"] = {"type": GPU, "count": str(request["gpu"])}
    for row in executors.values():
        if limits:
            row["container"]["resources"] = limits
    mounts = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    for row in mounts.values():
        for claim, path in (request.get("mounts") or {}).items():
            more = (
                {"pvcNameParameter": {"runtimeValue": {"constant": claim}}}
                if "pvcNameParameter" in row["pvcMount"][0]
                else {}
            )
            row["pvcMount"].append({"constant": claim, "mountPath": path, **more})
    return template.Template(pipeline, platform)


def merged(settings: Settings, nodes: Sequence[Mapping[str, Any]], name: str) -> template.Template:
    """Return a pipeline of several notebooks or scripts, each a step like the one of `spec`.

    Args:
        settings: of this installation.
        nodes: requests as for `spec`, each with a "name" and the names of its "parents".
        name: of the pipeline.

    Raises:
        template.TemplateError: it is not compiled for this stack, or the nodes wait for each other.
    """
    whole: dict[str, Any] = {}
    executors: dict[str, Any] = {}
    for node in nodes:
        one, task = spec(settings, node), str(node["name"])
        component, executor, job = f"comp-{task}", f"exec-{task}", parameter_of(task)
        pipeline = copy.deepcopy(dict(one.pipeline))
        whole = whole or {
            **pipeline,
            "pipelineInfo": {"name": name},
            "components": {},
            "deploymentSpec": {"executors": {}},
            "root": {"dag": {"tasks": {}}, "inputDefinitions": {"parameters": {}}},
        }
        root = pipeline["root"]
        whole["components"][component] = {**pipeline["components"][f"comp-{STEP}"], "executorLabel": executor}
        whole["deploymentSpec"]["executors"][executor] = pipeline["deploymentSpec"]["executors"][f"exec-{STEP}"]
        whole["root"]["inputDefinitions"]["parameters"][job] = root["inputDefinitions"]["parameters"]["job"]
        whole["root"]["dag"]["tasks"][task] = {
            **root["dag"]["tasks"][STEP],
            "componentRef": {"name": component},
            "inputs": {"parameters": {"job": {"componentInputParameter": job}}},
            "taskInfo": {"name": task},
            **({"dependentTasks": list(node["parents"])} if node["parents"] else {}),
        }
        rows = one.platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        executors[executor] = copy.deepcopy(rows[f"exec-{STEP}"])
    platform = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}
    made = template.Template(whole, platform)
    _ = made.steps
    return made


def parameter_of(task: str) -> str:
    """Return the pipeline's parameter that leads a node's step to its job: a Python name, as all that SDKs write."""
    return f"job_{task.replace('-', '_')}"


def spec_of(settings: Settings, batch: Batch) -> template.Template:
    """Return the pipeline that all subjects of a batch share.

    Raises:
        RefusalError: the batch's folder has lost it.
        template.TemplateError: it is not compiled for this stack.
    """
    if batch.kind == NOTEBOOK:
        return spec(settings, batch.request)
    documents = read_json(batch.folder / SPEC_FILE)
    if "pipeline" not in documents:
        raise RefusalError(f"{batch.folder / SPEC_FILE} is missing or damaged: this run cannot go on; make a new one.")
    return template.Template(documents["pipeline"], documents["platform"])


def parameters(settings: Settings, batch: Batch, subject: Subject) -> dict[str, Any]:
    """Put in place what a subject's steps read, and return the parameters of its run.

    What an earlier attempt left is moved to failed/SUBJECT-N first: nothing is overwritten.

    Raises:
        RefusalError: the folder cannot be written.
    """
    if batch.kind == SPEC:
        return subject.parameters
    folder = batch.folder / subject.name
    inside = settings.inside(batch.folder)
    common = {
        "subject": subject.name,
        "attempt": subject.attempt,
        "key": batch.key(subject),
        "run": batch.name,
        "timeout": batch.request.get("timeout") or 0,
    }
    try:
        if folder.exists() and read_json(folder / "job.json").get("key") != common["key"]:
            (batch.folder / FAILED_FOLDER).mkdir(exist_ok=True)
            os.rename(folder, _free(batch.folder / FAILED_FOLDER / f"{subject.name}-{subject.attempt - 1}"))
        folder.mkdir(exist_ok=True)
        if batch.kind == NOTEBOOK:
            job = {
                **common,
                "notebook": settings.inside(batch.notebook),
                "folder": f"{inside}/{subject.name}",
                "notebook_dir": settings.inside(batch.folder.parents[1]),
                "parameters": subject.parameters,
                "outputs": batch.request.get("outputs") or [],
            }
            write_json(folder / "job.json", job)
            return {"job": f"{job['folder']}/job.json"}
        # Folders first, and the mark of this attempt last: a half-made one is made anew.
        for node in batch.request["nodes"]:
            (folder / node["name"]).mkdir(exist_ok=True)
            write_json(folder / node["name"] / "job.json", {**common, **_node_job(settings, batch, subject, node)})
        write_json(folder / "job.json", common)
    except OSError as error:
        raise RefusalError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    return {
        parameter_of(node["name"]): f"{inside}/{subject.name}/{node['name']}/job.json"
        for node in batch.request["nodes"]
    }


def _node_job(settings: Settings, batch: Batch, subject: Subject, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the step of one node reads: its sources are copies, its inputs the outputs of all before it."""
    inside, nodes = settings.inside(batch.folder), {row["name"]: row for row in batch.request["nodes"]}
    sources = f"{inside}/{SOURCES}/{node['name']}"
    inputs = [{"folder": sources, "patterns": node["dependencies"]}] if node["dependencies"] else []
    for name in ancestors(nodes, node["name"]):
        if nodes[name]["outputs"]:
            inputs.append({"folder": f"{inside}/{subject.name}/{name}", "patterns": nodes[name]["outputs"]})
    given = {name: _text(subject.parameters[name]) for name in node["parameters"] if name in subject.parameters}
    return {
        "notebook": f"{sources}/{node['file']}",
        "folder": f"{inside}/{subject.name}/{node['name']}",
        "notebook_dir": sources,
        "parameters": {},
        # A node's own setting stands before a parameter of the same name, as in Elyra.
        "env": {**given, **node["env"]},
        "inputs": inputs,
        "outputs": node["outputs"],
    }


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def ancestors(nodes: Mapping[str, Mapping[str, Any]], name: str) -> list[str]:
    """Return the names of all nodes before one, the farthest first."""
    found: list[str] = []
    for parent in nodes[name]["parents"]:
        found += [each for each in [*ancestors(nodes, parent), parent] if each not in found]
    return found


def steps(batch: Batch) -> list[str]:
    """Return the names of a batch's steps."""
    if batch.kind == NOTEBOOK:
        return [STEP]
    return [str(node["name"]) for node in batch.request["nodes"]]


def places(batch: Batch, subject: Subject) -> dict[str, Path]:
    """Return the folders in the storage where a subject's steps leave their logs, by step; none for a foreign spec."""
    folder = batch.folder / subject.name
    if batch.kind == SPEC:
        return {}
    if batch.kind == NOTEBOOK:
        return {STEP: folder}
    return {node["name"]: folder / node["name"] for node in batch.request["nodes"]}


def _free(path: Path) -> Path:
    """Return the path, or one with a number where something is there already."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def said_by_step(batch: Batch, subject: Subject) -> dict[str, dict[str, Any]]:
    """Return what each step of this attempt said of itself; those that have not begun are missing."""
    key = batch.key(subject)
    found = {step: read_json(folder / "status.json") for step, folder in places(batch, subject).items()}
    return {step: status for step, status in found.items() if status.get("key") == key}


def said(batch: Batch, subject: Subject) -> dict[str, Any]:
    """Return what this attempt said of itself, of several steps the first that failed; empty where none has begun."""
    steps = said_by_step(batch, subject)
    if batch.kind == NOTEBOOK or not steps:
        return steps.get(STEP, {})
    archives = " ".join(f"{step}={status['archive']}" for step, status in steps.items() if status.get("archive"))
    for state in ("failed", "ended", "running"):
        for step, status in steps.items():
            if status.get("state") == state:
                more = {name: f"{step}: {status[name]}" for name in ("reason", "cell") if status.get(name)}
                return {**status, **more, "archive": archives}
    # One step is done and the next one has not begun: over only when all have spoken.
    state = "succeeded" if len(steps) == len(batch.request["nodes"]) else "between"
    return {**next(iter(steps.values())), "state": state, "archive": archives}

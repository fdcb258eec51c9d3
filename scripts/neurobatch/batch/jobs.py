"""A subject as a pipeline run: the spec that is submitted, the job file that the step reads, what it left behind."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neurobatch.batch.journal import FAILED_FOLDER, Batch, Subject, read_json, write_json
from neurobatch.batch.refusal import RefusalError
from neurobatch.batch.settings import Settings
from neurobatch.kfp import template

PIPELINE, STEP = "notebook", "notebook"
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


def prepare(settings: Settings, batch: Batch, subject: Subject) -> str:
    """Make a subject's folder with its job file, and return that file's path in the pod.

    What an earlier attempt left is moved to failed/SUBJECT-N first: nothing is overwritten.

    Raises:
        RefusalError: the folder cannot be written.
    """
    folder = batch.folder / subject.name
    job = {
        "subject": subject.name,
        "attempt": subject.attempt,
        "key": batch.key(subject),
        "run": batch.name,
        "notebook": settings.inside(batch.notebook),
        "folder": settings.inside(batch.folder) + f"/{subject.name}",
        "notebook_dir": settings.inside(batch.folder.parents[1]),
        "parameters": subject.parameters,
        "outputs": batch.request.get("outputs") or [],
        "timeout": batch.request.get("timeout") or 0,
    }
    try:
        if folder.exists() and read_json(folder / "job.json").get("key") != job["key"]:
            (batch.folder / FAILED_FOLDER).mkdir(exist_ok=True)
            os.rename(folder, _free(batch.folder / FAILED_FOLDER / f"{subject.name}-{subject.attempt - 1}"))
        folder.mkdir(exist_ok=True)
        write_json(folder / "job.json", job)
    except OSError as error:
        raise RefusalError(f"{error.filename or folder} cannot be written: {error.strerror}.") from error
    return f"{job['folder']}/job.json"


def _free(path: Path) -> Path:
    """Return the path, or one with a number where something is there already."""
    candidate, number = path, 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}.{number}")
    return candidate


def said(batch: Batch, subject: Subject) -> dict[str, Any]:
    """Return what this attempt's step said of itself; empty where it has not begun."""
    status = read_json(batch.folder / subject.name / "status.json")
    return status if status.get("key") == batch.key(subject) else {}

"""A .pipeline of Elyra's visual editor: its nodes as steps of ours, on the images, claims and limits that it names.

Only what every stack's back end takes is carried over; what it cannot have is refused by name, so that nothing is lost
in silence. A node works in a folder of its own; what it declares as outputs is copied to the nodes after it, as Elyra
does through the object store.

Format: version 8, https://github.com/elyra-ai/elyra (elyra/pipeline/pipeline_definition.py).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from neurobatch.batch import jobs, journal, notebook
from neurobatch.batch.inputs import content_of
from neurobatch.batch.refusal import RefusalError

VERSION = 8
OPERATIONS = {"execute-notebook-node": (".ipynb",), "execute-python-node": (".py",), "execute-r-node": (".r",)}
#: What no step of ours can be given; an empty value is none. Labels and annotations change nothing in a run.
REFUSED = {"kubernetes_secrets": "secrets", "kubernetes_tolerations": "tolerations"}


@dataclass(frozen=True)
class Pipeline:
    """What a .pipeline says.

    Attributes:
        path: the file.
        content: its bytes.
        nodes: name, source (file beside the pipeline), file (its name), image, cpu, memory (bytes), gpu, mounts, env,
            outputs, dependencies, parameters and parents of each, in an order in which they may run.
        parameters: of the pipeline, with their defaults.
        required: those that have to be given.
    """

    path: Path
    content: bytes
    nodes: list[dict[str, Any]]
    parameters: dict[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 of the file and of all that its nodes run."""
        found = hashlib.sha256(self.content)
        for node in self.nodes:
            for path in sources(self, node):
                found.update(path.read_bytes())
        return found.hexdigest()


def read(path: Path, image: str, taken: Mapping[str, str]) -> Pipeline:
    """Return the pipeline in a file.

    Args:
        path: the file.
        image: for nodes that name none, nor the pipeline for all.
        taken: folders in a step that are mounted anyway, with their claims.

    Raises:
        RefusalError: it is none, or asks for what cannot be; with the node.
    """
    content = content_of(path, "pipeline")
    try:
        return _read(path, content, image, taken)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusalError(f"{path} is no pipeline of Elyra's editor: {type(error).__name__}: {error}.") from error


def _read(path: Path, content: bytes, image: str, taken: Mapping[str, str]) -> Pipeline:
    document = json.loads(content)
    (primary,) = [row for row in document["pipelines"] if row["id"] == document["primary_pipeline"]]
    about, rows = primary["app_data"], primary["nodes"]
    if about.get("version") != VERSION:
        raise RefusalError(
            f"{path} is of Elyra's format {about.get('version')}, not {VERSION}; open it in the editor and save it."
        )
    properties = about.get("properties") or {}
    defaults = properties.get("pipeline_defaults") or {}
    if not rows:
        raise RefusalError(f"{path} has no node: there is nothing to run.")
    names: dict[str, str] = {}
    for row in rows:
        names[str(row["id"])] = _free(_label(row), names.values())
    nodes = [_node(path, row, names[str(row["id"])], defaults, taken) for row in rows]
    for row, node in zip(rows, nodes, strict=True):
        links = [link for port in row.get("inputs") or [] for link in port.get("links") or []]
        node["parents"] = list(dict.fromkeys(names[str(link["node_id_ref"])] for link in links))
        node["image"] = node["image"] or image
    asked = {str(row["name"]): row for row in properties.get("pipeline_parameters") or []}
    parameters = {name: (row.get("default_value") or {}).get("value") for name, row in asked.items()}
    required = tuple(name for name, row in asked.items() if row.get("required") and parameters[name] in (None, ""))
    for node in nodes:
        for name in node["parameters"]:
            if name not in parameters:
                raise RefusalError(f"{path}, node {node['name']}: the pipeline has no parameter {name!r}.")
    return Pipeline(path, content, _ordered(path, nodes), parameters, required)


def sources(pipeline: Pipeline, node: Mapping[str, Any]) -> list[Path]:
    """Return the files that a node brings: what it runs, then what it depends on; folders are walked.

    What runs have left is none of it, whatever a pattern takes in: otherwise each run would be another one's source.
    """
    source = Path(node["source"])
    found = [source]
    for pattern in node["dependencies"]:
        for each in _hits(pipeline.path, source.parent, pattern):
            found += _files(pipeline.path, each) if each.is_dir() else [each]
    return list(dict.fromkeys(found))


def _hits(pipeline: Path, home: Path, pattern: str) -> list[Path]:
    """Return the files and folders that a dependency names, without what runs have left."""
    left: dict[Path, bool] = {}
    return [each for each in sorted(home.glob(pattern)) if not _left_by_runs(pipeline, home, each, left)]


def _files(pipeline: Path, folder: Path) -> list[Path]:
    """Return the files below a folder, without what runs have left."""
    left: dict[Path, bool] = {}
    inner = sorted(each for each in folder.rglob("*") if each.is_file())
    return [each for each in inner if not _left_by_runs(pipeline, folder, each, left)]


def _left_by_runs(pipeline: Path, top: Path, path: Path, known: dict[Path, bool]) -> bool:
    """Return whether a path is, or lies in, the pipeline's folder of results, a run of any other, or our index.

    Args:
        pipeline: the .pipeline.
        top: a folder that is none of these; only what is below it is looked at.
        path: below ``top``.
        known: answers that there are already; added to.
    """
    if path == top:
        return False
    if path not in known:
        known[path] = (
            _left_by_runs(pipeline, top, path.parent, known)
            or path.name == journal.INDEX
            or (path.name == journal.RESULTS and path.parent.resolve() == pipeline.parent.resolve())
            or journal.read_json(path / journal.FILE).get("schema") == journal.SCHEMA
        )
    return known[path]


def copy(pipeline: Pipeline, folder: Path) -> None:
    """Copy what the nodes run and depend on below ``folder``, each node's to a folder of its own."""
    for node in pipeline.nodes:
        home = Path(node["source"]).parent
        for path in sources(pipeline, node):
            target = folder / str(node["name"]) / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)


def _label(row: Mapping[str, Any]) -> str:
    about = row.get("app_data") or {}
    filename = str((about.get("component_parameters") or {}).get("filename") or "")
    return str(about.get("label") or PurePosixPath(filename).stem or "node")


def _free(label: str, taken: Any) -> str:
    """Return a label as the name of a step and of a folder, with a number where it is taken."""
    name = re.sub(r"[^a-z0-9]+", "-", label.lower().removesuffix(".ipynb")).strip("-")[:40] or "node"
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def _node(
    path: Path, row: Mapping[str, Any], name: str, defaults: Mapping[str, Any], taken: Mapping[str, str]
) -> dict[str, Any]:
    operation = str(row.get("op") or row.get("type"))
    asked = (row.get("app_data") or {}).get("component_parameters") or {}
    where = f"{path}, node {name}"
    if operation not in OPERATIONS:
        raise RefusalError(
            f"{where}: {operation} is no notebook, Python or R script; press Run in Elyra's editor for it."
        )
    for key, what in REFUSED.items():
        if asked.get(key) or defaults.get(key):
            raise RefusalError(
                f"{where}: it asks for {what}, which steps here cannot have; press Run in Elyra's editor."
            )
    if (asked.get("kubernetes_shared_mem_size") or {}).get("size"):
        raise RefusalError(f"{where}: it asks for shared memory, which steps here cannot have.")
    if asked.get("gpu") and asked.get("gpu_vendor") not in (None, "", jobs.GPU):
        raise RefusalError(f"{where}: it asks for GPUs called {asked['gpu_vendor']}; steps here have {jobs.GPU} only.")
    source = path.parent / str(asked.get("filename") or "")
    if source.suffix.lower() not in OPERATIONS[operation]:
        raise RefusalError(f"{where}: {asked.get('filename')!r} is no file for {operation}.")
    if source.suffix == ".ipynb":
        notebook.read(source)
    elif not source.is_file():
        raise RefusalError(f"{where}: there is no file {source}.")
    patterns = {key: [str(each) for each in asked.get(key) or []] for key in ("dependencies", "outputs")}
    for each in [*patterns["dependencies"], *patterns["outputs"]]:
        if PurePosixPath(each).is_absolute() or ".." in PurePosixPath(each).parts:
            raise RefusalError(f"{where}: {each!r} leads out of the node's folder; write a name or pattern below it.")
    _there(where, path, source.parent, patterns["dependencies"])
    return {
        "name": name,
        "source": str(source),
        "file": source.name,
        "image": asked.get("runtime_image") or defaults.get("runtime_image") or "",
        # Requests and limits are one thing here; of the two that Elyra 4.1 knows, the larger one is the limit.
        "cpu": float(asked.get("cpu_limit") or asked.get("cpu") or 0),
        # The editor counts in gigabytes; Elyra writes them as "4G".
        "memory": int(float(asked.get("memory_limit") or asked.get("memory") or 0) * 1e9),
        "gpu": int(asked.get("gpu") or 0),
        "mounts": _mounts(
            where, [*(asked.get("mounted_volumes") or []), *(defaults.get("mounted_volumes") or [])], taken
        ),
        "env": {**_env(defaults), **_env(asked)},
        "parameters": [str(each) for each in asked.get("pipeline_parameters") or []],
        **patterns,
    }


def _there(where: str, path: Path, home: Path, patterns: list[str]) -> None:
    for each in patterns:
        if not list(home.glob(each)):
            raise RefusalError(f"{where}: it depends on {each!r}, and nothing beside it is called so.")
        if not _hits(path, home, each):
            raise RefusalError(
                f"{where}: it depends on {each!r}, which is of earlier runs alone; copy what it needs elsewhere."
            )


def _env(asked: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for row in asked.get("env_vars") or []:
        name, _, value = row.partition("=") if isinstance(row, str) else (row["env_var"], "", row.get("value"))
        found[str(name)] = str(value if value is not None else "")
    return found


def _mounts(where: str, rows: list[Mapping[str, Any]], taken: Mapping[str, str]) -> dict[str, str]:
    """Return further claims and where they go; a node's own entry stands before the pipeline's for the same folder."""
    found: dict[str, str] = {}
    for row in rows:
        claim, folder = str(row["pvc_name"]), "/" + str(row["path"]).strip("/")
        if row.get("sub_path"):
            raise RefusalError(f"{where}: it mounts a part of the claim {claim} (sub_path), which steps here cannot.")
        if taken.get(folder) == claim or folder in found.values():
            continue
        if folder in taken or folder == "/" or claim in found:
            raise RefusalError(f"{where}: the claim {claim} cannot be mounted at {folder}, which is taken.")
        found[claim] = folder
    return found


def _ordered(path: Path, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the nodes so that each stands behind those that it waits for."""
    order: list[dict[str, Any]] = []
    while len(order) < len(nodes):
        done = {node["name"] for node in order}
        ready = [node for node in nodes if node not in order and set(node["parents"]) <= done]
        if not ready:
            raise RefusalError(f"{path}: its nodes wait for each other; take one of the connections away.")
        order += ready
    return order


def steps(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Return the nodes as the journal keeps them: without where they came from."""
    return [{key: value for key, value in node.items() if key != "source"} for node in pipeline.nodes]


def largest(nodes: list[dict[str, Any]]) -> dict[str, float]:
    """Return the most CPUs, bytes of memory and GPUs that one of the nodes asks for."""
    return {key: max(node[key] for node in nodes) for key in ("cpu", "memory", "gpu")}

"""Where batches run: read from a file that the installation wrote, each value to be overruled on the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from neurobatch.batch.refusal import RefusalError

#: First the server's own file, then the one inside Neurodesktop; NEUROBATCH_CONFIG names another.
PLACES = (Path("/etc/neurobatch/batch.json"), Path("/usr/local/share/neurobatch/batch.json"))
VARIABLE = "NEUROBATCH_CONFIG"


@dataclass(frozen=True)
class Settings:
    """What a batch needs to know of its installation.

    Attributes:
        endpoint: URL of the pipeline API.
        storage: the lab's storage as seen here.
        claim: the claim that pods see it through.
        mount: where they see it.
        tools_claim: the claim of the Neurodesk tools.
        image: what notebooks run on.
        compiled_for: the stack whose compiled pipeline is taken.
        cpus: of the cluster's node; 0: not known.
        memory_mib: of the cluster's node; 0: not known.
        started: a file as old as the cluster's last start; empty: not known.
        namespace: of the pods.
        kubeconfig: read where this user may, to say why a pod waits.
        kubectl: the program for it.
    """

    endpoint: str = ""
    storage: Path = Path("/neurodesktop-storage")
    claim: str = "neurodesktop-storage"
    mount: str = "/neurodesktop-storage"
    tools_claim: str = "cvmfs-neurodesk"
    image: str = ""
    compiled_for: str = "kfp-2.0.0"
    cpus: float = 0.0
    memory_mib: int = 0
    started: str = ""
    namespace: str = "kubeflow"
    kubeconfig: str = "/etc/neurobatch/kubeconfig"
    kubectl: str = "/usr/local/bin/kubectl"

    @property
    def started_at(self) -> float:
        """When the cluster started last, in seconds since 1970; 0 where nobody knows."""
        try:
            return Path(self.started).stat().st_mtime if self.started else 0.0
        except OSError:
            return 0.0

    @property
    def api(self) -> str:
        """The URL of the pipeline API.

        Raises:
            RefusalError: none is named anywhere.
        """
        if not self.endpoint:
            raise RefusalError(
                f"No pipeline API is named: {' and '.join(map(str, PLACES))} are missing. --endpoint names one, e.g. "
                "http://127.0.0.1:31380/pipeline."
            )
        return self.endpoint

    def inside(self, path: Path) -> str:
        """Return the path in a pod of something in the storage.

        Raises:
            RefusalError: it is not in the storage, or its name cannot be handed to a pod.
        """
        try:
            part = path.resolve().relative_to(self.storage.resolve())
        except ValueError:
            raise RefusalError(
                f"{path} is outside the workspace {self.storage}, which is all that a batch step sees: move it there."
            ) from None
        if "{{" in str(part):
            raise RefusalError(f"{path}: a path with {{{{ in it cannot be handed to a pipeline; rename it.")
        return f"{self.mount}/{part}" if str(part) != "." else self.mount


def load(given: Mapping[str, str | None]) -> Settings:
    """Return the settings of this machine with what was ``given`` on the command line (None: not given) on top.

    Raises:
        RefusalError: a file that cannot be understood.
    """
    named = os.environ.get(VARIABLE)
    paths = [Path(named)] if named else list(PLACES)
    found: dict[str, Any] = {}
    for path in paths:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            break
        except FileNotFoundError:
            if named:
                raise RefusalError(f"{VARIABLE}={path}: there is no such file.") from None
        except (OSError, ValueError) as error:
            raise RefusalError(f"{path} cannot be read: {error}.") from error
    known = {field.name for field in fields(Settings)}
    if not isinstance(found, dict) or set(found) - known:
        raise RefusalError(f"{paths[0]} is not what an installation writes; run site.yml, which writes it anew.")
    if given.get("endpoint") not in (None, found.get("endpoint")):
        found = {**found, "started": ""}  # of another cluster than the named one
    values = {**found, **{name: value for name, value in given.items() if value is not None}}
    settings = replace(Settings(), **{**values, "storage": Path(values.get("storage", Settings.storage))})
    return replace(settings, cpus=float(settings.cpus), memory_mib=int(settings.memory_mib))


def parallel(settings: Settings, cpu: float, memory_mib: float) -> int:
    """Return how many subjects the cluster can hold at once: its node less 1 CPU and 3 GiB for Kubeflow itself.

    Args:
        settings: with the node's size; where it is not known, the answer is 2.
        cpu: CPUs of a subject.
        memory_mib: memory of a subject.
    """
    if not settings.cpus or not settings.memory_mib:
        return 2
    return max(1, int(min((settings.cpus - 1) / cpu, (settings.memory_mib - 3072) / memory_mib)))

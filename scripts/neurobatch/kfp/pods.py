"""What Kubernetes knows of a run's pods, read with kubectl: why a step waits, how it ended, what it printed.

The pipeline API keeps a run with a missing claim or image at RUNNING for as long as its pod waits; the pod says why.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from neurobatch.kfp.reasons import in_vain

#: Label with a run's id on every pod of it (backend/src/v2/compiler/argocompiler, label "pipeline/runid").
RUN_LABEL = "pipeline/runid"
#: Argo's name of the pod's place in the run: "neurobatch-smoke-x7k2p.root.tools.executor".
NODE_NAME = "workflows.argoproj.io/node-name"


@dataclass(frozen=True)
class Pod:
    """A pod: the step it belongs to ("" where it cannot be told), its phase, and in words why it waits or failed.

    ``hopeless`` is true where waiting longer will not help; ``digest`` is the image that the step's container really
    runs on, "" while it has none.
    """

    name: str
    step: str
    phase: str
    reason: str
    hopeless: bool
    digest: str = ""


@dataclass(frozen=True)
class Kubectl:
    """How to ask the cluster."""

    kubeconfig: str
    namespace: str = "kubeflow"
    command: str = "kubectl"
    seconds: float = 20

    def pods(self, run_id: str, steps: Sequence[str]) -> list[Pod]:
        """Return the pods of a run; none where the cluster does not answer."""
        text = self._output("get", "pods", f"--selector={RUN_LABEL}={run_id}", "--output=json")
        try:
            items = json.loads(text).get("items", []) if text else []
        except ValueError:
            items = []
        return [_pod(item, steps) for item in items]

    def version(self) -> str:
        """Return the version of the cluster's Kubernetes, "" where it does not answer."""
        try:
            said = json.loads(self._output("version", "--output=json") or "{}")
        except ValueError:
            return ""
        return str((said.get("serverVersion") or {}).get("gitVersion", "")) if isinstance(said, dict) else ""

    def log(self, pod: str, lines: int = 20) -> list[str]:
        """Return the last lines that the step's own container printed."""
        text = self._output("logs", pod, "--container=main", f"--tail={lines}")
        return [line.rstrip() for line in (text or "").splitlines() if line.strip()]

    def _output(self, *argv: str) -> str | None:
        place = [f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}"]
        limit = f"--request-timeout={self.seconds:.0f}s"
        try:
            run = subprocess.run(
                [self.command, *place, limit, *argv],
                capture_output=True,
                text=True,
                timeout=self.seconds + 5,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return run.stdout if run.returncode == 0 else None


def _pod(item: Mapping[str, Any], steps: Sequence[str]) -> Pod:
    metadata, status = item["metadata"], item.get("status", {})
    reason, hopeless = _why(status)
    return Pod(
        name=metadata["name"],
        step=_step(metadata, steps),
        phase=str(status.get("phase", "Unknown")),
        reason=reason,
        hopeless=hopeless,
        digest=next(
            (
                str(row.get("imageID", "")).rpartition("@")[2] or str(row.get("imageID", ""))
                for row in status.get("containerStatuses") or []
                if row.get("name") == "main"
            ),
            "",
        ),
    )


def _step(metadata: Mapping[str, Any], steps: Sequence[str]) -> str:
    place = str((metadata.get("annotations") or {}).get(NODE_NAME, "")).split(".")
    for step in steps:
        if step in place or f"{step}-driver" in place:
            return step
    # Without Argo's note: the name of the pod holds the step's.
    return next((step for step in steps if re.search(rf"(^|-){re.escape(step)}(-|$)", metadata["name"])), "")


def _why(status: Mapping[str, Any]) -> tuple[str, bool]:
    """Return why a pod waits or failed, in Kubernetes' own words, and whether waiting is in vain."""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            message = " ".join(str(condition.get("message", "")).split())
            return message or "not scheduled yet", in_vain(message)
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    # The step's own container first: what its neighbours report follows from it.
    for container in sorted(states, key=lambda row: row.get("name") != "main"):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in {"PodInitializing", "ContainerCreating"}:
            words = [waiting["reason"], " ".join(str(waiting.get("message", "")).split())]
            text = f"image {container.get('image', '?')}: {': '.join(word for word in words if word)}"
            return text, in_vain(waiting["reason"])
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            said = " ".join(str(ended.get("message") or ended.get("reason") or "").split())
            return f"container {container.get('name')} ended with exit code {ended['exitCode']} ({said})", False
    return " ".join(str(status.get("message", "")).split()), False

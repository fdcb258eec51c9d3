"""Makes the pods that Workflow objects list: the part of Argo's controller that only its account may do.

KFP's API server may not make pods, in the real manifests as here; it writes Workflows. This stand-in makes each
pod of ``spec.pods`` once, owned by its Workflow, and answers on the real controller's ports: 6060 /healthz, 9090.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from tests.rehearsal.kfp.programs.kube import Kube, KubeError
from tests.rehearsal.kfp.programs.log import log
from tests.rehearsal.kfp.programs.web import alive

WORKFLOWS = "argoproj.io/v1alpha1/workflows"
MADE = "rehearsal/made"
"""Annotation with the names of the pods made, so that a pod that was deleted stays deleted."""


def advance(kube: Kube, workflow: dict[str, Any]) -> None:
    """Make what is missing of a Workflow's pods."""
    metadata = workflow["metadata"]
    made = (metadata.get("annotations") or {}).get(MADE, "").split()
    for pod in workflow["spec"].get("pods", []):
        name = pod["metadata"]["name"]
        if name in made:
            continue
        owner = {
            "apiVersion": workflow["apiVersion"],
            "kind": "Workflow",
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
        pod["metadata"]["ownerReferences"] = [{**owner, "controller": True}]
        pod["metadata"].setdefault("labels", {})["workflows.argoproj.io/workflow"] = metadata["name"]
        try:
            kube.create("pods", pod)
            log(f"made pod {name}")
        except KubeError as error:
            if error.status == 0 or error.status >= 500:
                raise
            if error.status != 409:
                # Nobody can make this pod; its step stays pending and this says why.
                log(f"pod {name} is refused: {error}")
                kube.patch(WORKFLOWS, metadata["name"], {"status": {"phase": "Error", "message": f"{name}: {error}"}})
        made.append(name)
        kube.patch(WORKFLOWS, metadata["name"], {"metadata": {"annotations": {MADE: " ".join(made)}}})


def main() -> int:
    """Work until killed."""
    for port in (6060, 9090):
        threading.Thread(target=alive, args=(port,), daemon=True).start()
    log(f"a rehearsal of Argo's workflow controller ({' '.join(sys.argv[1:])}) as {os.environ.get('HOSTNAME', '')}")
    kube = Kube()
    while True:
        try:
            for workflow in kube.get(WORKFLOWS, labelSelector="rehearsal=kfp")["items"]:
                advance(kube, workflow)
        except KubeError as error:
            log(str(error))
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())

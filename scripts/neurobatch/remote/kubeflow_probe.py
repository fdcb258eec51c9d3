"""Read what the kubeflow_pipelines role decides on. Changes nothing.

Parameters: kubectl, kubeconfig, record (of the manifests' download), manifests (their folder), files, paths that the
role writes; secrets_dir and secrets, names of files in it; configuration, what would be applied.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neurobatch.remote.common import fingerprint, output, settled, text

HEALTH = "/api/v1/namespaces/kubeflow/services/http:ml-pipeline-ui:80/proxy/apis/v2beta1/healthz"


def health(params: dict[str, Any]) -> dict[str, Any]:
    """Return whether the API answers through the UI's service, and as which release."""
    kubectl = [params["kubectl"], f"--kubeconfig={params['kubeconfig']}", "--request-timeout=8s"]
    answer = json.loads(output(*kubectl, "get", "--raw", HEALTH) or "{}")
    return {"ready": bool(answer.get("apiServerReady")), "version": answer.get("apiServerTagName", "")}


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    applied = text("/var/lib/neurobatch/kubeflow_pipelines/applied")
    current = applied == params["configuration"]
    found = settled(lambda: health(params), lambda found: found["ready"] or not current)
    directory = Path(params["secrets_dir"])
    state = {
        "manifests": json.loads(text(params["record"]) or "{}") if Path(params["manifests"]).is_dir() else {},
        "files": {path: fingerprint(path) for path in params["files"]},
        "secrets": [name for name in params["secrets"] if (directory / name).exists()],
        "health": found,
        "applied": applied,
    }
    print(json.dumps(state))

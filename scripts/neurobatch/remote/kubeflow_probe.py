"""Read what the kubeflow_pipelines role decides on. Changes nothing.

Parameters: kubectl, kubeconfig, record (of the manifests' download), manifests (their folder), files, paths that the
role writes; secrets_dir and secrets, names of files in it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neurobatch.remote.common import fingerprint, output, text

HEALTH = "/api/v1/namespaces/kubeflow/services/http:ml-pipeline-ui:80/proxy/apis/v2beta1/healthz"


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    kubectl = [params["kubectl"], f"--kubeconfig={params['kubeconfig']}", "--request-timeout=8s"]
    health = json.loads(output(*kubectl, "get", "--raw", HEALTH) or "{}")
    directory = Path(params["secrets_dir"])
    state = {
        "manifests": json.loads(text(params["record"]) or "{}") if Path(params["manifests"]).is_dir() else {},
        "files": {path: fingerprint(path) for path in params["files"]},
        "secrets": [name for name in params["secrets"] if (directory / name).exists()],
        "health": {"ready": bool(health.get("apiServerReady")), "version": health.get("apiServerTagName", "")},
        "applied": text("/var/lib/neurobatch/kubeflow_pipelines/applied"),
    }
    print(json.dumps(state))

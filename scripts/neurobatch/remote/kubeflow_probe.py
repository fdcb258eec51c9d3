"""Read what the kubeflow_pipelines role decides on. Changes nothing.

Parameters: kubectl, kubeconfig, namespace, record (of the manifests' download), manifests (their folder), files, paths
that the role writes; secrets_dir and secrets, names of files in it; configuration, what would be applied; directory, of
records.
Prints JSON, `changed` among it: the objects that somebody changed by hand since they were applied.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from neurobatch.remote.cluster import drift, render
from neurobatch.remote.common import Cluster, fingerprint, output, settled, text


def health(params: dict[str, Any]) -> dict[str, Any]:
    """Return whether the API answers through the UI's service, and as which release."""
    kubectl = [params["kubectl"], f"--kubeconfig={params['kubeconfig']}", "--request-timeout=8s"]
    answer = json.loads(output(*kubectl, "get", "--raw", render.health(params["namespace"])) or "{}")
    return {"ready": bool(answer.get("apiServerReady")), "version": answer.get("apiServerTagName", "")}


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    namespace, records, directory = params["namespace"], Path(params["directory"]), Path(params["secrets_dir"])
    applied = text(str(records / "applied"))
    current = applied == params["configuration"]
    found = settled(lambda: health(params), lambda found: found["ready"] or not current)
    secrets = [name for name in params["secrets"] if (directory / name).exists()]
    noted = drift.recorded(str(records / "objects.json"))
    used = text(str(records / "credentials"))
    state = {
        "manifests": json.loads(text(params["record"]) or "{}") if Path(params["manifests"]).is_dir() else {},
        "files": {path: fingerprint(path) for path in params["files"]},
        "secrets": secrets,
        # Other credentials in the files than were applied last: somebody rotated them.
        "rotated": len(secrets) == len(params["secrets"]) and used != render.digest(directory),
        "health": found,
        "applied": applied,
        "changed": drift.changed(drift.live(Cluster(params), namespace), noted) if noted and found["ready"] else [],
    }
    print(json.dumps(state))

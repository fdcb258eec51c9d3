"""Read, or bring to the wanted state, what Elyra finds in the home of the notebook user.

Parameters: inside, the program elyra_files for the container's own Python; documents (see there), of which those with
``credentials`` get the object store's keys from secrets_dir; write; record, where the last verification is noted.
Prints JSON: running, whether the container can be asked; differs, paths below the home; verified.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from neurobatch.remote.common import docker_api, text

#: The notebook user of the image and its home, which is a volume.
USER = "jovyan"


def with_credentials(document: dict[str, Any], secrets_dir: str) -> dict[str, Any]:
    """Return a runtime document with the keys of the object store, which never leave this server otherwise."""
    content = json.loads(document["content"])
    for field, name in (("cos_username", "minio_access_key"), ("cos_password", "minio_secret_key")):
        secret = text(f"{secrets_dir}/{name}")
        if secret is None:
            sys.exit(f"{secrets_dir}/{name} is missing. Run the role kubeflow_pipelines first (site.yml does).")
        content["metadata"][field] = secret.strip()
    return {**document, "content": json.dumps(content, indent=2) + "\n"}


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    verified = text(params["record"])
    found = docker_api("/containers/neurodesktop/json")
    if not found or not found["State"]["Running"] or not Path(params["secrets_dir"]).is_dir():
        if params["write"]:
            sys.exit("The container neurodesktop does not run. Run the role neurodesktop first (site.yml does).")
        print(
            json.dumps(
                {"running": False, "differs": [row["path"] for row in params["documents"]], "verified": verified}
            )
        )
        return
    documents = [
        with_credentials(row, params["secrets_dir"]) if row["credentials"] else row for row in params["documents"]
    ]
    run = subprocess.run(
        ["docker", "exec", "--interactive", f"--user={USER}", "neurodesktop", "python3", "-c", params["inside"]],
        input=json.dumps({"documents": documents, "write": params["write"]}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if run.returncode:
        sys.exit(f"The home in the container neurodesktop cannot be used: {run.stderr.strip()[-400:]}")
    print(json.dumps({"running": True, "differs": json.loads(run.stdout), "verified": verified}))

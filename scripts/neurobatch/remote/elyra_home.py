"""Read, or bring to the wanted state, what Elyra finds in the home of the notebook user, and its steps in the cluster.

Parameters: inside, the program elyra_files for the container's own Python; documents (see there), of which those with
``credentials`` get the object store's keys from secrets_dir; cluster (kubectl, kubeconfig), secret (name, namespace),
node (its container) and image, the one that steps run on; write; record, where the last verification is noted.
Prints JSON: running, whether container and cluster can be asked; differs and kept, paths below the home; secret and
image, whether they are as they should be; verified. Writing leaves the image alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from neurobatch.remote import elyra_cluster
from neurobatch.remote.common import Cluster, docker_api, text

#: The notebook user of the image and its home, which is a volume.
USER = "jovyan"


def with_credentials(document: dict[str, Any], keys: dict[str, str]) -> dict[str, Any]:
    """Return a runtime document with the keys of the object store, which never leave this server otherwise."""
    content = json.loads(document["content"])
    content["metadata"]["cos_username"] = keys["AWS_ACCESS_KEY_ID"]
    content["metadata"]["cos_password"] = keys["AWS_SECRET_ACCESS_KEY"]
    return {**document, "content": json.dumps(content, indent=2) + "\n"}


def in_home(params: dict[str, Any], documents: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Return the paths that differ, or differed before they were written, and where changed ones were put aside."""
    run = subprocess.run(
        ["docker", "exec", "--interactive", f"--user={USER}", "neurodesktop", "python3", "-c", params["inside"]],
        input=json.dumps({"documents": documents, "write": params["write"]}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if run.returncode:
        sys.exit(f"Elyra's files cannot be put into the home: {run.stderr.strip()[-600:]}")
    found: dict[str, list[str]] = json.loads(run.stdout)
    return found


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    state: dict[str, Any] = {"verified": text(params["record"]), "running": False, "secret": False, "image": False}
    found = docker_api("/containers/neurodesktop/json")
    if not found or not found["State"]["Running"] or not Path(params["secrets_dir"]).is_dir():
        if params["write"]:
            sys.exit(
                "The container neurodesktop does not run. If somebody stopped it, start it with "
                "`sudo systemctl start neurodesktop.service`; else run the role neurodesktop first (site.yml does)."
            )
        print(json.dumps({**state, "differs": [row["path"] for row in params["documents"]], "kept": []}))
        return
    keys, cluster = elyra_cluster.keys(params["secrets_dir"]), Cluster(params["cluster"])
    state["running"] = True
    state["image"] = elyra_cluster.on_node(params["node"], params["image"])
    state["secret"] = elyra_cluster.current(cluster, params["secret"], keys)
    documents = [with_credentials(row, keys) if row["credentials"] else row for row in params["documents"]]
    state |= in_home(params, documents)
    if params["write"] and not state["secret"]:
        elyra_cluster.put(cluster, params["secret"], keys)
    print(json.dumps(state))

"""What Elyra's steps find in the cluster: their image on the node, and the Secret with the object store's keys."""

from __future__ import annotations

import base64
import json
import sys
from typing import Any

from neurobatch.remote.common import Cluster, output, text

#: The keys that Elyra asks for in a Secret (elyra/templates/kubeflow/v2/python_dsl_template.jinja2), and our files.
KEYS = {"AWS_ACCESS_KEY_ID": "minio_access_key", "AWS_SECRET_ACCESS_KEY": "minio_secret_key"}


def on_node(node: str, image: str) -> bool:
    """Return whether the containerd of a node, given by its container's name, has an image; pods need no registry then.

    The docker client prints an empty list where containerd does not have it, and nothing at all without the node.
    """
    listed = output("docker", "exec", node, "ctr", "--namespace=k8s.io", "images", "list", "-q", f"name=={image}")
    return listed == image


def keys(secrets_dir: str) -> dict[str, str]:
    """Return the object store's keys by the names that a step reads them under."""
    found = {}
    for name, file in KEYS.items():
        value = text(f"{secrets_dir}/{file}")
        if value is None:
            sys.exit(f"{secrets_dir}/{file} is missing. Run the role kubeflow_pipelines first (site.yml does).")
        found[name] = value.strip()
    return found


def manifest(secret: dict[str, str], values: dict[str, str]) -> dict[str, Any]:
    """Return the Secret; ``secret`` has its name and namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**secret, "labels": {"app.kubernetes.io/managed-by": "neurobatch"}},
        "type": "Opaque",
        "data": {name: base64.b64encode(value.encode()).decode() for name, value in values.items()},
    }


def current(cluster: Cluster, secret: dict[str, str], values: dict[str, str]) -> bool:
    """Return whether the cluster holds the Secret with these values."""
    found = cluster.get("secret", secret["name"], "--namespace", secret["namespace"]) or {}
    return bool(found.get("data") == manifest(secret, values)["data"])


def put(cluster: Cluster, secret: dict[str, str], values: dict[str, str]) -> None:
    """Bring the Secret to these values; they travel over standard input and are in no process list."""
    text = json.dumps(manifest(secret, values))
    run = cluster.run("apply", "--server-side", "--force-conflicts", "--filename=-", stdin=text)
    if run.returncode:
        sys.exit(
            f"The Secret {secret['namespace']}/{secret['name']} cannot be written: {run.stderr.strip()[-300:]} "
            "Look at `kubectl get --raw /readyz`."
        )

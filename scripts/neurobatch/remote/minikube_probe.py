"""Read what the minikube role decides on. Changes nothing.

Parameters: tools, name to path; records, folder of their records; user; files, paths that the role writes; created,
path of the record of what was fixed at creation; kubeconfig; profile.
"""

from __future__ import annotations

import grp
import json
import pwd
from typing import Any

from neurobatch.remote.common import docker_api, fingerprint, output, settled, text, tool, unit_state
from neurobatch.remote.host import size


def may_use_docker(user: str) -> bool:
    """Return whether the account exists and belongs to the docker group."""
    try:
        pwd.getpwnam(user)
        return user in grp.getgrnam("docker").gr_mem
    except KeyError:
        return False


def live(params: dict[str, Any]) -> dict[str, Any]:
    """Return what of the state changes by itself: the unit, and whether the cluster's API is ready."""
    kubectl = [params["tools"]["kubectl"], f"--kubeconfig={params['kubeconfig']}"]
    return {
        "unit": unit_state("minikube.service"),
        "ready": output(*kubectl, "get", "--raw", "/readyz", seconds=8) == "ok",
    }


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    created = json.loads(text(params["created"]) or "null")
    state = settled(lambda: live(params), lambda found: not created or (found["unit"]["active"] and found["ready"]))
    node = docker_api(f"/containers/{params['profile']}/json")
    state |= {
        "host": size.usable(),
        "tools": {name: tool(name, path, params["records"]) for name, path in params["tools"].items()},
        "user": may_use_docker(params["user"]),
        "files": {path: fingerprint(path) for path in params["files"]},
        "created": created,
        "node": node and {"running": node["State"]["Running"]},
        "firewall": output("/usr/sbin/nft", "list", "table", "inet", "neurobatch_node") is not None,
        "verified": text("/var/lib/neurobatch/minikube/verified"),
    }
    print(json.dumps(state))

"""How soon a pod can list the Neurodesk tools, with an empty cache and a warm one, and what the verification costs."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import yaml

from neurobatch.bench.access import Server
from neurobatch.bench.sandbox import figure, need_sandbox
from neurobatch.remote import program

#: The role's own names, and where role minikube documents that the cluster is.
COMMON: dict[str, Any] = {
    "cluster": {"kubectl": "/usr/local/bin/kubectl", "kubeconfig": "/etc/neurobatch/kubeconfig"},
    "namespace": "cvmfs",
    "release": "cvmfs-csi",
    "namespaces": ["kubeflow"],
    "repository": "neurodesk.ardc.edu.au",
    "claim": "cvmfs-neurodesk",
    "seconds": 240,
}


def run(server: Server, name: str, **params: Any) -> Any:
    """Return the JSON that a program prints on the server.

    Raises:
        RuntimeError: it failed; carries its words.
    """
    done = server.run("/usr/bin/python3 -", program(name, {**COMMON, **params}), seconds=900)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout)


def settings(inventory: Path) -> dict[str, Any]:
    """Return what the only host of the inventory says about CVMFS."""
    ((host),) = yaml.safe_load(inventory.read_text(encoding="utf-8"))["all"]["hosts"].values()
    return {"servers": host["cvmfs_servers"], "key": host["cvmfs_public_key"], "proxy": "DIRECT"}


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Exit codes: 0, 1 it failed, 2 no sandbox.")
    parser.add_argument("--repeat", type=int, default=3, help="how often each is measured; the median is printed")
    parser.add_argument("--inventory", type=Path, help="another rehearsal's (default: the sandbox's)")
    args = parser.parse_args(argv)
    inventory = args.inventory or need_sandbox()
    server = Server(inventory)
    asked = {**settings(inventory), "record": "/dev/null", "configuration": ""}
    try:
        for name, cold in (("cold", True), ("warm", False)):
            rows = [run(server, "cvmfs_csi_time", cold=cold) for _ in range(args.repeat)]
            figure(f"pod_to_listing_{name}_s", statistics.median(rows))
        rows = [run(server, "cvmfs_csi_verify", **asked)["seconds"] for _ in range(args.repeat)]
        figure("verification_s", statistics.median(rows))
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

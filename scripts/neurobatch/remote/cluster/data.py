"""What Kubeflow Pipelines keeps in its claims: put aside when the cluster goes, and taken up by the next one.

Minikube's provisioner gives a claim the folder hostpath-provisioner/NAMESPACE/CLAIM on the node's /var
(pkg/storage/storage_provisioner.go), which is a Docker volume of the profile's name: a new cluster's claim of the same
name gets the same folder, with what is in it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from neurobatch.remote.common import Cluster, docker_api

#: Claims with data that cannot be had again.
CLAIMS = ("minio-pvc", "mysql-pv-claim")
PROFILE = "minikube"


def folder(namespace: str) -> Path | None:
    """Return where the node keeps the claims of a namespace, as a folder of this server; None without a node."""
    volume = docker_api(f"/volumes/{PROFILE}")
    return Path(volume["Mountpoint"]) / "hostpath-provisioner" / namespace if volume else None


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    run = subprocess.run(["mv", "--", str(source), str(target)], capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"REFUSED: {source} cannot be moved to {target}: {run.stderr.strip()}; nothing was lost.")


def keep(kept: Path, namespace: str) -> list[str]:
    """Put the data of the claims aside and return their names; the node has to be stopped."""
    place = folder(namespace)
    found = [claim for claim in CLAIMS if place and (place / claim).is_dir() and any((place / claim).iterdir())]
    for claim in found:
        if place and not (kept / claim).exists():
            _move(place / claim, kept / claim)
    return found


def adopt(kept: Path, cluster: Cluster, namespace: str) -> None:
    """Take up data that were put aside, where the claims have not been made yet."""
    place = folder(namespace)
    for claim in CLAIMS if place and kept.is_dir() else ():
        if not (kept / claim).is_dir():
            continue
        if cluster.get("pvc", claim, "-n", namespace) is not None:
            sys.exit(
                f"REFUSED: {kept / claim} holds data of an earlier installation, but the claim {claim} is there; "
                "decide which are the right ones, and move the others away."
            )
        if place and (place / claim).exists():
            sys.exit(f"REFUSED: both {kept / claim} and {place / claim} hold data; move the wrong ones away.")
        if place:
            print(f"== {claim} gets its data back from {kept / claim}", flush=True)
            _move(kept / claim, place / claim)
    if kept.is_dir() and not any(kept.iterdir()):
        kept.rmdir()

"""Give up secrets for new ones, which the roles bring to all that use them; print what was, or would be, given up.

Parameters: write; secrets (list of {directory, name, how}), where `new` writes another one in place, `previous` does so
too and keeps the old one beside it, for a database that still has to be told, and `forget` lets the role make one;
records (paths of proofs that hold no more); cluster (kubectl, kubeconfig), namespace; running (true: never mind runs).
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import Any

from neurobatch.remote.common import Cluster


def busy(cluster: Cluster, namespace: str) -> list[str]:
    """Return the pods of runs that are under way; their steps hold the present secrets."""
    found = cluster.get("pods", "-n", namespace, "-l", "pipeline/runid") or {"items": []}
    return [
        each["metadata"]["name"]
        for each in found["items"]
        if each.get("status", {}).get("phase") in {"Pending", "Running"}
    ]


def put(target: Path, value: str) -> None:
    """Write a secret for root alone, in one step."""
    partial = target.with_name(f".{target.name}.new")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(value)
    os.replace(partial, target)


def rotate(target: Path, how: str) -> None:
    """Give up one secret."""
    if how == "forget":
        target.unlink()
        return
    previous = target.with_name(f"{target.name}.previous")
    # After a rotation that did not get through, the database still has the one from before that.
    if how == "previous" and not previous.exists():
        put(previous, target.read_text(encoding="utf-8"))
    put(target, secrets.token_hex(24))


def main(params: dict[str, Any]) -> None:
    """Print the names as a JSON list."""
    if pods := [] if params["running"] else busy(Cluster(params["cluster"]), params["namespace"]):
        sys.exit(
            f"Nothing was touched: a pipeline runs ({pods[0]}), whose steps hold the present secrets. Wait for "
            "its end, or give -e rotate_while_running=true, which may cost that run."
        )
    found = [each for each in params["secrets"] if (Path(each["directory"]) / each["name"]).exists()]
    if params["write"]:
        for each in found:
            rotate(Path(each["directory"]) / each["name"], each["how"])
        for record in params["records"]:
            Path(record).unlink(missing_ok=True)
    print(json.dumps([each["name"] for each in found]))

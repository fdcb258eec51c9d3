"""From the release's kustomization and our overlay to the objects that are applied."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from neurobatch.remote.common import documents

Object = dict[str, Any]
#: The Secrets that the release's manifests name, with the files of their values ("=" in front: the value itself).
CREDENTIALS = {
    "mlpipeline-minio-artifact": {"accesskey": "minio_access_key", "secretkey": "minio_secret_key"},
    "mysql-secret": {"username": "=root", "password": "mysql_password"},
}
#: Deployments that all others need, and that are proven by use before any other starts.
STORES = ("mysql", "minio")
ANNOTATION = "neurobatch.org/credentials"


def overlay(kubectl: list[str], folder: str, replaced: list[str]) -> list[Object]:
    """Return the overlay's objects, every port with its protocol, none with an image of ``replaced``.

    Kubernetes before 1.23 cannot apply a port server-side whose protocol is left to its default (kubernetes#92332).
    """
    run = subprocess.run([*kubectl, "kustomize", folder], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        argv = [*kubectl, "create", "--dry-run=client", "--validate=false", "--output=json", "--filename=-"]
        run = subprocess.run(argv, input=run.stdout, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(
            f"REFUSED: the overlay cannot be rendered ({run.stderr.strip()[-300:]}); try kubectl kustomize {folder}."
        )
    for image in replaced:
        if f'"{image}"' in run.stdout:
            sys.exit(
                f"REFUSED: {image} is still in the manifests of Kubeflow Pipelines, though the stack replaces it; "
                "correct the image's place in the stack."
            )
    return [_with_protocols(item) for item in documents(run.stdout)]


def _with_protocols(value: Any) -> Any:
    """Return an object with `protocol: TCP` wherever a list of ports leaves it out."""
    if isinstance(value, list):
        return [_with_protocols(each) for each in value]
    if not isinstance(value, dict):
        return value
    filled = {key: _with_protocols(each) for key, each in value.items()}
    if isinstance(filled.get("ports"), list):
        filled["ports"] = [{"protocol": "TCP", **port} if isinstance(port, dict) else port for port in filled["ports"]]
    return filled


def health(namespace: str) -> str:
    """Return where the Kubernetes API passes on the pipelines' health, through the user interface's service."""
    return f"/api/v1/namespaces/{namespace}/services/http:ml-pipeline-ui:80/proxy/apis/v2beta1/healthz"


def secrets(directory: Path, namespace: str) -> list[Object]:
    """Return the Secrets that the release's manifests name, filled from the root-only files."""

    def value(name: str) -> str:
        plain = name[1:].encode() if name.startswith("=") else (directory / name).read_bytes()
        return base64.b64encode(plain).decode()

    return [
        {
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace, "labels": {"application-crd-id": "kubeflow-pipelines"}},
            "data": {key: value(file) for key, file in files.items()},
        }
        for name, files in CREDENTIALS.items()
    ]  # fmt: skip


def used_secrets(value: Any) -> set[str]:
    """Return the Secrets of `CREDENTIALS` that a pod template reads into its environment."""
    if isinstance(value, list):
        return {name for each in value for name in used_secrets(each)}
    if not isinstance(value, dict):
        return set()
    reference = value.get("secretKeyRef")
    own = {reference["name"]} & CREDENTIALS.keys() if isinstance(reference, dict) else set()
    return own | {name for each in value.values() for name in used_secrets(each)}


def stamped(item: Object, versions: dict[str, str]) -> Object:
    """Return a Deployment that makes its pods anew when a Secret changes that they read at their start only.

    ``versions`` are the Secrets' resource versions: they change with the content and tell nothing of it.
    """
    names = sorted(used_secrets(item)) if item["kind"] == "Deployment" else []
    if not names:
        return item
    template = item["spec"]["template"]
    metadata = template.get("metadata") or {}
    note = {ANNOTATION: " ".join(f"{name}={versions[name]}" for name in names)}
    metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **note}}
    return {**item, "spec": {**item["spec"], "template": {**template, "metadata": metadata}}}


def staged(items: list[Object]) -> tuple[list[Object], list[Object]]:
    """Return what is applied first, and what follows when the stores have been proven: all other Deployments."""
    late = [item for item in items if item["kind"] == "Deployment" and item["metadata"]["name"] not in STORES]
    return [item for item in items if item not in late], late


def digest(directory: Path) -> str:
    """Return a SHA-256 over the credentials in files, to see that they were changed."""
    names = sorted(name for files in CREDENTIALS.values() for name in files.values() if not name.startswith("="))
    return hashlib.sha256("\0".join((directory / name).read_text() for name in names).encode()).hexdigest()

"""Apply Kubeflow Pipelines and wait until its API answers, saying meanwhile how far it is.

Parameters: kubectl, kubeconfig, manifests and overlay (folders), replaced (images that the overlay must have taken
out), secrets_dir, version, seconds (deadline), record and configuration (what to note where when all is well).
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.common import output

NAMESPACE = "kubeflow"
HEALTH = "/api/v1/namespaces/kubeflow/services/http:ml-pipeline-ui:80/proxy/apis/v2beta1/healthz"
#: Pods' waiting reasons that do not pass by themselves soon, with cause and remedy.
WAITING = {
    "ErrImagePull": "the image cannot be pulled; look at registry_mirrors, or take a stack whose images exist",
    "ImagePullBackOff": "the image cannot be pulled; look at registry_mirrors, or take a stack whose images exist",
    "CrashLoopBackOff": "its program ends again and again; its last lines are below",
    "CreateContainerConfigError": "a Secret or ConfigMap that it needs is missing",
}
#: What an API server says while it still learns new kinds, or is briefly away.
PASSING = re.compile(
    r"no matches for kind|refused|EOF|timeout|timed out|etcdserver|try again|unavailable", re.IGNORECASE
)


class Kubectl:
    """kubectl for one cluster."""

    def __init__(self, program: str, kubeconfig: str) -> None:
        """Remember how to reach the cluster."""
        self.argv = [program, f"--kubeconfig={kubeconfig}", "--request-timeout=30s"]

    def apply(self, what: str, *options: str, stdin: str = "") -> None:
        """Server-side apply, tried again while the API server still learns new kinds (S0-41)."""
        for attempt in range(6):
            argv = [*self.argv, "apply", "--server-side", "--force-conflicts", *options]
            run = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
            if run.returncode == 0:
                print(f"== applied {what} ({len(run.stdout.splitlines())} objects)", flush=True)
                return
            if not PASSING.search(run.stderr):
                break
            time.sleep(2 * 2**attempt)
        sys.exit(f"REFUSED: {what} cannot be applied: {run.stderr.strip()[-600:]}")

    def get(self, *argv: str) -> Any:
        """Return an answer of `kubectl get` as JSON; an empty list of items where there is none."""
        return json.loads(output(*self.argv, "get", *argv, "-o", "json", seconds=40) or '{"items": []}')


def secrets(directory: Path) -> str:
    """Return the Secrets that KFP's own manifests name, filled from the root-only files."""

    def value(name: str) -> str:
        return base64.b64encode((directory / name).read_bytes()).decode()

    def secret(name: str, data: dict[str, str]) -> dict[str, Any]:
        labels = {"application-crd-id": "kubeflow-pipelines"}
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}

    root = base64.b64encode(b"root").decode()
    items = [
        secret(
            "mlpipeline-minio-artifact",
            {"accesskey": value("minio_access_key"), "secretkey": value("minio_secret_key")},
        ),
        secret("mysql-secret", {"username": root, "password": value("mysql_password")}),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def rendered(kubectl: Kubectl, overlay: str, replaced: list[str]) -> str:
    """Return the overlay's objects as one JSON List, every port with its protocol, none with an image of ``replaced``.

    Kubernetes before 1.23 cannot apply a port server-side whose protocol is left to its default (kubernetes#92332).
    """
    run = subprocess.run([*kubectl.argv, "kustomize", overlay], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        argv = [*kubectl.argv, "create", "--dry-run=client", "--validate=false", "--output=json", "--filename=-"]
        run = subprocess.run(argv, input=run.stdout, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(
            f"REFUSED: the overlay cannot be rendered ({run.stderr.strip()[-300:]}); try kubectl kustomize {overlay}."
        )
    for image in replaced:
        if f'"{image}"' in run.stdout:
            sys.exit(
                f"REFUSED: {image} is still in the manifests of Kubeflow Pipelines, though the stack replaces it; "
                "correct the image's place in the stack."
            )
    decoder, at = json.JSONDecoder(), 0
    items: list[Any] = []
    while at < len(run.stdout):
        item, at = decoder.raw_decode(run.stdout, at)
        items += item["items"] if item["kind"] == "List" else [item]
        at += len(run.stdout[at:]) - len(run.stdout[at:].lstrip())
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [with_protocols(item) for item in items]})


def with_protocols(value: Any) -> Any:
    """Return an object with `protocol: TCP` wherever a list of ports leaves it out."""
    if isinstance(value, list):
        return [with_protocols(each) for each in value]
    if not isinstance(value, dict):
        return value
    filled = {key: with_protocols(each) for key, each in value.items()}
    if isinstance(filled.get("ports"), list):
        filled["ports"] = [{"protocol": "TCP", **port} if isinstance(port, dict) else port for port in filled["ports"]]
    return filled


def trouble(kubectl: Kubectl) -> str:
    """Return the first pod that cannot come up, with its reason, cause and remedy; empty where none is in trouble."""
    for pod in kubectl.get("-n", NAMESPACE, "pods")["items"]:
        name = pod["metadata"]["name"]
        for condition in pod["status"].get("conditions", []):
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"The pod {name} is not scheduled: {condition.get('message', '')}."
        for each in pod["status"].get("initContainerStatuses", []) + pod["status"].get("containerStatuses", []):
            reason = (each["state"].get("waiting") or {}).get("reason", "")
            if reason in WAITING:
                said = (each["state"]["waiting"].get("message") or "")[-300:]
                log = (
                    output(*kubectl.argv, "-n", NAMESPACE, "logs", name, "-c", each["name"], "--previous", "--tail=8")
                    or ""
                )
                what = f"The container {each['name']} of {name} ({each['image']})"
                return f"{what}: {reason}; {WAITING[reason]}. {said}\n{log}"
    return ""


def wait(kubectl: Kubectl, seconds: int, version: str) -> None:
    """Return when every Deployment is ready and the API answers through the UI's service as the wanted release."""
    deadline = time.monotonic() + seconds
    shown = -1
    while True:
        deployments = kubectl.get("-n", NAMESPACE, "deployments")["items"]
        missing = [
            each["metadata"]["name"]
            for each in deployments
            if each["status"].get("updatedReplicas", 0) < 1
            or each["status"].get("availableReplicas", 0) < 1
            or each["status"].get("observedGeneration", 0) < each["metadata"]["generation"]
        ]
        if len(missing) != shown:
            shown = len(missing)
            rest = f", waiting for {', '.join(sorted(missing))}" if missing else ""
            print(f"== {len(deployments) - shown} of {len(deployments)} deployments ready{rest}", flush=True)
        health = json.loads(output(*kubectl.argv, "get", "--raw", HEALTH) or "{}")
        found = str(health.get("apiServerTagName", ""))
        if deployments and not missing and health.get("apiServerReady"):
            if found.partition("+")[0] != version:
                sys.exit(f"REFUSED: the API answers as {found}, not as {version}; another release is installed here.")
            print(f"== the API answers as {found}", flush=True)
            return
        if time.monotonic() > deadline:
            reason = trouble(kubectl) or "No pod is in trouble by itself; look at `kubectl -n kubeflow get events`."
            sys.exit(f"REFUSED: Kubeflow Pipelines is not ready after {seconds} s. {reason}")
        time.sleep(3)


def main(params: dict[str, Any]) -> None:
    """Apply all of it, wait, and take note."""
    kubectl = Kubectl(params["kubectl"], params["kubeconfig"])
    kubectl.apply("the cluster-scoped resources", "-k", f"{params['manifests']}/cluster-scoped-resources")
    crds = [each["metadata"]["name"] for each in kubectl.get("crds")["items"]]
    names = [f"crd/{name}" for name in crds]
    if output(*kubectl.argv, "wait", "--for=condition=established", "--timeout=60s", *names, seconds=90) is None:
        sys.exit("REFUSED: the custom resources are not established after 60 s; look at `kubectl get crds`.")
    objects = rendered(kubectl, params["overlay"], params["replaced"])
    kubectl.apply("the credentials", "-f", "-", stdin=secrets(Path(params["secrets_dir"])))
    kubectl.apply(f"Kubeflow Pipelines {params['version']}", "-f", "-", stdin=objects)
    wait(kubectl, params["seconds"], params["version"])
    Path(params["record"]).write_text(params["configuration"], encoding="utf-8")

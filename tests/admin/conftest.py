"""An API server for all of these tests, and the role's own program to look at it with."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from neurobatch import clusters, remote

from tests.admin.api import Api, Json, api_server

SPACES = {"pipelines": "kubeflow", "driver": "cvmfs"}
CLASS = {
    "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "nobody.test/nothing",
    "metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
}  # fmt: skip
NODE = {
    "apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"},
    "status": {"allocatable": {"cpu": "7910m", "memory": "16106128Ki"}, "nodeInfo": {"architecture": "amd64"}},
}  # fmt: skip


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API server as somebody's cluster has it: with a node and a default storage class."""
    with api_server(tmp_path_factory.mktemp("api")) as found:
        found.apply(CLASS)
        # Not by `apply`, whose patch of a node's status the kubelet alone may send.
        found.run("create", "--validate=false", "--filename=-", stdin=json.dumps(NODE))
        yield found


@pytest.fixture(scope="session")
def installer(api: Api) -> Path:
    """The kubeconfig of the account that `neurobatch cluster-rights` describes."""
    api.apply(*clusters.account(SPACES["pipelines"], SPACES["driver"]))
    space, name = clusters.ACCOUNT
    return api.kubeconfig("installer", api.run("create", "token", name, "-n", space).stdout.strip())


class Look:
    """What the role says of a cluster, and how long that took (seconds)."""

    def __init__(self, api: Api, kubeconfig: Path, **more: Any) -> None:
        """Run the role's program here, as the role runs it on a server."""
        records = api.folder / "records"
        records.mkdir(exist_ok=True)
        tools = {"kubectl": str(api.kubectl), "helm": str(api.helm)}
        for name, path in tools.items():
            (records / f"{name}.json").write_text(json.dumps({"installed": digest(Path(path))}))
        params: Json = {
            "tools": tools, "records": str(records), "files": [], "kubeconfig": str(kubeconfig),
            "wanted": digest(kubeconfig), "namespaces": SPACES, "file": "lab.kubeconfig",
            "classes": {"existing_cluster_storage_class": "", "existing_cluster_shared_storage_class": ""}, **more,
        }  # fmt: skip
        started = time.monotonic()
        program = remote.program("existing_cluster_probe", params)
        done = subprocess.run([sys.executable, "-I", "-"], input=program, capture_output=True, text=True, check=False)
        self.seconds = time.monotonic() - started
        assert done.returncode == 0, done.stderr
        self.cluster: Json = json.loads(done.stdout)["cluster"]

    @property
    def problems(self) -> list[str]:
        """Why nothing may be applied."""
        return list(self.cluster["problems"])


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()

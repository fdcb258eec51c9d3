"""The Secret and the image that Elyra's steps find in the cluster, with a false kubectl."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from neurobatch.remote import elyra_cluster, elyra_home
from neurobatch.remote.common import Cluster

SECRET = {"name": "neurobatch-object-store", "namespace": "kubeflow"}
VALUES = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "minio_access_key").write_text("key")
    (tmp_path / "minio_secret_key").write_text("secret\n")
    return tmp_path


def test_keys_come_from_the_servers_files(folder: Path) -> None:
    assert elyra_cluster.keys(str(folder)) == VALUES
    (folder / "minio_secret_key").unlink()
    with pytest.raises(SystemExit, match="minio_secret_key is missing"):
        elyra_cluster.keys(str(folder))


def test_the_secret_has_the_names_that_elyra_asks_for() -> None:
    made = elyra_cluster.manifest(SECRET, VALUES)
    assert {name: base64.b64decode(value).decode() for name, value in made["data"].items()} == VALUES
    assert (made["metadata"]["name"], made["metadata"]["namespace"]) == ("neurobatch-object-store", "kubeflow")


def test_a_runtime_gets_its_keys_on_the_server(folder: Path) -> None:
    document = {"path": "x", "content": '{"metadata": {"cos_secret": "s"}}'}
    filled = json.loads(elyra_home.with_credentials(document, elyra_cluster.keys(str(folder)))["content"])
    assert filled["metadata"] == {"cos_secret": "s", "cos_username": "key", "cos_password": "secret"}


class Kubectl:
    """Answers as kubectl does, and keeps what it was given."""

    def __init__(self, folder: Path, stored: dict[str, Any] | None, code: int = 0) -> None:
        """Write a program that shows ``stored`` and keeps what is applied."""
        self.given = folder / "given"
        self.argv = folder / "argv"
        program = folder / "kubectl"
        shown = f"printf %s {json.dumps(json.dumps(stored))}" if stored else "exit 1"
        program.write_text(
            f'#!/bin/sh\necho "$*" >> {self.argv}\n'
            f'case "$*" in *apply*) cat > {self.given}; echo "it says no" >&2; exit {code} ;; *) {shown} ;; esac\n'
        )
        program.chmod(0o755)
        self.cluster = Cluster({"kubectl": str(program), "kubeconfig": "/nowhere"})


def test_only_the_same_values_are_current(tmp_path: Path) -> None:
    stored = elyra_cluster.manifest(SECRET, VALUES)
    assert elyra_cluster.current(Kubectl(tmp_path, stored).cluster, SECRET, VALUES)
    assert not elyra_cluster.current(
        Kubectl(tmp_path, stored).cluster, SECRET, {**VALUES, "AWS_ACCESS_KEY_ID": "other"}
    )
    assert not elyra_cluster.current(Kubectl(tmp_path, None).cluster, SECRET, VALUES)


def test_values_travel_over_standard_input_alone(tmp_path: Path) -> None:
    kubectl = Kubectl(tmp_path, None)
    elyra_cluster.put(kubectl.cluster, SECRET, VALUES)
    assert json.loads(kubectl.given.read_text()) == elyra_cluster.manifest(SECRET, VALUES)
    encoded = [base64.b64encode(value.encode()).decode() for value in VALUES.values()]
    assert not any(value in kubectl.argv.read_text() for value in [*VALUES.values(), *encoded])


def test_a_cluster_that_refuses_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="kubeflow/neurobatch-object-store cannot be written: it says no"):
        elyra_cluster.put(Kubectl(tmp_path, None, code=1).cluster, SECRET, VALUES)


def test_an_image_is_on_the_node_by_its_whole_name(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ""

    def run(argv: tuple[str, ...], **_: object) -> subprocess.CompletedProcess[str]:
        assert argv[:3] == ("docker", "exec", "minikube")
        return subprocess.CompletedProcess(argv, 0, said, "")

    monkeypatch.setattr(subprocess, "run", run)
    assert not elyra_cluster.on_node("minikube", "localhost/neurobatch/runtime:1")
    said = "localhost/neurobatch/runtime:1\n"
    assert elyra_cluster.on_node("minikube", "localhost/neurobatch/runtime:1")

"""Kubeflow Pipelines' application: its order, what it proves, what it sees of hands, and what a rotation does."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from neurobatch import daemon_json, remote
from neurobatch.remote import rotate_secrets
from neurobatch.remote.cluster import drift, objectstore, render, stores


def run(name: str, params: dict[str, Any]) -> Any:
    """Run a program for servers here and return its answer."""
    program = remote.program(name, params)
    return json.loads(subprocess.run([sys.executable, "-I", "-"], input=program, capture_output=True, text=True,
                                     check=True).stdout)  # fmt: skip


def test_requests_are_signed_as_amazon_documents() -> None:
    # "Example: GET Object" of docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    keys = objectstore.Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
    headers = {
        "host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9", "x-amz-content-sha256": objectstore.EMPTY,
        "x-amz-date": "20130524T000000Z",
    }  # fmt: skip
    signed = objectstore.signature(keys, "GET", "/test.txt", headers, objectstore.EMPTY)
    assert signed.endswith("Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def deployment(name: str, secret: str = "") -> dict[str, Any]:
    """Return a Deployment, which reads a Secret into its environment where one is named."""
    env = [{"name": "X", "valueFrom": {"secretKeyRef": {"name": secret, "key": "k"}}}] if secret else []
    template = {"metadata": {"annotations": {"kept": "1"}}, "spec": {"containers": [{"name": "c", "env": env}]}}
    return {"kind": "Deployment", "metadata": {"name": name}, "spec": {"replicas": 1, "template": template}}


def test_the_stores_and_all_that_is_no_deployment_come_first() -> None:
    service = {"kind": "Service", "metadata": {"name": "ml-pipeline"}}
    items = [deployment("ml-pipeline"), deployment("mysql"), service, deployment("minio")]
    early, late = render.staged(items)
    assert [drift.key(each) for each in early] == ["Deployment mysql", "Service ml-pipeline", "Deployment minio"]
    assert [drift.key(each) for each in late] == ["Deployment ml-pipeline"]


def test_pods_are_made_anew_with_the_secrets_that_they_read_at_their_start() -> None:
    versions = {"mysql-secret": "7", "mlpipeline-minio-artifact": "8"}
    stamped = render.stamped(deployment("ml-pipeline", "mysql-secret"), versions)
    assert stamped["spec"]["template"]["metadata"]["annotations"] == {"kept": "1", render.ANNOTATION: "mysql-secret=7"}
    assert render.stamped(deployment("ml-pipeline-ui"), versions) == deployment("ml-pipeline-ui")
    assert render.stamped(deployment("x", "of-somebody-else"), versions) == deployment("x", "of-somebody-else")


def test_secrets_come_from_the_files_alone(tmp_path: Path) -> None:
    for name in ("minio_access_key", "minio_secret_key", "mysql_password"):
        (tmp_path / name).write_text(name)
    found = {each["metadata"]["name"]: each["data"] for each in render.secrets(tmp_path, "kubeflow")}
    assert found == {
        "mlpipeline-minio-artifact": {"accesskey": "bWluaW9fYWNjZXNzX2tleQ==", "secretkey": "bWluaW9fc2VjcmV0X2tleQ=="},
        "mysql-secret": {"username": "cm9vdA==", "password": "bXlzcWxfcGFzc3dvcmQ="},
    }
    before = render.digest(tmp_path)
    (tmp_path / "mysql_password").write_text("another")
    assert render.digest(tmp_path) != before


def test_a_change_by_hand_is_seen_and_what_kubernetes_writes_is_none() -> None:
    there = {drift.key(each): each for each in (deployment("minio"), deployment("mysql"))}
    noted = drift.digests(there.values())
    busy = {**deployment("minio"), "status": {"replicas": 1}, "metadata": {"name": "minio", "resourceVersion": "9"}}
    assert drift.changed({**there, "Deployment minio": busy}, noted) == []
    edited = deployment("minio")
    edited["spec"]["replicas"] = 0
    assert drift.changed({**there, "Deployment minio": edited}, noted) == ["Deployment minio"]
    assert drift.changed({"Deployment minio": there["Deployment minio"]}, noted) == ["Deployment mysql"]
    assert drift.changed(None, noted) == []


def test_a_password_is_quoted_for_the_database() -> None:
    assert r"BY 'a\\b\'c'" in stores.statement("a\\b'c")


def rotated(folder: Path, *rows: tuple[str, str], write: bool = True) -> list[str]:
    """Rotate secrets of a folder without a cluster, and return their names."""
    secrets = [{"directory": str(folder), "name": name, "how": how} for name, how in rows]
    cluster = {"kubectl": "/nowhere/kubectl", "kubeconfig": "/nowhere/kubeconfig"}
    found: list[str] = run("rotate_secrets", {"write": write, "secrets": secrets, "cluster": cluster, "namespace": "n",
                                              "running": False, "records": [str(folder / "proof")]})  # fmt: skip
    return found


def test_a_rotation_keeps_what_the_database_still_has(tmp_path: Path) -> None:
    for name in ("key", "password", "token", "proof"):
        (tmp_path / name).write_text(f"old {name}")
    rows = (("key", "new"), ("password", "previous"), ("token", "forget"), ("absent", "new"))
    assert rotated(tmp_path, *rows, write=False) == ["key", "password", "token"]
    assert (tmp_path / "key").read_text() == "old key"
    assert rotated(tmp_path, *rows) == ["key", "password", "token"]
    assert len((tmp_path / "key").read_text()) == 48
    assert (tmp_path / "password.previous").read_text() == "old password"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "password", "password.previous"]
    modes = {oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}
    assert modes == {"0o600"}
    # Again before anybody told the database: it still has the first one.
    rotated(tmp_path, ("password", "previous"))
    assert (tmp_path / "password.previous").read_text() == "old password"


class Busy:
    """A cluster with one step under way."""

    def get(self, *argv: str) -> Any:
        """Answer with pods of a run."""
        names = {"done": "Succeeded", "step": "Running"}
        return {"items": [{"metadata": {"name": key}, "status": {"phase": value}} for key, value in names.items()]}


def test_a_run_under_way_is_seen() -> None:
    assert rotate_secrets.busy(Busy(), "kubeflow") == ["step"]  # type: ignore[arg-type]


def test_a_removal_takes_what_is_named_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "ours" / "deep").mkdir(parents=True)
    (tmp_path / "others").mkdir()
    (tmp_path / "others" / "kept").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "others")
    (tmp_path / "run.log").write_text("")
    (tmp_path / "left").mkdir()
    params = {
        "files": [f"{tmp_path}/ours", f"{tmp_path}/link", f"{tmp_path}/run.log*", f"{tmp_path}/nowhere"],
        "empty": [f"{tmp_path}/left", f"{tmp_path}/others"],
    }
    would = run("remove", {"write": False, **params})
    assert would == [f"{tmp_path}/ours", f"{tmp_path}/link", f"{tmp_path}/run.log", f"{tmp_path}/left"]
    assert (tmp_path / "ours").is_dir()
    assert run("remove", {"write": True, **params}) == would
    assert sorted(path.name for path in tmp_path.iterdir()) == ["others"]
    assert run("remove", {"write": True, **params}) == []


@pytest.mark.parametrize(("content", "gone"), [("ours", True), ("theirs", False)])
def test_a_tool_goes_when_it_is_the_one_that_was_downloaded(tmp_path: Path, content: str, gone: bool) -> None:
    tool, record = tmp_path / "kubectl", tmp_path / "kubectl.json"
    tool.write_text(content)
    record.write_text(json.dumps({"installed": hashlib.sha256(b"ours").hexdigest()}))
    found = run("remove", {"write": True, "tools": {str(tool): str(record)}})
    assert (found != []) is gone
    assert tool.exists() is not gone


def test_the_administrators_settings_of_docker_stay() -> None:
    ours = daemon_json.wanted({"docker.io": "http://192.0.2.1:5000"}, "50m", 3)
    planned = daemon_json.plan('{"data-root": "/big"}', None, ours)
    left = daemon_json.without(planned["content"], planned["record"])
    assert json.loads(left["content"]) == {"data-root": "/big"}
    assert (left["differs"], left["empty"]) == (True, False)
    alone = daemon_json.plan(None, None, ours)
    assert daemon_json.without(alone["content"], alone["record"])["empty"]
    assert daemon_json.without('{"data-root": "/big"}', None)["differs"] is False

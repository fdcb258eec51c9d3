"""scripts/pin-stack against a real registry and a file server: what it fills, refuses, and leaves as it is."""

from __future__ import annotations

import difflib
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from neurobatch import stacks

from tests.doors import files
from tests.doors.registry import push, registry

PROJECT = Path(__file__).resolve().parents[2]
STACK = "kfp-2.0.0"


def archive(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, body in names.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """Return a folder that mirrors every file of the stack, with the publishers' sums."""
    folder = tmp_path / "mirror"
    stack = stacks.resolve(STACK)
    bodies = {tool["url"]: f"program {name}".encode() for name, tool in stack["tools"].items()}
    url = stack["kubeflow_pipelines"]["url"]
    bodies[url] = archive({"pipelines-2.0.0/manifests/kustomize/a.yaml": b"a", "pipelines-2.0.0/README": b"b"})
    sums = {tool["url"]: tool["sum_url"] for tool in stack["tools"].values()}
    for address, body in bodies.items():
        path = folder / address.split("://")[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        if address in sums:
            (folder / sums[address].split("://")[1]).write_text(f"{hashlib.sha256(body).hexdigest()}  {path.name}\n")
    return folder


def pin(*argv: str) -> subprocess.CompletedProcess[str]:
    command = [str(PROJECT / "scripts" / "pin-stack"), *argv]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Return a directory with a copy of the shipped stack's pins as a site's stack, comments and all."""
    folder = tmp_path / "stacks"
    folder.mkdir()
    (folder / "lab-1.yml").write_text(
        "# The lab's.\nname: lab-1\nderives: kfp-2.0.0\ntools:\n  minikube:\n    sha256: null  # not yet\n"
        "  kubectl: {sha256: null}\nkubeflow_pipelines:\n  # over manifests/kustomize\n  tree_sha256: null\n"
        "neurodesktop:\n  base_image_digest: ~\n"
    )
    return folder


def test_it_fills_what_the_network_gives_and_leaves_the_rest_of_the_file(
    mirror: Path, site: Path, tmp_path: Path
) -> None:
    before = (site / "lab-1.yml").read_text()
    with files.folder(mirror) as (url, _), registry(tmp_path, tmp_path / "images") as images:
        digest = push(images, "jupyter/base-notebook", "2023-10-20")
        doors = ["--artifact-mirror", url, "--registry-mirror", f"docker.io={images.url}", "--stack-dir", str(site)]
        run = pin("lab-1", *doors)
        assert run.returncode == 0, run.stderr
        filled = stacks.resolve("lab-1", [site])
        again = pin("lab-1", "--check", *doors)
        (mirror / "dl.k8s.io/release/v1.30.14/bin/linux/amd64/kubectl").write_bytes(b"another")
        differs = pin("lab-1", "--check", *doors)
    assert filled["tools"]["minikube"]["sha256"] == hashlib.sha256(b"program minikube").hexdigest()
    assert filled["neurodesktop"]["base_image_digest"] == digest
    changed = list(difflib.ndiff(before.splitlines(), (site / "lab-1.yml").read_text().splitlines()))
    assert [line[2:].split(":")[0].strip() for line in changed if line.startswith("+ ")] == [
        "sha256", "kubectl", "tree_sha256", "base_image_digest"
    ]  # fmt: skip
    assert any(line.startswith("+ ") and line.endswith("  # not yet") for line in changed)
    # helm's pin stands in the parent alone, which is not the site's to change.
    assert f"helm:\n    sha256: {hashlib.sha256(b'program helm').hexdigest()}" in run.stdout
    assert again.returncode == 0, again.stdout
    assert again.stdout.count("as the stack says") == 4
    assert differs.returncode == 1
    assert "its publisher says" in differs.stderr


def test_it_never_writes_what_the_publisher_contradicts(mirror: Path, site: Path) -> None:
    program = mirror / "storage.googleapis.com/minikube/releases/v1.38.1/minikube-linux-amd64"
    program.write_bytes(b"tampered")
    with files.hanging() as (silent, _):
        pass  # a registry that nobody listens on any more is the quickest that cannot be asked
    with files.folder(mirror) as (url, _):
        run = pin(
            "lab-1", "--artifact-mirror", url, "--registry-mirror", f"docker.io={silent}", "--stack-dir", str(site)
        )
    assert run.returncode == 1
    assert "tools.minikube.sha256: " in run.stderr
    assert "but its publisher says" in run.stderr
    assert "the digest of docker.io/jupyter/base-notebook:2023-10-20 cannot be had (connection refused)" in run.stderr
    filled = stacks.resolve("lab-1", [site])
    assert filled["tools"]["minikube"]["sha256"] is None
    assert filled["neurodesktop"]["base_image_digest"] is None
    assert filled["tools"]["kubectl"]["sha256"] == hashlib.sha256(b"program kubectl").hexdigest()


def test_an_unknown_stack_is_refused() -> None:
    run = pin("kfp-2.0")
    assert run.returncode == 2
    assert "did you mean kfp-2.0.0?" in run.stderr

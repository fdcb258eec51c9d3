"""The parts of the rehearsal's Kubernetes that need no cluster: the node's agent, helm's arguments, the files."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import minikube
from tests.rehearsal.cluster import binaries, node, pack, programs
from tests.rehearsal.helm import flags as helm_flags
from tests.rehearsal.helm import main as helm_main
from tests.rehearsal.names import Names

AGENT = Path(node.__file__).parents[1] / "images" / "node" / "usr" / "local" / "sbin" / "node_agent.py"
SPEC = importlib.util.spec_from_file_location("node_agent", AGENT)
assert SPEC and SPEC.loader
agent: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(agent)


class Api:
    """Keeps what the agent asks the API for."""

    def __init__(self) -> None:
        """Begin with no call."""
        self.calls: list[tuple[str, str]] = []

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Keep a call."""
        self.calls.append((method, path))
        return {}

    def ensure(self, collection: str, wanted: dict[str, Any]) -> None:
        """Keep what is wanted."""
        self.calls.append(("ensure", f"{collection}/{wanted['metadata']['name']}"))


def claim(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "data", "namespace": "lab", "uid": "u1", "resourceVersion": "7"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}} | spec,
    }


STANDARD = {"metadata": {"name": "standard"}, "provisioner": agent.PROVISIONER, "reclaimPolicy": "Delete"}
OTHER = {"metadata": {"name": "cvmfs"}, "provisioner": "cvmfs.csi.cern.ch", "reclaimPolicy": "Delete"}


def test_names_of_services_headless_ones_and_pods_with_a_host_name() -> None:
    services = [
        {"metadata": {"name": "web", "namespace": "lab"}, "spec": {"clusterIP": "10.96.1.2"}},
        {"metadata": {"name": "db", "namespace": "lab"}, "spec": {"clusterIP": "None"}},
        {"metadata": {"name": "away", "namespace": "lab"}, "spec": {"type": "ExternalName"}},
    ]
    endpoints = [
        {"metadata": {"name": "web", "namespace": "lab"}, "subsets": [{"addresses": [{"ip": "10.244.0.9"}]}]},
        {
            "metadata": {"name": "db", "namespace": "lab"},
            "subsets": [{"addresses": [{"ip": "10.244.0.5", "hostname": "db-0"}, {"ip": "10.244.0.6"}]}],
        },
        {"metadata": {"name": "empty", "namespace": "lab"}, "subsets": None},
    ]
    assert agent.host_lines(services, endpoints, "192.168.49.1") == [
        "10.244.0.5 db-0.db.lab.svc.cluster.local",
        "10.244.0.5 db.lab.svc.cluster.local",
        "10.244.0.6 db.lab.svc.cluster.local",
        "10.96.1.2 web.lab.svc.cluster.local",
        "192.168.49.1 host.minikube.internal",
    ]


def test_a_claim_of_the_class_gets_a_volume_in_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "VOLUMES", tmp_path)
    api = Api()
    agent.provision(api, [claim(storageClassName="standard")], [STANDARD, OTHER], [])
    assert api.calls == [("ensure", "/api/v1/persistentvolumes/pvc-u1")]
    assert (tmp_path / "lab" / "data").stat().st_mode & 0o777 == 0o777


@pytest.mark.parametrize(
    "spec",
    [
        {"storageClassName": "cvmfs"},
        {"storageClassName": ""},
        {"storageClassName": "standard", "volumeName": "mine"},
        {"storageClassName": "standard", "selector": {"matchLabels": {"a": "b"}}},
    ],
)
def test_other_claims_are_left_alone(spec: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "VOLUMES", tmp_path)
    api = Api()
    agent.provision(api, [claim(**spec)], [STANDARD, OTHER], [])
    assert api.calls == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("policy", "gone"), [("Delete", True), ("Retain", False)])
def test_a_released_volume_goes_with_its_data_unless_it_is_retained(
    policy: str, gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "VOLUMES", tmp_path)
    (tmp_path / "lab" / "data").mkdir(parents=True)
    volume = agent.volume_for(claim(), STANDARD | {"reclaimPolicy": policy}) | {"status": {"phase": "Released"}}
    api = Api()
    agent.provision(api, [], [STANDARD], [volume])
    assert (tmp_path / "lab" / "data").exists() is not gone
    assert api.calls == ([("DELETE", "/api/v1/persistentvolumes/pvc-u1")] if gone else [])


def test_the_pause_image_is_what_containerd_imports() -> None:
    with tarfile.open(fileobj=io.BytesIO(node.pause_image(b"program"))) as tar:
        (manifest,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        config = json.load(tar.extractfile(manifest["Config"]))  # type: ignore[arg-type]
        layer = tar.extractfile(manifest["Layers"][0]).read()  # type: ignore[union-attr]
    assert manifest["RepoTags"] == ["registry.k8s.io/pause:3.2"]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]


def test_the_binaries_key_changes_with_how_they_are_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = binaries.key()
    changed = tmp_path / "build-kubernetes"
    changed.write_bytes(binaries.SCRIPT.read_bytes() + b"# another way\n")
    monkeypatch.setattr(binaries, "SCRIPT", changed)
    assert binaries.key() != before


def test_what_the_stand_in_takes_is_what_the_node_has() -> None:
    assert minikube.KUBERNETES == binaries.VERSION
    assert minikube.BASE_IMAGE.partition("/")[2] == node.NAME


def test_files_and_their_publishers_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("kubectl", "helm.tar.gz"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_text(name)
        (tmp_path / name / "sha256").write_text(hashlib.sha256(name.encode()).hexdigest())
    monkeypatch.setattr(programs, "kubectl", lambda names, cache: tmp_path / "kubectl" / "kubectl")
    monkeypatch.setattr(programs, "helm_archive", lambda names, cache: tmp_path / "helm.tar.gz" / "helm.tar.gz")
    files = tmp_path / "files"
    programs.ensure(Names("test"), tmp_path, files)
    served = files / "storage.googleapis.com/minikube/releases/v1.38.1/minikube-linux-amd64"
    assert served.stat().st_mode & 0o111
    digest = hashlib.sha256(served.read_bytes()).hexdigest()
    assert served.with_name("minikube-linux-amd64.sha256").read_text() == f"{digest}\n"
    sums = (files / "get.helm.sh/helm-v4.2.3-linux-amd64.tar.gz.sha256sum").read_text()
    assert sums.endswith("  helm-v4.2.3-linux-amd64.tar.gz\n")
    times = {path: path.stat().st_mtime_ns for path in files.rglob("*") if path.is_file()}
    programs.ensure(Names("test"), tmp_path, files)
    assert {path: path.stat().st_mtime_ns for path in files.rglob("*") if path.is_file()} == times
    # A new build of the same version replaces the old file and its sum.
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "kubectl").write_text("newer")
    (tmp_path / "new" / "sha256").write_text("1" * 64)
    monkeypatch.setattr(programs, "kubectl", lambda names, cache: tmp_path / "new" / "kubectl")
    programs.ensure(Names("test"), tmp_path, files)
    assert (files / "dl.k8s.io/release/v1.32.3/bin/linux/amd64/kubectl").read_text() == "newer"
    assert (files / "dl.k8s.io/release/v1.32.3/bin/linux/amd64/kubectl.sha256").read_text() == "1" * 64


def test_helms_archive_has_one_executable_where_the_real_one_has_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack.tar_gz("linux-amd64/helm", b"program"))) as tar:
        (member,) = tar.getmembers()
    assert (member.name, member.mode) == ("linux-amd64/helm", 0o755)


@pytest.mark.parametrize(
    "argv",
    [
        ["upgrade", "--install", "a", "chart", "--force"],
        ["upgrade", "--inst", "a", "chart"],
        ["repo", "add", "a", "b"],
        ["list", "-o", "yaml"],
        ["upgrade", "a", "chart", "--timeout", "5 minutes"],
        ["upgrade", "a", "chart", "--wait=soon"],
        ["plugin", "list"],
        [],
    ],
)
def test_helm_refuses_what_it_does_not_know(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        helm_main.main(argv)
    assert caught.value.code == 1
    assert capsys.readouterr().err.startswith("Error: ")


def test_helms_arguments() -> None:
    line = "upgrade --install cvmfs ./c.tgz -n cvmfs --create-namespace -f v.yml --wait --timeout 5m30s --atomic"
    args = helm_flags.parser().parse_args(line.split())
    assert (args.install, args.namespace, args.values, args.timeout, args.atomic) == (
        True, "cvmfs", ["v.yml"], 330, True,
    )  # fmt: skip
    assert helm_main._wait(args) == "watcher"
    assert helm_main._wait(helm_flags.parser().parse_args(["upgrade", "a", "b"])) is None
    assert helm_main._wait(helm_flags.parser().parse_args(["upgrade", "a", "b", "--atomic"])) == "watcher"


def test_later_values_are_laid_over_earlier_ones() -> None:
    below = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert helm_main.merged(below, {"a": {"c": [3]}, "e": None}) == {"a": {"b": 1, "c": [3]}, "d": 1, "e": None}


def test_helms_version_needs_no_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert helm_main.main(["version", "--short"]) == 0
    assert capsys.readouterr().out.startswith("v4.2.3")

"""The stand-in for CVMFS-CSI: its archive, its refusals and the volumes it makes."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import tarfile
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.rehearsal.cvmfs import build

FILES = Path(__file__).parents[1] / "rehearsal" / "images" / "cvmfs-csi"
STACKS = Path(__file__).parents[1] / "rehearsal" / "stacks"
KEY = "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n"


def program(name: str) -> ModuleType:
    """Load a program of the image, which has no suffix, as a module."""
    loader = importlib.machinery.SourceFileLoader(
        Path(name).name.replace("-", "_").replace(".", "_"), str(FILES / name)
    )
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_the_chart_is_packed_the_same_every_time_with_the_version_that_the_stack_names() -> None:
    assert build.archive() == build.archive()
    with tarfile.open(fileobj=io.BytesIO(build.archive())) as tar:
        member = tar.extractfile("cvmfs-csi/Chart.yaml")
        assert member
        chart = yaml.safe_load(member)
    parent = yaml.safe_load((Path(__file__).parents[2] / "stacks" / "kfp-2.0.0.yml").read_text())["cvmfs_csi"]
    assert (chart["name"], chart["version"]) == ("cvmfs-csi", parent["version"])
    assert build.NAME.endswith(f":{chart['appVersion']}")


def test_the_mirror_has_the_chart_where_the_rehearsals_stack_looks() -> None:
    for path in STACKS.glob("*.yml"):
        assert yaml.safe_load(path.read_text())["cvmfs_csi"]["url"] == f"https://{build.ARCHIVE}"


def good(tmp_path: Path) -> dict[str, str]:
    key = tmp_path / "key.pub"
    key.write_text(KEY.format("A" * 392))
    return {
        "CVMFS_HTTP_PROXY": "DIRECT",
        "CVMFS_CONFIG_REPOSITORY": "",
        "CVMFS_SERVER_URL": "http://dead.invalid/cvmfs/@fqrn@;http://alive.example.org:8000/cvmfs/@fqrn@",
        "CVMFS_PUBLIC_KEY": str(key),
    }


def test_a_right_configuration_mounts(tmp_path: Path) -> None:
    assert program("usr/sbin/mount.cvmfs").fault(good(tmp_path)) == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"CVMFS_HTTP_PROXY": ""}, "CVMFS_HTTP_PROXY required"),
        ({"CVMFS_HTTP_PROXY": "http://ca-proxy.cern.ch:3128"}, "file catalog failure"),
        ({"CVMFS_CONFIG_REPOSITORY": "cvmfs-config.cern.ch"}, "file catalog failure"),
        ({"CVMFS_SERVER_URL": ""}, "file catalog failure"),
        ({"CVMFS_SERVER_URL": "http://a.invalid/cvmfs/@fqrn@;http://b.invalid/cvmfs/@fqrn@"}, "file catalog failure"),
        ({"CVMFS_PUBLIC_KEY": "/nonexistent"}, "public key"),
    ],
)
def test_a_wrong_configuration_fails_as_the_clients_does(tmp_path: Path, change: dict[str, str], said: str) -> None:
    assert said in program("usr/sbin/mount.cvmfs").fault({**good(tmp_path), **change})


def test_a_chart_of_no_settings_fails_since_its_defaults_belong_to_cern() -> None:
    module = program("usr/sbin/mount.cvmfs")
    assert module.fault({"CVMFS_HTTP_PROXY": "DIRECT", "CVMFS_SERVER_URL": "http://a.b/cvmfs/@fqrn@"})


@pytest.mark.parametrize(
    ("parameters", "path"),
    [({"repository": "a.example.org"}, "/var/cvmfs/a.example.org"), (None, "/var/cvmfs")],
)
def test_a_claim_gets_its_repository_or_all_of_them(parameters: dict[str, str] | None, path: str) -> None:
    claim = {
        "metadata": {"name": "c", "namespace": "n", "uid": "1-2"},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1"}}},
    }
    kind = {"metadata": {"name": "class"}, "parameters": parameters}
    made = program("usr/local/bin/csi-cvmfsplugin").volume(claim, kind, "driver", "/var/cvmfs")
    assert made["spec"]["hostPath"] == {"path": path, "type": "Directory"}
    assert made["spec"]["claimRef"]["uid"] == "1-2"

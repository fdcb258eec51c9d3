"""The stand-in for CVMFS-CSI: its archive, its refusals and the volumes it makes."""

from __future__ import annotations

import http.server
import importlib.machinery
import importlib.util
import io
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from tests.rehearsal.cvmfs import build, stratum

FILES = Path(__file__).parents[1] / "rehearsal" / "images" / "cvmfs-csi"
STACKS = Path(__file__).parents[1] / "rehearsal" / "stacks"
MASTER = stratum.new_key()
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
        ({"CVMFS_PUBLIC_KEY": "/nonexistent"}, "public key"),
    ],
)
def test_a_wrong_configuration_fails_as_the_clients_does(tmp_path: Path, change: dict[str, str], said: str) -> None:
    assert said in program("usr/sbin/mount.cvmfs").fault({**good(tmp_path), **change})


def test_a_chart_of_no_settings_fails_since_its_defaults_belong_to_cern() -> None:
    module = program("usr/sbin/mount.cvmfs")
    assert module.fault({"CVMFS_HTTP_PROXY": "DIRECT", "CVMFS_SERVER_URL": "http://a.b/cvmfs/@fqrn@"})


@pytest.mark.parametrize("parameters", [{"repository": "a.example.org"}, {}])
def test_a_claim_gets_a_volume_that_says_no_more_than_its_repository(parameters: dict[str, str]) -> None:
    claim = {
        "metadata": {"name": "c", "namespace": "n", "uid": "1-2"},
        "spec": {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1"}}},
    }
    kind = {"metadata": {"name": "class"}, "parameters": parameters or None}
    made = program("usr/local/bin/csi-cvmfsplugin").volume(claim, kind, "driver")
    assert made["spec"]["flexVolume"] == {"driver": "cvmfs.csi.cern.ch/publish", "options": parameters}
    assert made["spec"]["claimRef"]["uid"] == "1-2"


def test_volumes_are_published_as_the_driver_does_it(tmp_path: Path) -> None:
    commands = program("usr/local/bin/csi-cvmfsplugin").commands
    assert commands("mount", "/t", "r.example.org") == [["mount", "--bind", "/cvmfs/r.example.org", "/t"]]
    assert commands("mount", "/t", "") == [["mount", "/cvmfs", "/t", "--rbind", "--make-slave"]]
    assert commands("unmount", str(tmp_path), "") == [], "nothing is mounted there"
    assert commands("unmount", "/proc", "") == [["umount", "--recursive", "/proc"]]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve a genuine stratum, and yield its address and the folder that is served."""
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    stratum.write(tmp_path / "served", MASTER, revision=41)
    yield f"http://127.0.0.1:{server.server_port}", tmp_path / "served"
    server.shutdown()


def ask(base: str, key: Path, fqrn: str = stratum.FQRN) -> subprocess.CompletedProcess[str]:
    argv = [
        sys.executable,
        str(FILES / "usr/local/bin/ask-stratum"),
        f"{base}/cvmfs/{stratum.FQRN}",
        fqrn,
        str(key),
        "DIRECT",
        "3",
    ]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_the_stand_in_s_client_takes_what_the_key_has_signed_alone(served: tuple[str, Path], tmp_path: Path) -> None:
    base, folder = served
    key, other = tmp_path / "key.pub", tmp_path / "other.pub"
    key.write_text(stratum.public_pem(MASTER))
    other.write_text(stratum.public_pem(stratum.new_key()))
    good = ask(base, key)
    assert (good.returncode, good.stdout) == (0, "41\n"), good.stderr
    assert "not signed by the repository's key" in ask(base, other).stderr
    assert "signed for" in ask(base, key, "atlas.cern.ch").stderr
    assert "refused" in ask("http://127.0.0.1:9", key).stderr
    stratum.write(folder, MASTER, expires_days=-1)
    assert "expired" in ask(base, key).stderr
    stratum.write(folder, MASTER, strange=stratum.new_key())
    assert "not signed by the certificate" in ask(base, key).stderr
    manifest = stratum.write(folder, MASTER) / ".cvmfspublished"
    manifest.write_bytes(manifest.read_bytes().replace(b"\nS7\n", b"\nS8\n"))
    assert "damaged" in ask(base, key).stderr

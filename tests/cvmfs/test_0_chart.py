"""The real chart with our values, object by object, where it is at hand; the stand-in's chart takes the same values.

`NEUROBATCH_CVMFS_CHART` names a folder with the chart cvmfs-csi 2.5.2 (its tag v2.5.2, deployments/helm/cvmfs-csi).
Helm's own engine renders both, on the server.
"""

from __future__ import annotations

import base64
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cvmfs.conftest import DIRECTORY, REPOSITORY, Server
from tests.rehearsal.cvmfs import build

CHART = os.environ.get("NEUROBATCH_CVMFS_CHART", "")
Object = dict[str, Any]


def packed(folder: Path) -> bytes:
    """Return a chart's folder as an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(folder, "cvmfs-csi")
    return out.getvalue()


def render(server: Server, archive: bytes) -> dict[str, Object]:
    """Return the objects that Helm makes of a chart and the role's values, by kind and name."""
    place = f"{DIRECTORY}/chart-of-a-test.tgz"
    server.root(f"base64 -d > {place} <<'END'\n{base64.b64encode(archive).decode()}\nEND")
    try:
        text = server.root(f"helm template cvmfs-csi {place} --namespace cvmfs --values {DIRECTORY}/values.yml")
    finally:
        server.root(f"rm -f {place}")
    found = [each for each in yaml.safe_load_all(text) if each]
    return {f"{each['kind']} {each['metadata']['name']}": each for each in found}


@pytest.fixture(scope="module")
def real(server: Server) -> dict[str, Object]:
    """The real chart's objects."""
    if not CHART:
        pytest.skip("the real chart is not at hand: NEUROBATCH_CVMFS_CHART names no folder with cvmfs-csi 2.5.2")
    chart = yaml.safe_load((Path(CHART) / "Chart.yaml").read_text())
    assert (chart["name"], chart["version"]) == ("cvmfs-csi", "2.5.2")
    return render(server, packed(Path(CHART)))


@pytest.fixture(scope="module")
def double(server: Server) -> dict[str, Object]:
    """The stand-in's objects."""
    return render(server, build.archive())


@pytest.fixture(scope="module", params=["real", "double"])
def each(request: pytest.FixtureRequest) -> dict[str, Object]:
    """The objects of one after the other."""
    found: dict[str, Object] = request.getfixturevalue(request.param)
    return found


def container(objects: dict[str, Object], name: str) -> Object:
    """Return a container of the node plugin."""
    spec = objects["DaemonSet cvmfs-csi-nodeplugin"]["spec"]["template"]["spec"]
    found: Object = next(row for row in spec["containers"] if row["name"] == name)
    return found


def test_both_make_the_same_objects(real: dict[str, Object], double: dict[str, Object]) -> None:
    # Its election needs rights in the namespace of its own, the stand-in's controller has none.
    assert set(real) - set(double) <= {"Role cvmfs-csi-controllerplugin", "RoleBinding cvmfs-csi-controllerplugin"}
    assert set(double) - set(real) == set()


def test_classes_and_configuration_are_the_same_in_both(real: dict[str, Object], double: dict[str, Object]) -> None:
    for key, made in double.items():
        if key.startswith("StorageClass"):
            assert real[key].get("parameters") == made.get("parameters")
            assert real[key]["provisioner"] == made["provisioner"]
        elif key.startswith("ConfigMap"):
            same = {name: text.strip() for name, text in made["data"].items()}
            found = {name: text.strip() for name, text in real[key]["data"].items() if name != "cron.d"}
            assert found == same, key


def test_the_classes_are_the_two_that_claims_name(each: dict[str, Object]) -> None:
    classes = {key: row.get("parameters") for key, row in each.items() if key.startswith("StorageClass")}
    assert classes == {"StorageClass cvmfs": None, "StorageClass cvmfs-neurodesk": {"repository": REPOSITORY}}


def test_the_client_is_configured_for_neurodesk_alone(each: dict[str, Object]) -> None:
    local = each["ConfigMap cvmfs-csi-default-local"]["data"]["default.local"].splitlines()
    assert 'CVMFS_HTTP_PROXY="DIRECT"' in local
    assert "CVMFS_QUOTA_LIMIT=5000" in local
    assert "cern.ch" not in "\n".join(local)
    assert each["ConfigMap cvmfs-csi-default-d"]["data"] == {"90-local.conf": "CVMFS_CONFIG_REPOSITORY=\n"}
    config = each["ConfigMap cvmfs-csi-config-d"]["data"]
    assert set(config) == {f"{REPOSITORY}.conf", f"{REPOSITORY}.pub"}
    assert "/cvmfs/@fqrn@;http://" in config[f"{REPOSITORY}.conf"]
    assert config[f"{REPOSITORY}.pub"].startswith("-----BEGIN PUBLIC KEY-----\n")


def test_nothing_is_unmounted_and_the_start_may_take_longer(each: dict[str, Object]) -> None:
    words = container(each, "automount").get("args", []) + container(each, "automount").get("command", [])
    assert "--unmount-timeout=0" in words
    plugin = container(each, "nodeplugin")
    assert "--automount-startup-timeout=120" in plugin.get("args", []) + plugin.get("command", [])


def test_the_keep_alive_lists_the_tools_every_minute(each: dict[str, Object]) -> None:
    assert container(each, "prefetcher-neurodesk-keepalive")
    data = each["ConfigMap cvmfs-csi-prefetcher-neurodesk-keepalive"]["data"]
    assert f"ls /cvmfs/{REPOSITORY}/neurodesk-modules" in data["entrypoint.sh"]


def test_the_node_plugin_publishes_where_pods_get_it(each: dict[str, Object]) -> None:
    daemon = each["DaemonSet cvmfs-csi-nodeplugin"]["spec"]
    assert daemon["updateStrategy"] == {"type": "OnDelete"}
    assert daemon["template"]["spec"]["hostPID"] is True
    mounts = {row["mountPath"]: row.get("mountPropagation") for row in container(each, "nodeplugin")["volumeMounts"]}
    assert (mounts["/cvmfs"], mounts["/var/lib/kubelet/pods"]) == ("Bidirectional", "Bidirectional")
    paths = {row["mountPath"]: row.get("subPath") for row in container(each, "automount")["volumeMounts"]}
    assert paths["/etc/cvmfs/default.local"] == "default.local"
    assert paths["/etc/cvmfs/default.d/90-local.conf"] == "90-local.conf"
    assert "/etc/cvmfs/config.d" in paths

"""The role, run again and with other settings: it restarts what has to be, and takes the tools from nobody unasked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

from tests.cvmfs.conftest import DEAD, DIRECTORY, ROOT, Server


def uids(server: Server) -> dict[str, str]:
    """Return the unique ids of all pods but those of tests, by the beginning of their name."""
    items = server.objects("pods --all-namespaces -l test!=cvmfs")
    return {each["metadata"].get("generateName", each["metadata"]["name"]): each["metadata"]["uid"] for each in items}


def servers(server: Server) -> list[str]:
    """Return the servers in the order in which they are asked."""
    record = json.loads(server.root("cat /etc/neurobatch/stack.json"))
    return list(record["cvmfs_servers"]["order"])


def test_a_second_run_changes_nothing(server: Server, measured: Callable[[str], None]) -> None:
    before = uids(server)
    again = server.role()
    assert again.recap()["changed"] == 0, again.output[-3000:]
    assert uids(server) == before
    measured(f"{again.seconds:.0f} s")


def test_neurodesktop_s_client_has_the_settings_of_the_steps(server: Server) -> None:
    inside = server.root("docker exec neurodesktop cat /etc/cvmfs/config.d/neurodesk.ardc.edu.au.local")
    given = yaml.safe_load(server.root(f"cat {DIRECTORY}/values.yml"))["extraConfigMaps"]
    steps = (
        given["cvmfs-csi-default-local"]["default.local"] + given["cvmfs-csi-config-d"]["neurodesk.ardc.edu.au.conf"]
    )
    own = {"CVMFS_PUBLIC_KEY", "CVMFS_CACHE_BASE"}  # the same key at another path; the image has its own folder

    def settings(text: str) -> set[str]:
        return {line for line in text.splitlines() if line.startswith("CVMFS_") and line.split("=")[0] not in own}

    assert settings(inside) == settings(steps)
    assert any(server.instance.state["doors"]["cvmfs_servers"][0] in line for line in settings(inside))
    key = server.root("docker exec neurodesktop cat /etc/cvmfs/neurobatch.pub")
    assert key == given["cvmfs-csi-config-d"]["neurodesk.ardc.edu.au.pub"].strip()


def test_another_namespace_gets_the_claims_and_nothing_is_restarted(server: Server) -> None:
    before = uids(server)
    refused = server.role(cvmfs_csi_namespaces=["lab"], ok=False)
    assert "The cluster has no namespace lab; make it, or take it out of cvmfs_csi_namespaces." in refused.text
    server.kubectl("create namespace lab")
    try:
        server.role(cvmfs_csi_namespaces=["lab"])
        bound = {each["metadata"]["name"]: each["status"]["phase"] for each in server.objects("pvc -n lab")}
        assert bound == {"cvmfs": "Bound", "cvmfs-neurodesk": "Bound"}
        assert uids(server) == before
    finally:
        server.kubectl("delete namespace lab")
        server.root(f"rm -f {DIRECTORY}/verified")


def test_changed_servers_reach_the_node_plugin_when_no_running_pod_breaks(server: Server) -> None:
    # Given, not measured: the measured order may be the reverse of the inventory's.
    first, *others = reversed(servers(server))
    turned: dict[str, Any] = {"cvmfs_servers": [first, *others], "cvmfs_rank_servers": False}
    before = uids(server)
    server.start("step", "cvmfs-neurodesk", ROOT)
    announced = server.role("--check", **turned)
    assert "A restart of the CVMFS driver takes the tools from kubeflow/step" in announced.text
    refused = server.role(**turned, ok=False)
    assert "these pods lose the tools: kubeflow/step. Run this again when they have ended" in refused.text
    assert uids(server) == before
    assert "neurodesk-modules" in server.listing("step")
    forced = server.role(**turned, cvmfs_csi_break_pods=True)
    assert "pods to run again afterwards: kubeflow/step" in forced.text
    assert f"from {first}/cvmfs/" in forced.text
    changed = {name for name, uid in uids(server).items() if before.get(name) != uid}
    assert changed == {"cvmfs-csi-nodeplugin-"}
    found = server.role(**turned)
    assert "has to be run again: kubeflow/step (the node plugin was restarted" in found.text
    assert found.recap()["changed"] == 0
    server.clear()
    assert server.role().recap()["changed"] > 0


def test_the_order_is_measured_by_a_first_installation_and_kept(server: Server) -> None:  # S0-46
    good = servers(server)[0]
    given = [DEAD, good]
    record = server.root("cat /etc/neurobatch/stack.json")
    assert json.loads(record)["cvmfs_servers"]["wanted"] == list(server.instance.state["doors"]["cvmfs_servers"])
    server.root("rm /etc/neurobatch/stack.json")
    try:
        server.role(cvmfs_servers=given)
        remembered = json.loads(server.root("cat /etc/neurobatch/stack.json"))["cvmfs_servers"]
        assert remembered == {"wanted": given, "order": [good, DEAD]}
        written = yaml.safe_load(server.root(f"cat {DIRECTORY}/values.yml"))["extraConfigMaps"]["cvmfs-csi-config-d"]
        assert f'"{good}/cvmfs/@fqrn@;{DEAD}/cvmfs/@fqrn@"' in written["neurodesk.ardc.edu.au.conf"]
        assert server.role(cvmfs_servers=given).recap()["changed"] == 0
        measured_again = server.role("--check", "-e", "preflight_network=always", cvmfs_servers=given)
        assert measured_again.recap()["changed"] == 0
    finally:
        server.root(f"cat > /etc/neurobatch/stack.json <<'END'\n{record}\nEND")
        server.role()


def test_what_hands_changed_is_brought_back(server: Server) -> None:
    patch = """{"data": {"default.local": "CVMFS_HTTP_PROXY=http://ca-proxy.cern.ch:3128"}}"""
    server.kubectl(f"-n cvmfs patch configmap cvmfs-csi-default-local --type=merge -p '{patch}'")
    result = server.role()
    assert "as signed" in result.text
    assert "ca-proxy" not in server.kubectl("-n cvmfs get configmap cvmfs-csi-default-local -o yaml")
    assert server.role().recap()["changed"] == 0

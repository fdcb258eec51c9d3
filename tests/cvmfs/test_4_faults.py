"""Servers that cannot be used, and a reboot: the right words, and a recovery without hands."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.cvmfs.conftest import DEAD, ROOT, Server
from tests.rehearsal.cvmfs import stratum


def test_dead_servers_are_named_and_the_right_ones_bring_the_tools_back(
    server: Server, measured: Callable[[str], None]
) -> None:
    began = time.monotonic()
    failed = server.role(cvmfs_servers=[DEAD], cvmfs_csi_verify_timeout=20, ok=False)
    seconds = time.monotonic() - began
    assert "the client found no server with genuine content" in failed.text
    assert "(file catalog failure)" in failed.text
    assert f"{DEAD}: connection refused" in failed.text
    # Loud, and tried again by the kubelet: the single repository is no empty folder.
    server.start("loud", "cvmfs-neurodesk", ROOT, ready=False)

    def events() -> str:
        return server.kubectl("-n kubeflow get events --field-selector=involvedObject.name=loud,reason=FailedMount")

    server.until("a FailedMount", lambda: f"special device {ROOT} does not exist" in events())
    server.start("empty", "cvmfs", "/cvmfs")
    assert "No such file or directory" in server.listing("empty")
    diagnosis = server.diagnose()
    assert "Pod loud: the node cannot mount the repository" in diagnosis
    assert "file catalog failure" in diagnosis
    mended = server.role(cvmfs_csi_break_pods=True)
    assert "as signed" in mended.text
    server.until("the pod that waited", lambda: "neurodesk-modules" in server.listing("loud"), 300)
    server.clear()
    measured(f"named after {seconds:.0f} s, mended in {mended.seconds:.0f} s")


def test_content_of_another_key_is_no_content(server: Server) -> None:
    other = stratum.public_pem(stratum.new_key())
    failed = server.role(cvmfs_public_key=other, cvmfs_csi_verify_timeout=20, ok=False)
    assert "its whitelist is not signed by the repository's key" in failed.text
    assert "not signed with Neurodesk's key" in failed.text
    assert "as signed" in server.role().text


def test_after_a_reboot_new_pods_have_the_tools_without_a_human(
    server: Server, measured: Callable[[str], None]
) -> None:
    server.instance.reboot()
    began = time.monotonic()
    ready = "--kubeconfig=/etc/neurobatch/kubeconfig get --raw /readyz"
    server.until("the cluster", lambda: server.root(f"kubectl {ready} || true", check=False) == "ok", 400)
    server.start("after-reboot", "cvmfs-neurodesk", ROOT, ready=False)
    server.until("the tools", lambda: "neurodesk-modules" in server.listing("after-reboot"), 300)
    server.clear()
    measured(f"{time.monotonic() - began:.0f} s after SSH was back")

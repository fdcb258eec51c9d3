"""What pods see of mounts that come and go: real autofs and FUSE, mounted as the driver mounts them (S0-54, S0-55).

The driver unmounts after 6 idle seconds here, in place of its own 300 and of our never, and nothing keeps it awake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cvmfs.conftest import CLUSTER, DIRECTORY, ROOT, Server

ELOOP = "Too many levels of symbolic links"
ENOTCONN = "Transport endpoint is not connected"
SETTINGS = {
    "automountDaemonUnmountTimeout": "6",
    "automountReconcilePeriod": "5s",
    "nodeplugin.prefetcher.enabled": "false",
}


@pytest.fixture(scope="module")
def expiring(server: Server) -> Iterator[Server]:
    """The server with a driver that unmounts what is idle; afterwards the role brings its own settings back."""
    settings = " ".join(f"--set {key}={value}" for key, value in SETTINGS.items())
    server.root(
        f"KUBECONFIG={CLUSTER['kubeconfig']} helm upgrade cvmfs-csi {DIRECTORY}/cvmfs-csi-2.5.2.tgz --namespace cvmfs "
        f"--values {DIRECTORY}/values.yml {settings}"
    )
    server.restart_plugin()
    yield server
    server.clear()
    assert server.role().recap()["changed"] > 0, "what hands changed is seen"


def idle(server: Server) -> None:
    """Wait until autofs has unmounted the repository on the node."""
    server.until("an idle unmount", lambda: not server.mounted())


def test_all_of_cvmfs_without_propagation_fails_for_ever_where_nothing_was_mounted(expiring: Server) -> None:
    idle(expiring)
    expiring.start("whole", "cvmfs", "/cvmfs")
    assert ELOOP in expiring.listing("whole")
    assert ELOOP in expiring.listing("whole"), "although the first look has mounted it on the node"
    assert [(row["pod"], "ELOOP" in row["why"]) for row in expiring.probe()["lost"]] == [("kubeflow/whole", True)]


def test_with_propagation_it_works(expiring: Server) -> None:
    expiring.start("follows", "cvmfs", "/cvmfs", propagation="HostToContainer")
    assert "neurodesk-modules" in expiring.listing("follows")


def test_the_single_repository_needs_no_propagation(expiring: Server) -> None:
    idle(expiring)
    expiring.start("single", "cvmfs-neurodesk", ROOT)
    assert "neurodesk-modules" in expiring.listing("single")


def test_an_idle_unmount_takes_the_tools_from_all_of_cvmfs_alone(expiring: Server) -> None:
    expiring.listing("follows")
    expiring.start("early", "cvmfs", "/cvmfs")
    assert "neurodesk-modules" in expiring.listing("early"), "it was mounted on the node when the pod started"
    idle(expiring)
    assert ELOOP in expiring.listing("early")
    assert "neurodesk-modules" in expiring.listing("single")
    assert "neurodesk-modules" in expiring.listing("follows"), "mounted again on demand"


def test_a_restart_of_the_node_plugin_breaks_running_pods_and_no_new_one(
    expiring: Server, measured: Callable[[str], None]
) -> None:
    expiring.listing("follows")
    expiring.kubectl(f"-n cvmfs delete pod {expiring.plugin()}")
    assert ENOTCONN in expiring.listing("single")
    expiring.until("a ready node plugin", lambda: expiring.probe()["ready"])
    seconds = expiring.until("a mount that follows", lambda: "neurodesk-modules" in expiring.listing("follows"), 60)
    assert ENOTCONN in expiring.listing("single"), "it has to be made anew"
    lost = {row["pod"]: row["why"] for row in expiring.probe()["lost"]}
    assert set(lost) == {"kubeflow/single", "kubeflow/whole", "kubeflow/early"}
    assert "ENOTCONN" in lost["kubeflow/single"]
    expiring.start("single-again", "cvmfs-neurodesk", ROOT)
    expiring.start("follows-again", "cvmfs", "/cvmfs", propagation="HostToContainer")
    for name in ("single-again", "follows-again"):
        assert "neurodesk-modules" in expiring.listing(name)
    measured(f"a pod with propagation recovered after {seconds:.0f} s")

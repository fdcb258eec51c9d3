"""A toy tool through its module in a step, and what is said when something stops it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tests.cvmfs.conftest import DIRECTORY, IMAGE, Server


def tried(server: Server, **params: Any) -> dict[str, Any]:
    """Return the verdict on the toy that needs a user namespace and a mount inside of it."""
    settings = {"module": "unpacked", "command": "unpacked", "seconds": 240, "restricted": False, "seccomp": ""}
    record = {"record": f"{DIRECTORY}/tool-of-a-test", "configuration": "test", "image": IMAGE}
    try:
        found: dict[str, Any] = server.program("cvmfs_csi_tool", **{**settings, **record, **params})
    finally:
        server.root(f"rm -f {DIRECTORY}/tool-of-a-test")
    return found


def test_a_toy_runs_through_its_module(server: Server, measured: Callable[[str], None]) -> None:
    found = tried(server)
    assert (found["runs"], found["said"]) == (True, "unpacked runs in a step and says: unpacked 1.0")
    measured(f"{found['seconds']:.0f} s")


KEY = "user.max_user_namespaces"
#: The same, with the limit set in a user namespace of the pod's own, which owns it: not every machine may set its own
#: (CAP_SYS_RESOURCE). The kernel refuses in both cases, for the same reason.
NESTED = (
    ("[\"/bin/sh\", \"-c\", script]",
     "[\"unshare\", \"--user\", \"--map-root-user\", \"sh\", \"-c\", "
     "\"echo 0 > /proc/sys/user/max_user_namespaces; exec sh -c \\\"$0\\\"\", script]"),
    ('"securityContext": security', '"securityContext": {"privileged": True}'),
)  # fmt: skip


@contextlib.contextmanager
def without_namespaces(server: Server) -> Iterator[tuple[tuple[str, str], ...]]:
    """Turn user namespaces off, on again also where nobody is left to ask for it; yield what to change in the pod."""
    before = server.root(f"docker exec minikube sysctl -n {KEY}")
    if "denied" in server.root(f"docker exec minikube sysctl -w {KEY}={before} 2>&1 || true"):
        yield NESTED
        return
    restore = f"docker exec minikube sysctl -q -w {KEY}={before}"
    server.root(f"systemd-run --quiet --unit=restore-namespaces --on-active=300 /bin/sh -c '{restore}'")
    try:
        server.root(f"docker exec minikube sysctl -q -w {KEY}=0")
        yield ()
    finally:
        server.root(f"{restore}; systemctl stop restore-namespaces.timer")


def test_without_user_namespaces_the_verdict_names_them(server: Server) -> None:
    before = server.root(f"docker exec minikube sysctl -n {KEY}")
    with without_namespaces(server) as changes:
        found = tried(server, changes=changes)
    assert not found["runs"]
    assert "user namespaces are off on this server (user.max_user_namespaces=0)" in found["said"]
    assert server.root(f"docker exec minikube sysctl -n {KEY}") == before
    assert tried(server)["runs"]


def test_with_a_seccomp_profile_the_verdict_names_it(server: Server) -> None:
    found = tried(server, seccomp="RuntimeDefault")
    assert not found["runs"]
    assert "the pod's seccomp profile forbids user namespaces (RuntimeDefault" in found["said"]


def test_a_module_that_is_not_there_is_named(server: Server) -> None:
    found = tried(server, module="nothing", command="nothing")
    assert "there is no such module" in found["said"]

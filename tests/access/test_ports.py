"""Somebody else on the server's network reaches no port of server, node or Neurodesktop but sshd's (S0-19)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.rehearsal.instance import Instance
from tests.server import probe

Root = Callable[..., str]
BRIDGES = ("172.29.88.0/24", "172.17.0.0/16")


def listening(text: str) -> set[tuple[str, int]]:
    """Return address and port of every line of `ss -Hltn`."""
    found = set()
    for line in text.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        found.add((re.sub(r"%.*$", "", address).strip("[]"), int(port)))
    return found


@pytest.fixture(scope="module")
def places(instance: Instance, root: Root) -> dict[str, tuple[set[str], set[int]]]:
    """The addresses and the listening ports of the server, the node and Neurodesktop; the latter as seen inside."""
    format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
    own = set(root("ip -4 -o addr show | awk '{print $4}' | cut -d/ -f1").split())
    found = {"server": ({*own, instance.state["server_ip"]}, {port for _, port in listening(root("ss -Hltn"))})}
    for name in ("minikube", "neurodesktop"):
        pid = root(f"docker inspect --format '{{{{.State.Pid}}}}' {name}")
        inside = listening(root(f"nsenter --target {pid} --net ss -Hltn"))
        addresses = set(root(f"docker inspect --format '{format}' {name}").split())
        found[name] = (addresses, {port for address, port in inside if not address.startswith(("127.", "::1"))})
    return found


@pytest.fixture
def routes(instance: Instance, places: dict[str, tuple[set[str], set[int]]]) -> Iterator[None]:
    """Give the stranger routes through the server to its loopback, its bridges and their containers."""
    everywhere = {address for addresses, _ in places.values() for address in addresses}
    networks = ["127.0.0.0/8", *(f"{each}/32" for each in sorted(everywhere) if each != instance.state["server_ip"])]
    networks = [each for each in networks if not each.startswith("127.0.0.1/")]
    try:
        instance.route_stranger(*networks)
        yield
    finally:
        for network in networks:
            instance.execute("stranger", "ip", "route", "delete", network, check=False)
        instance.execute("stranger", "ip", "address", "replace", "127.0.0.1/8", "dev", "lo")


@pytest.mark.usefixtures("routes")
def test_every_listening_port_is_refused_but_sshds(
    instance: Instance, places: dict[str, tuple[set[str], set[int]]], measured: Callable[[str], None]
) -> None:
    assert {8888, 31380, 9000, 22} <= places["server"][1]  # else nothing would be proven
    assert 8443 in places["minikube"][1]
    assert 8888 in places["neurodesktop"][1]
    targets = sorted(
        {(address, port) for addresses, ports in places.values() for address in addresses for port in ports}
    )
    found: dict[probe.Target, str] = {}
    for start in range(0, len(targets), 100):
        found |= probe.from_stranger(instance, targets[start : start + 100])
    opened = {target for target, outcome in found.items() if outcome == "open"}
    # The server's sshd is for everybody, at whichever of its addresses.
    assert {target for target in opened if target[1] != 22 or target[0] not in places["server"][0]} == set()
    assert (instance.state["server_ip"], 22) in opened
    measured(
        f"{len(targets)} addresses and ports tried from the stranger, {len(opened)} open, all of them the server's sshd"
    )

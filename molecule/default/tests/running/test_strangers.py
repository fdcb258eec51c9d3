"""Somebody else on the server's network reaches no port of JupyterLab's or the desktop's, whatever routes he sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import pytest

from tests.rehearsal.instance import Instance
from tests.server import probe

PORTS = (8888, 8080, 3389, 5901, 2222)
"""JupyterLab, Tomcat, xrdp, VNC and the desktop's sshd."""
FORWARDS = (31380, 9000)
"""Kubeflow Pipelines' user interface and the object store."""
OURS = "172.29.88.1"
"""The server's own address on our bridge."""
ORDINARY = "172.17.0.1"
"""The server's own address on Docker's ordinary bridge."""


@pytest.fixture
def control(root: Callable[..., str], container: dict[str, object]) -> Iterator[str]:
    """An unprotected twin: a container on Docker's ordinary bridge, published on loopback, and a listener everywhere.

    Yields the container's address.
    """
    # Docker's proxy accepts before the container listens, so that only an answer counts.
    listens = "import urllib.request as u; u.urlopen('http://127.0.0.1:18888'); u.urlopen('http://127.0.0.1:18889')"
    try:
        root(
            "docker run --detach --rm --name control --user root --entrypoint python3 --publish 127.0.0.1:18888:8888 "
            f"{container['Image']} -m http.server 8888\n"
            "systemd-run --quiet --unit=control python3 -m http.server 18889\n"
            f'for try in $(seq 300); do python3 -c "{listens}" 2>/dev/null && exit 0; sleep 0.2; done; exit 1'
        )
        yield root("docker inspect --format '{{.NetworkSettings.IPAddress}}' control")
    finally:
        root("systemctl stop control; docker rm --force control")


@pytest.fixture
def routes(instance: Instance) -> Iterator[None]:
    """Give the stranger routes through the server to its loopback and to its bridges."""
    networks = ("127.0.0.0/8", "172.29.88.0/24", "172.17.0.0/16")
    try:
        instance.route_stranger(*networks)
        yield
    finally:
        for network in networks:
            instance.execute("stranger", "ip", "route", "delete", network, check=False)
        instance.execute("stranger", "ip", "address", "replace", "127.0.0.1/8", "dev", "lo")


def opened(found: dict[probe.Target, str]) -> list[probe.Target]:
    """Return those targets that answered."""
    return [target for target, outcome in found.items() if outcome == "open"]


def test_the_ports_are_open_for_the_server_itself(instance: Instance, container_ip: str) -> None:
    # Without this, a refusal below could mean that nothing listens.
    targets = [("127.0.0.1", 8888), *((container_ip, port) for port in PORTS)]
    targets += [(address, port) for address in ("127.0.0.1", OURS) for port in FORWARDS]
    assert opened(probe.from_server(instance, targets)) == targets


def test_a_neighbour_reaches_nothing(instance: Instance) -> None:
    # The bridges' addresses would leave by his default gateway, away from the server: they follow below, with routes.
    server = instance.state["server_ip"]
    found = probe.from_stranger(instance, [(server, 22), *((server, port) for port in PORTS + FORWARDS)])
    assert opened(found) == [(server, 22)]


@pytest.mark.usefixtures("routes")
def test_a_neighbour_with_routes_through_the_server_reaches_nothing(
    instance: Instance, container_ip: str, control: str
) -> None:
    server = instance.state["server_ip"]
    # The same ways lead to the twin: by loopback, to a container, to a bridge's own address.
    controls = [(server, 22), ("127.0.0.1", 18888), (control, 8888), (ORDINARY, 18889)]
    addresses = (server, "127.0.0.1", container_ip, OURS, ORDINARY)
    found = probe.from_stranger(instance, [*controls, (OURS, 18889), *product(addresses, PORTS + FORWARDS)])
    assert opened(found) == controls, found


def test_containers_on_other_bridges_reach_nothing(
    root: Callable[..., str], container_ip: str, container: dict[str, object]
) -> None:
    program = (
        "import socket\nfor port in (8888, 8080, 3389, 5901, 2222):\n"
        f"  print(socket.socket().connect_ex(('{container_ip}', port)))"
    )
    shown = root(
        f'docker run --rm --user root --entrypoint python3 {container["Image"]} -c "{program}"',
    ).split()
    assert len(shown) == len(PORTS)
    assert "0" not in shown

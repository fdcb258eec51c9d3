"""Addresses of the server's private bridge."""

from __future__ import annotations

import ipaddress


def gateway(subnet: str) -> str:
    """Return the address that Docker gives the server itself on a bridge: the first one of its IPv4 ``subnet``.

    Raises:
        ValueError: it is no network, or has no room.
    """
    network = ipaddress.IPv4Network(subnet)
    if network.prefixlen > 30:
        raise ValueError(f"{subnet} has no room for a server and a container")
    return str(network.network_address + 1)

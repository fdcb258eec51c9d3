"""Addresses of the server's private bridge, and where Kubeflow Pipelines answers."""

from __future__ import annotations

import ipaddress
from typing import Any

#: By this name a container finds the machine whose Docker Desktop runs it; it is in another virtual machine than WSL's.
DESKTOP_HOST = "host.docker.internal"
#: Pods find the object store at this port, and its forward has no other: one URL for JupyterLab and for steps.
STORE_PORT = 9000


def gateway(subnet: str) -> str:
    """Return the address that Docker gives the server itself on a bridge: the first one of its IPv4 ``subnet``.

    Raises:
        ValueError: it is no network, or has no room.
    """
    network = ipaddress.IPv4Network(subnet)
    if network.prefixlen > 30:
        raise ValueError(f"{subnet} has no room for a server and a container")
    return str(network.network_address + 1)


def endpoints(listen: str, ui_port: int, gateway: str, namespace: str, desktop: bool = False) -> dict[str, Any]:
    """Return where the forwards listen and where Kubeflow Pipelines answers through them.

    Args:
        listen: address on the server that the operator wants the forwards at.
        ui_port: port on the server of the page and the API.
        gateway: the server's own address on Neurodesktop's bridge.
        namespace: that of Kubeflow Pipelines.
        desktop: the Docker is Docker Desktop's, in another machine than this one: there is no bridge here.

    Returns:
        ``listen`` (addresses), ``store_name``; URLs: ``ui``, ``api``, ``object_store`` as the server sees them,
        ``container_api`` and ``container_object_store`` as JupyterLab sees them. The last one holds in pods, too.
    """
    everywhere = listen in {"0.0.0.0", "::"}  # noqa: S104  # what the operator asked for is recognised, not chosen
    address = "127.0.0.1" if everywhere else listen
    shown = f"[{address}]" if ":" in address else address
    domain = f"{namespace}.svc.cluster.local"
    store = f"minio-service.{domain}"
    inside = DESKTOP_HOST if desktop else f"ml-pipeline-ui.{domain}"
    return {
        "listen": [listen] if everywhere or desktop else list(dict.fromkeys([listen, gateway])),
        "address": address,
        "store_name": store,
        "ui": f"http://{shown}:{ui_port}",
        "api": f"http://{shown}:{ui_port}/pipeline",
        "object_store": f"http://{shown}:{STORE_PORT}",
        "container_api": f"http://{inside}:{ui_port}/pipeline",
        "container_object_store": f"http://{store}:{STORE_PORT}",
    }

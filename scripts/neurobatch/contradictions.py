"""What an inventory says that cannot be true together, or that no server could make true.

Names and types are judged by `neurobatch.inventory`; here it is values that are well-formed, each for itself.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from neurobatch import sizing
from neurobatch.inventory import Problem
from neurobatch.remote.cvmfs import signature
from neurobatch.wording import listed, shown

#: Settled by convention: pods and JupyterLab find the object store at one and the same URL.
OBJECT_STORE_PORT = 9000
#: Networks that the cluster makes: Minikube's own, services, pods (kubeadm's and Minikube's defaults).
CLUSTER_NETWORKS = {
    "192.168.49.0/24": "Minikube's network",
    "10.96.0.0/12": "the cluster's services",
    "10.244.0.0/16": "the cluster's pods",
}
#: Namespaces that Kubernetes or the CVMFS driver has.
TAKEN_NAMESPACES = ("default", "cvmfs")
_SERVER = re.compile(r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._/-]*)?$")

Values = Mapping[str, Any]


def contradictions(values: Values) -> list[Problem]:
    """Return a problem for each contradiction in ``values``: every variable by name, set or default."""
    return [problem for rule in RULES for problem in rule(values)]


def ports(values: Values) -> Iterator[Problem]:
    """Two listeners cannot share a port."""
    takers: dict[int, list[str]] = defaultdict(list)
    takers[OBJECT_STORE_PORT].append("the object store (always)")
    for name in ("neurodesktop_port", "port_forward_ui_port"):
        takers[int(values[name])].append(name)
    for forward in values["port_forward_forwards"]:
        if str(forward.get("port", "")).isdigit():
            takers[int(forward["port"])].append(f"the forward {forward.get('name', '?')}")
    for port, names in takers.items():
        if len(names) > 1:
            variable = next((name for name in names if name in values), "port_forward_forwards")
            message = f"port {port} is asked for by {listed(names)}; give {variable} another port"
            yield Problem(variable, message)


def networks(values: Values) -> Iterator[Problem]:
    """Neurodesktop's bridge must not take addresses of the cluster."""
    asked = values["neurodesktop_subnet"]
    try:
        subnet = ipaddress.ip_network(asked)
    except ValueError:
        yield Problem(
            "neurodesktop_subnet", f"neurodesktop_subnet is {shown(asked)}, but must be a network, e.g. 172.29.88.0/24"
        )
        return
    for network, whose in CLUSTER_NETWORKS.items():
        if subnet.overlaps(ipaddress.ip_network(network)):
            message = f"neurodesktop_subnet is {asked}, which overlaps {whose} ({network}); take e.g. 172.29.88.0/24"
            yield Problem("neurodesktop_subnet", message)


def existing_cluster(values: Values) -> Iterator[Problem]:
    """A cluster that is there already is found by its kubeconfig, and that means nothing where we make one."""
    name, path = "existing_cluster_kubeconfig", str(values["existing_cluster_kubeconfig"])
    if values["cluster_kind"] == "minikube":
        if path:
            message = f"{name} is set, but cluster_kind is minikube, which makes a cluster; set cluster_kind to admin"
            yield Problem(name, message)
        if values["existing_cluster_namespace"] != "kubeflow":
            message = "existing_cluster_namespace is set, but cluster_kind is minikube, which installs into kubeflow"
            yield Problem("existing_cluster_namespace", f"{message}; set cluster_kind to admin, or leave it out")
        return
    if values["cvmfs_csi_namespaces"]:
        message = "cvmfs_csi_namespaces is set, but the described account has no rights in other namespaces"
        yield Problem("cvmfs_csi_namespaces", f"cluster_kind is admin, and {message}; make the claims there by hand")
    if not path.startswith(("/", "~/")):
        said = f"is {shown(path)}" if path else "is empty"
        example = "an absolute path on the controlling machine, e.g. {{ inventory_dir }}/kubeconfig"
        yield Problem(name, f"cluster_kind is {values['cluster_kind']}, but {name} {said}; write {example}")
    space = str(values["existing_cluster_namespace"])
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", space):
        message = f"existing_cluster_namespace is {shown(space)}, but must be a name of Kubernetes, e.g. kubeflow"
        yield Problem("existing_cluster_namespace", message)
    elif space in TAKEN_NAMESPACES or space.startswith("kube-"):
        message = f"existing_cluster_namespace is {space}, which has another purpose; take e.g. kubeflow"
        yield Problem("existing_cluster_namespace", message)


def cluster(values: Values) -> Iterator[Problem]:
    """Wishes below the least are refused without asking a server; what is too large for it, preflight says."""
    cpus, memory = int(values["minikube_cpus"]), int(values["minikube_memory_mb"])
    if cpus and cpus < sizing.MIN_CPUS:
        yield Problem("minikube_cpus", f"minikube_cpus is {cpus}, but must be 0 (automatic) or at least 2")
    if memory and memory < sizing.FLOOR_MEMORY_MIB:
        least = f"0 (automatic) or at least {sizing.FLOOR_MEMORY_MIB}, which Kubernetes with Kubeflow Pipelines needs"
        yield Problem("minikube_memory_mb", f"minikube_memory_mb is {memory}, but must be {least}")


def cvmfs(values: Values) -> Iterator[Problem]:
    """The repository needs servers that are base URLs, each once, and a key by which they are believed."""
    servers = [str(server).rstrip("/") for server in values["cvmfs_servers"]]
    if not servers:
        yield Problem(
            "cvmfs_servers", "cvmfs_servers is empty, but the tools come from there; leave it out for Neurodesk's"
        )
    for server in servers:
        if not _SERVER.match(server) or "/cvmfs" in server.partition("://")[2]:
            message = f"cvmfs_servers names {shown(server)}, but must name base URLs, e.g. http://cvmfs.neurodesk.org"
            yield Problem("cvmfs_servers", message)
    for server in sorted({server for server in servers if servers.count(server) > 1}):
        yield Problem("cvmfs_servers", f"cvmfs_servers names {server} twice; remove one")
    try:
        signature.public_key(signature.der(values["cvmfs_public_key"], "PUBLIC KEY"))
    except signature.ForgedError:
        message = "cvmfs_public_key is no RSA key in PEM; it begins with -----BEGIN PUBLIC KEY-----"
        yield Problem("cvmfs_public_key", message)


def room(values: Values) -> Iterator[Problem]:
    """Room is asked for at absolute paths, in numbers."""
    for path, size in values["preflight_min_free_gb"].items():
        if not re.match(r"^(/|~(/|$))", str(path)):
            message = f"preflight_min_free_gb names {shown(path)}, but must name absolute paths or ~"
            yield Problem("preflight_min_free_gb", message)
        if isinstance(size, bool) or not re.fullmatch(r"\d+(\.\d+)?", str(size)):
            message = (
                f"preflight_min_free_gb asks for {shown(size)} at {path}, but must ask for a number of GB, e.g. 60"
            )
            yield Problem("preflight_min_free_gb", message)


RULES: tuple[Callable[[Values], Iterator[Problem]], ...] = (ports, networks, existing_cluster, cluster, cvmfs, room)

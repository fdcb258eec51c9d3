"""What `minikube start` sees to before it touches anything: version, user, CPUs and memory."""

from __future__ import annotations

import os
import re
from typing import Any

from . import KUBERNETES, node
from .flags import Call, refuse
from .outcome import (
    CONTROL_PLANE_UNSUPPORTED,
    DRIVER_PERMISSION,
    INSUFFICIENT_CORES,
    INSUFFICIENT_MEMORY,
    PROGRAM_ERROR,
    USAGE,
    Failure,
    Say,
)

MIN_MEMORY, RECOMMENDED_MEMORY, MIN_CPUS = 1800, 1900, 2
"""MiB, MiB and CPUs of cmd/minikube/cmd/start_flags.go."""

UNITS = {"": 1.0, "m": 1.0, "mb": 1.0, "mib": 1.0, "g": 1024.0, "gb": 1024.0, "gib": 1024.0, "k": 1 / 1024,
         "kb": 1 / 1024, "kib": 1 / 1024, "b": 1 / 2**20}  # fmt: skip


def memory_mib(text: str) -> int:
    """Return MiB of `9216`, `9216mb`, `1.5g` or `no-limit` (0); units are powers of two, as in Minikube.

    Raises:
        Failure: it is none of these.
    """
    if text == "no-limit":
        return 0
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", text)
    if not match or match[2].lower() not in UNITS:
        raise Failure("MK_USAGE", USAGE, f"Unable to parse memory '{text}': invalid size: '{text}'")
    return int(float(match[1]) * UNITS[match[2].lower()])


def version(call: Call, existing: dict[str, Any] | None, name: str) -> None:
    """See that the wanted Kubernetes is one that there is."""
    old = existing["KubernetesConfig"]["KubernetesVersion"] if existing else ""
    wanted = call.text("kubernetes-version", old)
    wanted = wanted if wanted.startswith("v") or not wanted else f"v{wanted}"
    if not re.fullmatch(r"v\d+\.\d+\.\d+", wanted):
        raise refuse(f'this stand-in needs --kubernetes-version={KUBERNETES}, not "{wanted}"')
    if existing and _number(wanted) < _number(old):
        raise Failure(
            "K8S_DOWNGRADE_UNSUPPORTED",
            CONTROL_PLANE_UNSUPPORTED,
            f"Unable to safely downgrade existing Kubernetes {old} cluster to {wanted}",
            f"Recreate the cluster: minikube delete -p {name}",
        )
    if wanted != KUBERNETES:
        older = _number(wanted) < _number(KUBERNETES)
        identifier = "K8S_OLD_UNSUPPORTED" if older else "K8S_NEW_UNSUPPORTED"
        raise Failure(
            identifier,
            CONTROL_PLANE_UNSUPPORTED,
            f"Kubernetes {wanted[1:]} is not supported by this release of minikube (a stand-in with {KUBERNETES} only)",
        )


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version[1:].split("."))


def user(call: Call, say: Say) -> None:
    """Refuse root, as cmd/minikube/cmd/start.go does."""
    if os.geteuid() != 0:
        return
    said = 'The "docker" driver should not be used with root privileges.'
    say.warning(f"{said} If you wish to continue as root, use --force.")
    if not call.on("force"):
        raise Failure("DRV_AS_ROOT", DRIVER_PERMISSION, said)


def size(profile: dict[str, Any], *, forced: bool, say: Say) -> None:
    """See that the node fits the machine and Kubernetes the node."""
    available, memory = node.machine()

    def refuse_unless_forced(identifier: str, code: int, message: str) -> None:
        if not forced:
            raise Failure(identifier, code, message)
        say.warning(message)

    if available < MIN_CPUS:
        refuse_unless_forced(
            "RSRC_INSUFFICIENT_CORES",
            INSUFFICIENT_CORES,
            "Docker has less than 2 CPUs available, but Kubernetes requires at least 2 to be available",
        )
    wanted, asked = profile["CPUs"], profile["Memory"]
    if wanted and wanted < MIN_CPUS:
        refuse_unless_forced(
            "RSRC_INSUFFICIENT_CORES",
            INSUFFICIENT_CORES,
            f"Requested cpu count {wanted} is less than the minimum allowed of {MIN_CPUS}",
        )
    if wanted > available:
        refuse_unless_forced(
            "RSRC_INSUFFICIENT_CORES",
            INSUFFICIENT_CORES,
            f"Requested cpu count {wanted} is greater than the available cpus of {available}",
        )
    if memory < MIN_MEMORY:
        refuse_unless_forced(
            "RSRC_INSUFFICIENT_CONTAINER_MEMORY",
            INSUFFICIENT_MEMORY,
            f"docker only has {memory}MiB available, less than the required {MIN_MEMORY}MiB for Kubernetes",
        )
    if not asked:
        return
    if asked < MIN_MEMORY:
        refuse_unless_forced(
            "RSRC_INSUFFICIENT_REQ_MEMORY",
            INSUFFICIENT_MEMORY,
            f"Requested memory allocation {asked}MiB is less than the usable minimum of {MIN_MEMORY}MB",
        )
    elif asked < RECOMMENDED_MEMORY:
        say.warning(
            f"Requested memory allocation ({asked}MB) is less than the recommended minimum {RECOMMENDED_MEMORY}MB. "
            "Deployments may fail."
        )
    if asked > memory:
        refuse_unless_forced(
            "RSRC_OVER_ALLOC_MEM",
            PROGRAM_ERROR,
            f"Requested memory allocation {asked}MB is more than your system limit {memory}MB.",
        )
    elif asked > memory - 1024:
        say.warning(
            f"The requested memory allocation of {asked}MiB does not leave room for system overhead "
            f"(total system memory: {memory}MiB). You may face stability issues."
        )


def cpus(text: str) -> int:
    if text == "no-limit":
        return 0
    if text == "max":
        return node.machine()[0]
    if not text.isdigit():
        raise Failure("MK_USAGE", USAGE, f'invalid argument "{text}" for "--cpus"')
    return int(text)


def default_memory() -> int:
    """Return Minikube's own choice in MiB: a quarter, at least 3072, at most 6144."""
    return max(min(node.machine()[1] // 4, 6144), 3072)

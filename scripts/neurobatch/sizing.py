"""How large the cluster is on a host (S0-29, S0-30): one function, `size`, and the figures it rests on.

    cpus       = wish, or the guide's 5, at most the host's              CPU time is shared: it may have all
    memory_mib = wish, or the guide's 9216, at most host - RESERVED_MIB  memory is not: it never has all

What exists is never resized: Minikube fixes both when the cluster is created. Units: MiB is 2**20 bytes, GiB 2**30.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MIB = 2**20
GIB = 2**30
#: What Minikube's docker driver and Kubernetes' control plane ask for at least.
MIN_CPUS = 2
#: Kubeflow Pipelines, Kubernetes, Neurodesktop and one small step beside the system: the sum of the figures below.
MIN_MEMORY_GIB = 10
#: MemTotal is less than the memory installed: the kernel's own image, page tables, firmware and a crash kernel
#: (RHEL 9 keeps 256 MiB on such a machine) take up to 6 % of 10 GiB before Linux counts.
MEMORY_TOLERANCE = 0.06
#: The guide's `minikube start --cpus=5 --memory=9216`.
GUIDE_CPUS = 5
GUIDE_MEMORY_MIB = 9216
#: Left to the system with Docker (1536) and Neurodesktop: JupyterLab with a kernel and the desktop's Java (2560).
RESERVED_MIB = 4096
#: The requests of all pods of KFP 2.0.0's env/platform-agnostic, summed: 0.63 CPU, 2970 MiB.
KFP_CPUS = 0.63
KFP_MEMORY_MIB = 2970
#: kubeadm's requests for API server, controllers, scheduler and etcd, with CoreDNS and kindnet: 0.85 CPU. Memory: what
#: they, kubelet, containerd and the CVMFS driver use, rounded up, since hardly any of them requests it.
KUBERNETES_CPUS = 0.85
KUBERNETES_MEMORY_MIB = 1536
#: Below this, Kubeflow Pipelines' own pods are not all scheduled.
FLOOR_MEMORY_MIB = KFP_MEMORY_MIB + KUBERNETES_MEMORY_MIB


class SizingError(ValueError):
    """The host is too small, or the wish does not fit it; the message says what would."""


@dataclass(frozen=True)
class Size:
    """What the cluster gets, and sentences on what will not fit or is not applied."""

    cpus: int
    memory_mib: int
    warnings: tuple[str, ...] = ()

    @property
    def step_cpus(self) -> float:
        """CPUs that steps may request together, rounded down to a tenth."""
        return math.floor((self.cpus - KFP_CPUS - KUBERNETES_CPUS) * 10) / 10

    @property
    def step_memory_mib(self) -> int:
        """MiB that steps may request together."""
        return self.memory_mib - FLOOR_MEMORY_MIB


def enough_memory(host_memory_bytes: int, *, exact: bool = False) -> bool:
    """Tell whether a host has the least memory: a nominal 10 GiB counts, unless the figure is `exact` (a limit)."""
    return host_memory_bytes >= MIN_MEMORY_GIB * GIB * (1 if exact else 1 - MEMORY_TOLERANCE)


def size(
    host_cpus: int, host_memory_bytes: int, cpus: int = 0, memory_mib: int = 0, *, existing: Size | None = None
) -> Size:
    """Return the cluster's CPUs and memory.

    Args:
        host_cpus: CPUs that the host may use, after affinity and quotas.
        host_memory_bytes: memory that the host may use, as the kernel counts it.
        cpus: the operator's wish; 0 means the guide's where the host has them, else all.
        memory_mib: the operator's wish in MiB; 0 means the guide's where they fit, else what is left.
        existing: the cluster that is there already; it keeps its size, whatever the host and the wishes are.

    Raises:
        SizingError: the host is too small for any cluster, or a wish does not fit.
    """
    if existing:
        return Size(existing.cpus, existing.memory_mib, _not_applied(existing, cpus, memory_mib))
    host_mib = host_memory_bytes // MIB
    if host_cpus < MIN_CPUS:
        raise SizingError(f"the server may use {host_cpus} CPU, but at least {MIN_CPUS} are needed: give it more")
    if not enough_memory(host_memory_bytes):
        raise SizingError(
            f"the server has {host_memory_bytes / GIB:.1f} GiB of memory, but at least {MIN_MEMORY_GIB} GiB are "
            "needed: give it more"
        )
    room = host_mib - RESERVED_MIB
    if cpus and not MIN_CPUS <= cpus <= host_cpus:
        raise SizingError(f"minikube_cpus is {cpus}, but must be 0 (automatic) or from {MIN_CPUS} to {host_cpus}")
    if memory_mib and not FLOOR_MEMORY_MIB <= memory_mib <= room:
        raise SizingError(
            f"minikube_memory_mb is {memory_mib}, but must be 0 (automatic) or from {FLOOR_MEMORY_MIB} (Kubernetes "
            f"with Kubeflow Pipelines) to {room}: of the server's {host_mib} MiB {RESERVED_MIB} stay with it and "
            "Neurodesktop"
        )
    chosen = Size(cpus or min(GUIDE_CPUS, host_cpus), memory_mib or min(GUIDE_MEMORY_MIB, room))
    return Size(chosen.cpus, chosen.memory_mib, _missing(chosen))


def _missing(chosen: Size) -> tuple[str, ...]:
    """Return what will not fit into a cluster smaller than the guide's."""
    said = []
    if chosen.cpus < GUIDE_CPUS:
        said.append(
            f"The cluster gets {chosen.cpus} of the guide's {GUIDE_CPUS} CPUs: its steps may ask for "
            f"{chosen.step_cpus:g} together, and one that asks for more never starts."
        )
    if chosen.memory_mib < GUIDE_MEMORY_MIB:
        said.append(
            f"The cluster gets {chosen.memory_mib} of the guide's {GUIDE_MEMORY_MIB} MiB: its steps may ask for "
            f"{chosen.step_memory_mib} together, and one that asks for more never starts."
        )
    return tuple(said)


def _not_applied(existing: Size, cpus: int, memory_mib: int) -> tuple[str, ...]:
    """Return the wishes that an existing cluster does not follow."""
    wishes = (("minikube_cpus", cpus, existing.cpus), ("minikube_memory_mb", memory_mib, existing.memory_mib))
    return tuple(
        f"{name} is {wish}, but the cluster was created with {kept} and keeps that: to change it, back up, remove the "
        "cluster (playbooks/reset.yml) and install it again."
        for name, wish, kept in wishes
        if wish and wish != kept
    )

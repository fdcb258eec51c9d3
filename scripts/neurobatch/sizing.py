"""How large the cluster may be on a host (S0-29, S0-30)."""

from __future__ import annotations

from dataclasses import dataclass

#: The guide's `minikube start --cpus=5 --memory=9216`.
GUIDE_CPUS = 5
GUIDE_MEMORY_MIB = 9216
#: Kubeflow Pipelines' pods request 2970 MiB; Kubernetes itself takes about 1.5 GiB; a notebook step wants 1 GiB more.
KFP_MEMORY_MIB = 5632
#: Left to the host, Docker and Neurodesktop: JupyterLab with a kernel and the desktop's Java.
RESERVED_MIB = 4096
_MIB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """What the cluster gets."""

    cpus: int
    memory_mib: int
    #: Sentences on what will not fit.
    warnings: tuple[str, ...] = ()


class SizingError(ValueError):
    """The wish does not fit the host; the message says what would."""


def size(host_cpus: int, host_memory_bytes: int, cpus: int = 0, memory_mib: int = 0) -> Size:
    """Return the cluster's CPUs and memory.

    Args:
        host_cpus: CPUs that the host may use; the cluster may have all of them, since CPU time is shared.
        host_memory_bytes: the host's memory; `RESERVED_MIB` of it is never given away, since memory is not shared.
        cpus: the operator's wish; 0 means the guide's 5 where the host has them, else all.
        memory_mib: the operator's wish in MiB; 0 means the guide's 9216 where they fit, else what is left.

    Raises:
        SizingError: a wish exceeds the host.
    """
    host_mib = host_memory_bytes // _MIB
    room = host_mib - RESERVED_MIB
    if cpus > host_cpus:
        raise SizingError(f"minikube_cpus is {cpus}, but the server has {host_cpus}; set it to {host_cpus} or less")
    if memory_mib > room:
        raise SizingError(
            f"minikube_memory_mb is {memory_mib}, but of the server's {host_mib} MiB {RESERVED_MIB} stay with the host "
            f"and Neurodesktop; set it to {max(room, 0)} or less"
        )
    chosen = Size(cpus or min(GUIDE_CPUS, host_cpus), memory_mib or min(GUIDE_MEMORY_MIB, room))
    warnings = []
    if chosen.cpus < GUIDE_CPUS:
        warnings.append(f"The cluster gets {chosen.cpus} CPUs instead of {GUIDE_CPUS}: steps wait for each other.")
    if chosen.memory_mib < KFP_MEMORY_MIB:
        warnings.append(
            f"The cluster gets {chosen.memory_mib} MiB, and Kubeflow Pipelines with one notebook wants "
            f"{KFP_MEMORY_MIB}: large steps will not be scheduled."
        )
    elif chosen.memory_mib < GUIDE_MEMORY_MIB:
        left = chosen.memory_mib - KFP_MEMORY_MIB + 1024
        warnings.append(
            f"The cluster gets {chosen.memory_mib} of {GUIDE_MEMORY_MIB} MiB: steps may use {left} MiB together."
        )
    return Size(chosen.cpus, chosen.memory_mib, tuple(warnings))

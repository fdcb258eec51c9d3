"""Figures of the cluster's size, from `neurobatch.sizing` itself."""

from __future__ import annotations

from neurobatch import sizing
from neurobatch.pages.tables import table

#: CPUs, GiB of memory and what such a server is, from the smallest that passes to the largest in common use.
SERVERS = (
    (2, 10, "the smallest that is accepted"),
    (4, 16, "a laptop, a small virtual machine"),
    (8, 32, "a workstation"),
    (16, 64, "a lab server"),
    (48, 256, "a large lab server"),
    (128, 1024, "a compute node"),
)


def parts() -> dict[str, str]:
    """Return the generated blocks of docs/sizing.md by name."""
    return {
        "constants": table(("Figure", "Value", "Why"), _constants()),
        "servers": table(
            ("Server", "Cluster", "Its steps together", "Left to Neurodesktop and the server", "Most to ask for"),
            [_row(*server) for server in SERVERS],
        ),
        "refusals": table(("Server and wish", "It says"), _refusals()),
    }


def _row(cpus: int, gib: int, what: str) -> tuple[str, ...]:
    chosen = sizing.size(cpus, gib * sizing.GIB)
    mib = gib * 1024
    return (
        f"{cpus} CPUs, {gib} GiB: {what}",
        f"{chosen.cpus} CPUs, {chosen.memory_mib} MiB",
        f"{chosen.step_cpus:g} CPUs, {chosen.step_memory_mib} MiB",
        f"{mib - chosen.memory_mib} MiB",
        f"`minikube_cpus: {cpus}`, `minikube_memory_mb: {mib - sizing.RESERVED_MIB}`",
    )


def _constants() -> list[tuple[str, ...]]:
    return [
        ("guide", f"{sizing.GUIDE_CPUS} CPUs, {sizing.GUIDE_MEMORY_MIB} MiB", "the guide's size, taken where it fits"),
        (
            "reserved",
            f"{sizing.RESERVED_MIB} MiB",
            "system and Docker 1536, Neurodesktop 2560 (JupyterLab with a kernel, the desktop's Java)",
        ),
        (
            "Kubeflow Pipelines",
            f"{sizing.KFP_CPUS:g} CPU, {sizing.KFP_MEMORY_MIB} MiB",
            "what the pods of release 2.0.0 request, summed",
        ),
        (
            "Kubernetes",
            f"{sizing.KUBERNETES_CPUS:g} CPU, {sizing.KUBERNETES_MEMORY_MIB} MiB",
            "what the control plane requests (CPU) and uses with kubelet, containerd and the CVMFS driver (memory)",
        ),
        ("least", f"{sizing.MIN_CPUS} CPUs, {sizing.MIN_MEMORY_GIB} GiB", "all of the above and one small step"),
        ("tolerance", f"{sizing.MEMORY_TOLERANCE:.0%}", "of the memory installed is gone before Linux counts"),
    ]


def _refusals() -> list[tuple[str, str]]:
    rows = []
    for cpus, gib, wish_cpus, wish_mib in ((1, 16, 0, 0), (4, 8, 0, 0), (4, 16, 6, 0), (4, 16, 0, 14000)):
        try:
            sizing.size(cpus, gib * sizing.GIB, wish_cpus, wish_mib)
        except sizing.SizingError as error:
            wishes = (("minikube_cpus", wish_cpus), ("minikube_memory_mb", wish_mib))
            said = "".join(f", `{name}: {wish}`" for name, wish in wishes if wish)
            rows.append((f"{cpus} CPU{'s' * (cpus > 1)}, {gib} GiB{said}", str(error)))
    return rows

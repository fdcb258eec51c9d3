"""What every check of preflight shares: facts, wishes, findings.

Units: GiB is 2**30 bytes (memory), GB is 10**9 bytes (disks, as `df -H` shows).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["refuse", "warn", "ok"]
Facts = Mapping[str, Any]

GIB = 2**30
GB = 10**9


@dataclass(frozen=True)
class Finding:
    """The outcome of one check, with a sentence and what to do about it."""

    check: str
    severity: Severity
    message: str
    remedy: str = ""

    def sentence(self) -> str:
        """Return message and remedy as one sentence."""
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True)
class WantedPort:
    """A TCP port that a role will listen on, what moves it (a variable or nothing), and by what a listener is ours."""

    port: int
    purpose: str
    variable: str = ""
    address: str = "127.0.0.1"
    units: Sequence[str] = ()
    containers: Sequence[str] = ()


@dataclass(frozen=True)
class Wanted:
    """What the inventory asks of a server.

    Attributes:
        min_free_gb: path to GB that must be free where it lies; paths on one filesystem add up.
        ports: ports that must be free, or ours already.
        become_password: a password for `become` is configured, so that passwordless sudo is not needed.
        become_method: how Ansible becomes root; only sudo can be checked.
        minikube_cpus: the wish for the cluster's CPUs, 0 for none.
        minikube_memory_mb: the wish for the cluster's memory in MiB, 0 for none.
        cluster_kind: minikube, or admin, where nothing but forwards and the command line comes to this server.
        cvmfs_rank_servers: the CVMFS servers are asked in the order that is measured, not in the inventory's.
        now: seconds since 1970 on the controlling machine when the facts arrived; None leaves the clock unjudged.
    """

    min_free_gb: Mapping[str, float] = field(default_factory=dict)
    ports: Sequence[WantedPort] = ()
    become_password: bool = False
    become_method: str = "sudo"
    minikube_cpus: int = 0
    minikube_memory_mb: int = 0
    cluster_kind: str = "minikube"
    cvmfs_rank_servers: bool = True
    now: float | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Wanted:
        """Return the same from plain maps and lists, as a playbook has them.

        Raises:
            ValueError: a size is not a number.
        """
        ports = [WantedPort(**{**port, "port": int(port["port"])}) for port in data.get("ports", [])]
        try:
            room = {path: float(size) for path, size in data.get("min_free_gb", {}).items()}
        except (TypeError, ValueError):
            raise ValueError(
                "preflight_min_free_gb must map paths to numbers of GB, e.g. /var/lib/docker: 60"
            ) from None
        wishes = {name: int(data[name]) for name in ("minikube_cpus", "minikube_memory_mb") if name in data}
        return cls(**{**data, **wishes, "ports": ports, "min_free_gb": room})


#: One check: facts and wishes in, findings out; pure.
Check = Callable[[Facts, Wanted], list[Finding]]

"""Judge a server by the facts that `neurobatch.remote.host_probe` read: may we install here, and if not, what to do.

Pure functions: facts in, findings out. Each check returns findings of severity "refuse" (nothing is touched), "warn"
(shown, and the run goes on) or "ok". One module per topic; a topic's checks stand in `CHECKS` once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from neurobatch.preflight import cvmfs, engine, kernel, ports, room, surroundings, system
from neurobatch.preflight.model import GB, GIB, Check, Facts, Finding, Severity, Wanted, WantedPort
from neurobatch.wording import sentences

__all__ = [
    "CHECKS", "GB", "GIB", "SCHEMA", "Check", "Facts", "Finding", "Severity", "Wanted", "WantedPort",
    "plain", "refusal", "verdict", "warnings",
]  # fmt: skip

#: The version of the facts that this package reads.
SCHEMA = 2

#: What is judged, in the order in which it should be read: the names stand in findings and on docs/preflight.md.
CHECKS: dict[str, Check] = {
    "architecture": system.architecture,
    "os": system.operating_system,
    "container": system.container,
    "systemd": system.systemd,
    "x86-64-v2": kernel.level_2,
    "kernel": kernel.features,
    "cpus": room.cpus,
    "memory": room.memory,
    "size": room.cluster,
    "rights": engine.privileges,
    "disk": room.disks,
    "port": ports.ports,
    "cluster": engine.own_cluster,
    "docker": engine.docker,
    "apptainer": kernel.apptainer,
    "mysqld": kernel.mysqld,
    "inotify": kernel.inotify,
    "clock": surroundings.clock,
    "names": surroundings.names,
    "proxy": surroundings.proxy,
    "cvmfs": cvmfs.strata,
}
#: What is judged of a server whose cluster is elsewhere: the others are about Docker, the node and what runs there.
FOR_ANY_CLUSTER = ("architecture", "os", "systemd", "rights", "cluster", "port", "clock", "names", "proxy")


def verdict(facts: Facts, wanted: Wanted) -> list[Finding]:
    """Return the findings of all checks, those that refuse first, in the order in which they should be read.

    Raises:
        ValueError: the facts are of another schema than this module reads.
    """
    if facts.get("schema") != SCHEMA:
        raise ValueError(
            f"host facts of schema {facts.get('schema')!r} cannot be read, only {SCHEMA}: probe the host again"
        )
    names = CHECKS if wanted.cluster_kind == "minikube" else FOR_ANY_CLUSTER
    findings = [finding for name in names for finding in CHECKS[name](facts, wanted)]
    return sorted(findings, key=lambda finding: ("refuse", "warn", "ok").index(finding.severity))


def refusal(findings: Iterable[Finding], host: str = "this server") -> str:
    """Return one message with every reason to refuse and its remedy, empty when there is none."""
    reasons = [finding.sentence() for finding in findings if finding.severity == "refuse"]
    return sentences(reasons, f"about {host}") if reasons else ""


def warnings(findings: Iterable[Finding]) -> list[str]:
    """Return the sentences of the warnings."""
    return [finding.sentence() for finding in findings if finding.severity == "warn"]


def plain(findings: Iterable[Finding]) -> list[dict[str, str]]:
    """Return the findings as maps, for a playbook."""
    return [asdict(finding) for finding in findings]

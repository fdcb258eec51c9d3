"""Judge a server by the facts that `neurobatch.remote.host_probe` read: may we install here, and if not, what to do.

Pure functions: facts in, findings out. Each check returns findings of severity "refuse" (nothing is touched), "warn"
(shown, and the run goes on) or "ok". Units: GiB is 2**30 bytes (memory), GB is 10**9 bytes (disks, as `df -H` shows).
"""

from __future__ import annotations

import ipaddress
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from neurobatch.wording import listed, sentences

Severity = Literal["refuse", "warn", "ok"]
Facts = Mapping[str, Any]

#: The version of the facts that this module reads.
SCHEMA = 1
GIB = 2**30
GB = 10**9
#: What Kubernetes' control plane and Minikube's docker driver ask for at least.
MIN_CPUS = 2
#: Kubeflow Pipelines, Neurodesktop and one notebook's step beside the system.
MIN_MEMORY_GIB = 10
#: MemTotal is less than the memory installed: the kernel's own image, page tables, firmware and a crash kernel
#: (RHEL 9 keeps 256 MiB on such a machine) take up to 6 % of 10 GiB before Linux counts.
MEMORY_TOLERANCE = 0.06

SUPPORTED = {
    ("debian", "12"): "Debian 12",
    ("debian", "13"): "Debian 13",
    ("ubuntu", "22.04"): "Ubuntu 22.04",
    ("ubuntu", "24.04"): "Ubuntu 24.04",
}
#: Set by RHEL 9 and by every rebuild of it (Rocky, Alma, CentOS Stream, Oracle), unlike ID and VERSION_ID.
SUPPORTED_PLATFORM = "platform:el9"


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
    """A TCP port that a role will listen on, the variable that moves it, and by what its owner is known as ours."""

    port: int
    purpose: str
    variable: str
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
    """

    min_free_gb: Mapping[str, float] = field(default_factory=dict)
    ports: Sequence[WantedPort] = ()
    become_password: bool = False
    become_method: str = "sudo"

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
        return cls(**{**data, "ports": ports, "min_free_gb": room})


def verdict(facts: Facts, wanted: Wanted) -> list[Finding]:
    """Return the findings of all checks, those that refuse first, in the order in which they should be read.

    Raises:
        ValueError: the facts are of another schema than this module reads.
    """
    if facts.get("schema") != SCHEMA:
        raise ValueError(
            f"host facts of schema {facts.get('schema')!r} cannot be read, only {SCHEMA}: probe the host again"
        )
    findings = [finding for check in CHECKS for finding in check(facts, wanted)]
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


def architecture(facts: Facts, _: Wanted) -> list[Finding]:
    """S0-01: x86-64 only, as are Neurodesk's containers."""
    if facts["arch"] == "x86_64":
        return [Finding("architecture", "ok", "x86-64")]
    name = "arm64" if facts["arch"] in {"aarch64", "arm64"} else facts["arch"]
    return [
        Finding(
            "architecture",
            "refuse",
            f"This server is {name}, but Neurodesk's tools exist for x86-64 only",
            "choose an x86-64 server",
        )
    ]


def operating_system(facts: Facts, _: Wanted) -> list[Finding]:
    """Refuse what no role has variables for."""
    system = facts["os"]
    name = system.get("PRETTY_NAME") or system.get("ID") or "an unknown system"
    if facts["virtualisation"]["wsl"] == 1:
        remedy = "convert it in PowerShell with `wsl --set-version <distribution> 2`"
        return [Finding("os", "refuse", "This is WSL 1, which has no Linux kernel and runs no containers", remedy)]
    known = (system.get("ID"), system.get("VERSION_ID")) in SUPPORTED
    if known or system.get("PLATFORM_ID") == SUPPORTED_PLATFORM:
        return [Finding("os", "ok", name)]
    supported = listed([*SUPPORTED.values(), "a RHEL-compatible 9"], "or")
    return [Finding("os", "refuse", f"This server runs {name}, which is not supported", f"install {supported}")]


def systemd(facts: Facts, _: Wanted) -> list[Finding]:
    """Services are kept alive by systemd; without it nothing would come back after a reboot."""
    if facts["systemd"]:
        return [Finding("systemd", "ok", "systemd is running")]
    if facts["virtualisation"]["wsl"]:
        remedy = (
            "write `[boot]` and `systemd=true` into /etc/wsl.conf, run `wsl --shutdown` in PowerShell, and start again"
        )
    else:
        remedy = "boot the server with systemd as its init; a container without an init will not do"
    return [Finding("systemd", "refuse", "systemd is not running on this server", remedy)]


def cpus(facts: Facts, _: Wanted) -> list[Finding]:
    """S0-30: what may be used counts, after affinity and a container's quota."""
    have = facts["cpus"]
    usable = min(have["affinity"], have["quota"] or have["affinity"])
    said = f"{usable:g} CPU{'' if usable == 1 else 's'}"
    if usable >= MIN_CPUS:
        return [Finding("cpus", "ok", said)]
    of = f" of its {have['count']}" if have["count"] > usable else ""
    message = f"This server may use {said}{of}, but at least {MIN_CPUS} are needed"
    return [Finding("cpus", "refuse", message, "give the machine more CPUs or lift the limit")]


def memory(facts: Facts, _: Wanted) -> list[Finding]:
    """S0-30: a nominal 10 GiB is enough although Linux counts less of it; a container's limit is exact."""
    total, limit = facts["memory"]["total"], facts["memory"]["limit"]
    if limit is not None and limit < MIN_MEMORY_GIB * GIB:
        message = f"A control group limits this server to {limit / GIB:.1f} GiB of memory"
        remedy = "raise that limit"
    elif total < MIN_MEMORY_GIB * GIB * (1 - MEMORY_TOLERANCE):
        message = f"This server has {total / GIB:.1f} GiB of memory"
        remedy = "give the machine more memory"
    else:
        return [Finding("memory", "ok", f"{total / GIB:.1f} GiB of memory")]
    return [Finding("memory", "refuse", f"{message}, but at least {MIN_MEMORY_GIB} GiB are needed", remedy)]


def disks(facts: Facts, wanted: Wanted) -> list[Finding]:
    """S0-07: paths on one filesystem share its room. Once installed, the room is already used, so it only warns."""
    shared: dict[object, list[Facts]] = defaultdict(list)
    for disk in facts["disks"]:
        if disk["path"] in wanted.min_free_gb:
            shared[disk["device"] if disk["device"] is not None else disk["path"]].append(disk)
    findings = []
    for group in shared.values():
        paths = listed(disk["path"] for disk in group)
        need = sum(wanted.min_free_gb[disk["path"]] for disk in group)
        if group[0]["free"] is None:
            findings.append(Finding("disk", "warn", f"The room at {paths} could not be measured", "look with `df -H`"))
            continue
        free = min(disk["free"] for disk in group) / GB
        if free >= need:
            findings.append(Finding("disk", "ok", f"{free:.0f} GB free for {paths}"))
            continue
        left = math.floor(free * 10) / 10  # never rounded up to what is asked for
        message = f"{paths} {'have' if len(group) > 1 else 'has'} {left} GB free, but {need:g} GB are needed"
        remedy = "free or add space, or lower preflight_min_free_gb if you know that less will do"
        severity: Severity = "warn" if facts["service"]["loaded"] else "refuse"
        findings.append(Finding("disk", severity, message, remedy))
    return findings


def ports(facts: Facts, wanted: Wanted) -> list[Finding]:
    """A port must be free or ours; ours is what a re-run finds."""
    if facts["ports"] is None:
        return [Finding("port", "warn", "The listening ports could not be read", "look with `sudo ss -ltnp`")]
    return [_port(facts, port) for port in wanted.ports]


def _port(facts: Facts, wanted: WantedPort) -> Finding:
    label = f"Port {wanted.port} ({wanted.purpose})"
    holders = [row for row in facts["ports"] if row["port"] == wanted.port and _meets(wanted.address, row["address"])]
    strangers = [
        row for row in holders if row["unit"] not in wanted.units and row["container"] not in wanted.containers
    ]
    if not strangers:
        return Finding("port", "ok", f"{label} is {'ours' if holders else 'free'}")
    row = strangers[0]
    hidden = row["pid"] is None and row["container"] is None
    if hidden and facts["service"]["active"]:
        message = f"{label} is in use, and only root may see whether by our own service, which is running"
        return Finding("port", "warn", message, "look with `sudo ss -ltnp` if something else is meant to be there")
    if row["container"]:
        owner, stop = f"the container {row['container']}", f"`sudo docker stop {row['container']}`"
    elif row["unit"]:
        owner = f"{row['process']} (process {row['pid']}, {row['unit']})"
        stop = f"`sudo systemctl stop {row['unit']}`" if _stoppable(row["unit"]) else f"`sudo kill {row['pid']}`"
    elif row["pid"]:
        owner, stop = f"{row['process']} (process {row['pid']}, user {row['user']})", f"`sudo kill {row['pid']}`"
    else:
        owner, stop = f"a process of user {row['user']}", "`sudo ss -ltnp` names it"
    message = f"{label} is held by {owner}"
    return Finding("port", "refuse", message, f"stop it ({stop}) or set {wanted.variable} to a free port")


def _stoppable(unit: str) -> bool:
    """Tell whether stopping the unit stops only the listener: not a user's whole session, not the engine."""
    return not unit.startswith(("user@", "docker.", "containerd.", "ssh", "session-"))


def _meets(ours: str, theirs: str) -> bool:
    """Tell whether listeners on the two addresses exclude each other, or both would answer to "localhost"."""
    one, other = ipaddress.ip_address(ours), ipaddress.ip_address(theirs)
    other = getattr(other, "ipv4_mapped", None) or other
    return one.is_unspecified or other.is_unspecified or one == other or (one.is_loopback and other.is_loopback)


def privileges(facts: Facts, wanted: Wanted) -> list[Finding]:
    """Installing needs root: by login, by sudo without a password, or by a password given to Ansible."""
    rights, user = facts["rights"], facts["user"]["name"]
    if rights["root"] or rights["passwordless"]:
        return [Finding("rights", "ok", "may become root")]
    if wanted.become_method != "sudo":
        return [Finding("rights", "ok", f"becomes root by {wanted.become_method}")]
    if not rights["sudo"]:
        remedy = f"as root, install sudo and allow it to {user} in /etc/sudoers.d/{user}, or log in as root"
        return [Finding("rights", "refuse", f"sudo is not installed, and {user} is not root", remedy)]
    if wanted.become_password:
        return [Finding("rights", "ok", "a password for sudo is configured")]
    said = f" (sudo says: {rights['says']})" if rights["says"] else ""
    remedy = (
        "run with --ask-become-pass, or as root write "
        f"`{user} ALL=(ALL) NOPASSWD: ALL` into /etc/sudoers.d/{user} with `visudo -f`"
    )
    return [Finding("rights", "refuse", f"{user} cannot use sudo without a password{said}", remedy)]


def docker(facts: Facts, _: Wanted) -> list[Finding]:
    """Snap, rootless and podman's imitation cannot carry the stack (mounts, devices, cgroups)."""
    engine, user = facts["docker"], facts["user"]["name"]
    if engine["snap"]:
        message = f"Docker is installed as a snap ({engine['snap']}), which may not mount the server's folders"
        return [Finding("docker", "refuse", message, "move what you need out of it and run `sudo snap remove docker`")]
    if engine["podman"]:
        message = "The docker command is podman's imitation (podman-docker)"
        remove = (
            "`sudo dnf remove podman-docker`" if "PLATFORM_ID" in facts["os"] else "`sudo apt-get remove podman-docker`"
        )
        return [Finding("docker", "refuse", message, f"run {remove}; podman itself may stay")]
    if engine["rootless"]:
        message = f"{user} runs a rootless Docker ({engine['rootless']}), which cannot give devices to containers"
        remedy = f"as {user}, run `dockerd-rootless-setuptool.sh uninstall`"
        return [Finding("docker", "refuse", message, remedy)]
    if engine["desktop"]:
        message = "Docker comes from Docker Desktop, which this project has not been run with"
        return [Finding("docker", "warn", message, "turn its WSL integration off to get Docker Engine instead")]
    return [Finding("docker", "ok", engine["version"] or "no Docker yet")]


CHECKS: tuple[Callable[[Facts, Wanted], list[Finding]], ...] = (
    architecture,
    operating_system,
    systemd,
    cpus,
    memory,
    privileges,
    disks,
    ports,
    docker,
)

"""Checks of what the machine and its system are."""

from __future__ import annotations

from neurobatch.preflight.model import Facts, Finding, Wanted
from neurobatch.wording import listed

SUPPORTED = {
    ("debian", "12"): "Debian 12",
    ("debian", "13"): "Debian 13",
    ("ubuntu", "22.04"): "Ubuntu 22.04",
    ("ubuntu", "24.04"): "Ubuntu 24.04",
}
#: What somebody has run the whole of this project on; the rest rests on recorded facts of such systems.
REHEARSED = {("debian", "12")}
#: Set by RHEL 9 and by every rebuild of it (Rocky, Alma, CentOS Stream, Oracle), unlike ID and VERSION_ID.
SUPPORTED_PLATFORM = "platform:el9"


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
        where = " on WSL2" if facts["virtualisation"]["wsl"] else ""
        rehearsed = (system.get("ID"), system.get("VERSION_ID")) in REHEARSED and not where
        return [Finding("os", "ok", f"{name}{where}{'' if rehearsed else ', not rehearsed'}")]
    supported = listed([*SUPPORTED.values(), "a RHEL-compatible 9"], "or")
    return [Finding("os", "refuse", f"This server runs {name}, which is not supported", f"install {supported}")]


def container(facts: Facts, _: Wanted) -> list[Finding]:
    """Autofs and FUSE cannot be mounted where root is somebody else outside (unprivileged LXC, rootless Docker)."""
    outer = facts["kernel"]["outer_root"]
    if outer is None:
        kind = facts["virtualisation"]["kind"]
        return [Finding("container", "ok", "a machine of its own" if kind == "none" else f"runs in {kind}")]
    message = f"This server is an unprivileged container (its root is user {outer} outside), which cannot mount CVMFS"
    return [Finding("container", "refuse", message, "take a virtual machine, or make the container a privileged one")]


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

"""Read which system this is, and what it runs in. Formats: os-release(5), proc(5)."""

from __future__ import annotations

from neurobatch.remote.common import TIMEOUT, Facts, output, read


def os_release() -> Facts:
    """Return /etc/os-release as a map."""
    return names(read("/etc/os-release"))


def names(release: str) -> Facts:
    """Return the text of /etc/os-release as a map."""
    pairs = [line.split("=", 1) for line in release.splitlines() if "=" in line and line[0] != "#"]
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def virtualisation() -> Facts:
    """Return what the machine runs in: systemd's word for it, and the generation of WSL (None elsewhere)."""
    # It exits with 1 and prints "none" on bare metal, which `output` cannot tell from a missing program.
    kind = output("systemd-detect-virt", seconds=TIMEOUT) or "none"
    return {"kind": kind, "wsl": wsl(read("/proc/version"))}


def wsl(version: str) -> int | None:
    """Return the generation of WSL that the text of /proc/version tells of (None: another kernel)."""
    version = version.lower()
    if "microsoft" not in version:
        return None
    return 2 if "wsl2" in version or "microsoft-standard" in version else 1

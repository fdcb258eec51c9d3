"""Read which system this is, and what it runs in. Formats: os-release(5), proc(5)."""

from __future__ import annotations

from neurobatch.remote.common import TIMEOUT, Facts, output, read


def os_release() -> Facts:
    """Return /etc/os-release as a map."""
    pairs = [line.split("=", 1) for line in read("/etc/os-release").splitlines() if "=" in line and line[0] != "#"]
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def virtualisation() -> Facts:
    """Return what the machine runs in: systemd's word for it, and the generation of WSL (None elsewhere)."""
    version = read("/proc/version").lower()
    wsl = (2 if "wsl2" in version or "microsoft-standard" in version else 1) if "microsoft" in version else None
    # It exits with 1 and prints "none" on bare metal, which `output` cannot tell from a missing program.
    return {"kind": output("systemd-detect-virt", seconds=TIMEOUT) or "none", "wsl": wsl}

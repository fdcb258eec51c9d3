"""Read what the kernel can do for containers, CVMFS and Apptainer. Formats: proc(5), sysctl(8), modprobe(8)'s files.

A feature counts as there when it is registered or built in, as loadable when a module of it lies ready, as missing when
the kernel's configuration or its list of modules says so, and as unknown where neither can be read.
"""

from __future__ import annotations

import gzip
import platform
import re
from pathlib import Path

from neurobatch.remote.common import Facts, read

#: Feature: a filesystem that it registers (or ""), its modules, its configuration options.
FEATURES = {
    "overlay": ("overlay", ["overlay"], ["OVERLAY_FS"]),
    "bridge": ("", ["bridge"], ["BRIDGE"]),
    "veth": ("", ["veth"], ["VETH"]),
    "nat": ("", ["nf_nat", "iptable_nat", "nft_chain_nat"], ["NF_NAT"]),
    "conntrack": ("", ["nf_conntrack"], ["NF_CONNTRACK"]),
    "autofs": ("autofs", ["autofs4", "autofs"], ["AUTOFS_FS", "AUTOFS4_FS"]),
    "fuse": ("fuse", ["fuse"], ["FUSE_FS"]),
}
#: Flags of x86-64-v2 as /proc/cpuinfo writes them; images of today (UBI 9) do not start without.
LEVEL_2 = ("cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3")
#: Control groups that Docker, kubelet and limits of steps need.
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
SETTINGS = {
    "max_user_namespaces": "user/max_user_namespaces",
    "unprivileged_userns_clone": "kernel/unprivileged_userns_clone",
    "apparmor_restrict_unprivileged_userns": "kernel/apparmor_restrict_unprivileged_userns",
    "inotify_instances": "fs/inotify/max_user_instances",
    "inotify_watches": "fs/inotify/max_user_watches",
}


def configuration(release: str) -> str:
    """Return the kernel's configuration, empty where no copy of it can be read."""
    try:
        with gzip.open("/proc/config.gz", "rt", errors="replace") as file:
            return file.read()
    except OSError:
        return read(f"/boot/config-{release}") or read(f"/lib/modules/{release}/config")


def features() -> dict[str, str]:
    """Return "there", "loadable", "missing" or "unknown" for each feature."""
    release = platform.release()
    folder = f"/lib/modules/{release}"
    registered = {line.split()[-1] for line in read("/proc/filesystems").splitlines() if line.strip()}
    built_in = set(re.findall(r"([^/\n]+)\.ko$", read(f"{folder}/modules.builtin"), re.MULTILINE))
    listed = read(f"{folder}/modules.dep")
    loadable = set(re.findall(r"^\S*?([^/\s]+)\.ko(?:\.\w+)?:", listed, re.MULTILINE))
    options = dict(re.findall(r"^CONFIG_(\w+)=([ym])$", configuration(release), re.MULTILINE))
    found = {}
    for name, (filesystem, modules, wanted) in FEATURES.items():
        if (
            filesystem in registered
            or any(module in built_in or Path(f"/sys/module/{module}").is_dir() for module in modules)
            or any(options.get(option) == "y" for option in wanted)
        ):
            found[name] = "there"
        elif loadable.intersection(modules):
            found[name] = "loadable"
        else:
            # Configured as a module without one at hand: a package of further modules is missing.
            found[name] = "missing" if listed or (options and not _any(options, wanted)) else "unknown"
    return found


def _any(options: dict[str, str], wanted: list[str]) -> bool:
    return any(option in options for option in wanted)


def settings() -> dict[str, int | None]:
    """Return what sysctl says, None where the kernel has no such setting."""
    return {name: _number(read(f"/proc/sys/{path}")) for name, path in SETTINGS.items()}


def _number(value: str) -> int | None:
    return int(value) if value.strip().lstrip("-").isdigit() else None


def controllers_off() -> list[str]:
    """Return the control groups that the kernel knows and that were switched off when it booted."""
    rows = [line.split() for line in read("/proc/cgroups").splitlines() if not line.startswith("#")]
    return sorted(row[0] for row in rows if len(row) == 4 and row[0] in CONTROLLERS and row[3] == "0")


def level_2_missing() -> list[str] | None:
    """Return the flags of x86-64-v2 that the first CPU lacks, None where there is no list of flags."""
    flags = re.search(r"^flags\s*:(.*)$", read("/proc/cpuinfo"), re.MULTILINE)
    return [flag for flag in LEVEL_2 if flag not in flags.group(1).split()] if flags else None


def outer_root() -> int | None:
    """Return which user our root is outside, when this is an unprivileged container; None when root is root."""
    first = read("/proc/self/uid_map").split()
    return int(first[1]) if len(first) >= 3 and first[:2] != ["0", "0"] else None


def mysqld_profile() -> str | None:
    """Return the host's AppArmor profile for mysqld that is in force, None where there is none."""
    path, disabled = "/etc/apparmor.d/usr.sbin.mysqld", "/etc/apparmor.d/disable/usr.sbin.mysqld"
    on = read("/sys/module/apparmor/parameters/enabled").strip() == "Y"
    return path if on and Path(path).is_file() and not Path(disabled).exists() else None


def facts() -> Facts:
    """Return all of it."""
    return {
        "features": features(),
        "settings": settings(),
        "controllers_off": controllers_off(),
        "level_2_missing": level_2_missing(),
        "outer_root": outer_root(),
        "mysqld_profile": mysqld_profile(),
    }

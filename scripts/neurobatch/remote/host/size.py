"""Read how much there is: CPUs, memory, disk. Formats: proc(5), cgroups(7)."""

from __future__ import annotations

import os
import re
from pathlib import Path

from neurobatch.remote.common import Facts, read


def cgroup_dirs(controller: str) -> list[str]:
    """Return the directories of PID 1's cgroup and its ancestors for ``controller``, those that are visible here.

    PID 1 stands for the whole machine (or container); an SSH session's own slice would say nothing about Docker's.
    """
    mounts = []
    for line in read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if kind[0] == "cgroup2" or (kind[0] == "cgroup" and controller in kind[2].split(",")):
            mounts.append((kind[0], fields[3], fields[4]))
    found = []
    for line in read("/proc/1/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        for kind_name, root, mountpoint in mounts:
            version2 = controllers == ""
            if version2 != (kind_name == "cgroup2") or not (version2 or controller in controllers.split(",")):
                continue
            inside = path[len(root) :] if root != "/" and path.startswith(root) else path
            parts = [part for part in inside.split("/") if part and part != ".."]
            found += ["/".join([mountpoint, *parts[:depth]]) for depth in range(len(parts), -1, -1)]
    return found


def cpus() -> Facts:
    """Return how many CPUs there are, may be used, and what a cgroup's quota leaves (None: no quota)."""
    quotas = []
    for directory in cgroup_dirs("cpu"):
        quota, _, period = read(f"{directory}/cpu.max").partition(" ")
        if not quota:
            quota, period = read(f"{directory}/cpu.cfs_quota_us"), read(f"{directory}/cpu.cfs_period_us")
        if quota.strip().isdigit() and period.strip().isdigit():
            quotas.append(round(int(quota) / int(period), 2))
    return {
        "count": os.cpu_count(),
        "affinity": len(os.sched_getaffinity(0)),
        "quota": min(quotas) if quotas else None,
    }


def memory() -> Facts:
    """Return bytes of memory as the kernel counts them, and a cgroup's limit where it is lower (else None)."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", read("/proc/meminfo"), re.MULTILINE)
    total = int(found.group(1)) * 1024 if found else 0
    limits = []
    for directory in cgroup_dirs("memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = read(f"{directory}/{name}").strip()
            if limit.isdigit() and int(limit) < total:
                limits.append(int(limit))
    return {"total": total, "limit": min(limits) if limits else None}


def usable() -> Facts:
    """Return the CPUs and the bytes of memory that may be used, after affinity, quota and limit."""
    have, room = cpus(), memory()
    return {
        "cpus": int(min(have["affinity"], have["quota"] or have["affinity"])),
        "memory_bytes": room["limit"] or room["total"],
    }


def filesystem(path: str) -> str | None:
    """Return the type of the filesystem that holds ``path``, as /proc/self/mountinfo names it."""
    best: tuple[str, str | None] = ("", None)
    for line in read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        mountpoint = left.split()[4].replace("\\040", " ")
        inside = path == mountpoint or path.startswith(mountpoint.rstrip("/") + "/")
        if inside and len(mountpoint) >= len(best[0]):
            best = (mountpoint, right.split()[0])
    return best[1]


def disk(asked: str, data_root: str, home: str) -> Facts:
    """Return free and total bytes of the filesystem that holds (or would hold) ``asked``, and its device number."""
    path = home + asked[1:] if asked == "~" or asked.startswith("~/") else asked
    if path.rstrip("/") == "/var/lib/docker" and data_root:
        path = data_root
    place = Path(path)
    while True:
        try:
            device, room = place.stat().st_dev, os.statvfs(place)
            break
        except OSError:
            if place == place.parent:
                return {"path": asked, **dict.fromkeys(("measured", "device", "filesystem", "free", "total"))}
            place = place.parent
    return {
        "path": asked,
        "measured": str(place),
        "device": device,
        "filesystem": filesystem(str(place.resolve())),
        "free": room.f_bavail * room.f_frsize,
        "total": room.f_blocks * room.f_frsize,
    }

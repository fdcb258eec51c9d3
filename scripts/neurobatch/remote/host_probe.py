"""Read what a server is: machine, system, user, room, ports, engine. Changes nothing and leaves nothing behind.

Parameters: paths, where room is needed ("~" is the login user's home); ports_program, the text of `host_ports`, which
runs through `sudo -n` where that needs no password: without it a foreign port's owner has a user, but no name.
Formats: proc(5), cgroups(7), os-release(5).
"""

from __future__ import annotations

import grp
import json
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from neurobatch.remote.common import login_user, output, text, unit_state

#: Changes when a fact changes its name or meaning; the reader refuses what it does not know.
SCHEMA = 1
#: Seconds that any one program may take; none of them waits for a network.
TIMEOUT = 5
Facts = dict[str, Any]


def read(path: str) -> str:
    """Return a text file, empty when it cannot be read."""
    return text(path) or ""


# --- size ---------------------------------------------------------------------------------------------------------


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
                return {"path": asked, "measured": None, "device": None, "free": None, "total": None}
            place = place.parent
    return {
        "path": asked,
        "measured": str(place),
        "device": device,
        "free": room.f_bavail * room.f_frsize,
        "total": room.f_blocks * room.f_frsize,
    }


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


def user_facts() -> Facts:
    """Return the user who logged in (the one behind sudo, when this runs through it)."""
    entry = login_user()
    groups = {grp.getgrgid(gid).gr_name for gid in os.getgrouplist(entry.pw_name, entry.pw_gid) if known_group(gid)}
    return {
        "name": entry.pw_name,
        "uid": entry.pw_uid,
        "gid": entry.pw_gid,
        "home": entry.pw_dir,
        "groups": sorted(groups),
        "runs_as": pwd.getpwuid(os.getuid()).pw_name,
    }


def known_group(gid: int) -> bool:
    """Tell whether a group number has a name."""
    try:
        grp.getgrgid(gid)
    except KeyError:
        return False
    return True


def rights() -> Facts:
    """Return whether sudo is there and works without a password, and its own words when it does not."""
    facts: Facts = {"root": os.getuid() == 0, "sudo": bool(shutil.which("sudo")), "passwordless": True, "says": ""}
    if facts["root"]:
        return facts
    facts["passwordless"] = False
    if facts["sudo"]:
        try:
            run = subprocess.run(["sudo", "-n", "true"], capture_output=True, text=True, timeout=TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return {**facts, "says": str(error)}
        facts["passwordless"] = run.returncode == 0
        facts["says"] = (run.stderr.strip().splitlines() or [""])[0].replace("sudo: ", "", 1)
    return facts


def docker(user: Facts) -> Facts:
    """Return which docker command there is and whose; the engine itself is asked in the privileged part."""
    client = shutil.which("docker") or ""
    target = str(Path(client).resolve()) if client else ""
    version = (output(client, "--version", seconds=TIMEOUT) if client else None) or ""
    script = start(target) if target else ""
    try:
        settings = json.loads(read("/etc/docker/daemon.json") or "{}")
    except ValueError:
        settings = {}
    snaps = [path for path in ("/snap/bin/docker", "/var/lib/snapd/snap/bin/docker") if os.path.lexists(path)]
    rootless = [
        path
        for path in (f"/run/user/{user['uid']}/docker.sock", f"{user['home']}/.config/systemd/user/docker.service")
        if os.path.lexists(path)
    ]
    return {
        "client": client or None,
        "target": target or None,
        "version": version or None,
        "snap": snaps[0] if snaps else None,
        "podman": "podman" in version.lower() or (script.startswith("#!") and "podman" in script),
        "rootless": rootless[0] if rootless else None,
        "desktop": "docker-desktop" in target,
        "data_root": settings.get("data-root") if isinstance(settings, dict) else None,
    }


def start(path: str) -> str:
    """Return the first 400 bytes of a program: enough to know a shell script from a binary."""
    try:
        with Path(path).open("rb") as file:
            return file.read(400).decode(errors="replace")
    except OSError:
        return ""


def ports_and_containers(program: str, may_sudo: bool) -> Facts:
    """Return what `host_ports` prints, run as root where that is possible."""
    plain = [sys.executable, "-I", "-"]
    for argv in [["sudo", "-n", *plain], plain] if may_sudo and os.getuid() != 0 else [plain]:
        try:
            run = subprocess.run(argv, input=program, capture_output=True, text=True, timeout=2 * TIMEOUT, check=True)
            facts: Facts = json.loads(run.stdout)
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
        return facts
    return {"ports": None, "containers": None}


def main(params: Facts) -> None:
    """Print everything as one JSON object."""
    user = user_facts()
    allowed = rights()
    engine = docker(user)
    seen = ports_and_containers(params["ports_program"], allowed["passwordless"])
    facts = {
        "schema": SCHEMA,
        "arch": platform.machine(),
        "cpus": cpus(),
        "memory": memory(),
        "os": os_release(),
        "kernel": platform.release(),
        "virtualisation": virtualisation(),
        "systemd": Path("/run/systemd/system").is_dir(),  # sd_booted(3)
        "python": platform.python_version(),
        "user": user,
        "rights": allowed,
        "disks": [disk(path, engine["data_root"] or "", user["home"]) for path in params["paths"]],
        "ports": seen["ports"],
        "docker": {**engine, "containers": seen["containers"]},
        "nvidia": Path("/dev/nvidiactl").exists(),
        "service": unit_state("neurodesktop.service"),
    }
    print(json.dumps(facts))

"""Read what the docker role decides on. Changes nothing.

Parameters: packages, OS family to names that carry an engine; users, who shall use it (empty: the login user);
files, paths whose content is compared.
"""

from __future__ import annotations

import glob
import grp
import json
import os
import pwd
import shutil
from pathlib import Path
from typing import Any

from neurobatch.remote.common import docker_api, fingerprint, login_user, output, text, unit_state

#: In front of an authority's PEM, where readers of PEM skip what is outside of its blocks (RFC 7468, section 2).
AUTHORITY_MARK = "# An authority from registry_mirrors, kept by Neurobatch\n"
AUTHORITIES = "/etc/docker/certs.d/*/ca.crt"


def os_release() -> dict[str, str]:
    """Return the operating system's names as of os-release(5), and which package manager it has."""
    pairs = (line.split("=", 1) for line in (text("/etc/os-release") or "").splitlines() if "=" in line)
    values = {key: value.strip().strip('"') for key, value in pairs}
    like = {values.get("ID", ""), *values.get("ID_LIKE", "").split()}
    family = "RedHat" if {"rhel", "fedora", "centos"} & like else "Debian" if "debian" in like else "unknown"
    return {
        "id": values.get("ID", ""),
        "version": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "family": family,
    }


def present(names: list[str]) -> list[str]:
    """Return those of ``names`` that are installed as packages."""
    if shutil.which("dpkg-query"):
        listed = (output("dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n") or "").splitlines()
        return sorted({line.split()[0] for line in listed if line.endswith(" installed")} & set(names))
    return [name for name in names if output("rpm", "-q", name)]


def engine() -> dict[str, Any] | None:
    """Return the running daemon's version and settings, None where no daemon answers."""
    info = docker_api("/info")
    return info and {
        "version": info["ServerVersion"],
        "mirrors": info["RegistryConfig"]["Mirrors"] or [],
        "log_driver": info["LoggingDriver"],
        "rootless": any("rootless" in option for option in info.get("SecurityOptions") or []),
    }


def flavour() -> str:
    """Name what stands in the way of an ordinary engine; empty where nothing does."""
    client = shutil.which("docker") or ""
    if os.path.realpath(client).startswith("/snap") or Path("/snap/docker").exists():
        return "snap"
    if client and "podman" in (output(client, "--version") or "").lower():
        return "podman-docker"
    return ""


def exists(user: str) -> bool:
    """Return whether the account ``user`` is known."""
    try:
        pwd.getpwnam(user)
    except KeyError:
        return False
    return True


def members(group: str, users: list[str]) -> list[str]:
    """Return those of ``users`` that belong to ``group``."""
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return []
    return [user for user in users if user in entry.gr_mem or pwd.getpwnam(user).pw_gid == entry.gr_gid]


def authorities() -> list[str]:
    """Return the authorities that we wrote, also for mirrors that the inventory no longer names."""
    return [path for path in sorted(glob.glob(AUTHORITIES)) if (text(path) or "").startswith(AUTHORITY_MARK)]


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    release = os_release()
    login = login_user().pw_name
    users = params["users"] or [name for name in [login] if name != "root"]
    known = [user for user in users if exists(user)]
    unit = unit_state("docker.service")
    state = {
        "os": release,
        "present": present(params["packages"].get(release["family"], [])),
        "daemon_json": text("/etc/docker/daemon.json"),
        "record": text("/var/lib/neurobatch/docker/record.json"),
        "files": {path: fingerprint(path) for path in [*params["files"], *authorities()]},
        "active": unit["active"],
        "enabled": unit["enabled"],
        "engine": engine(),
        "flavour": flavour(),
        "users": users,
        "unknown_users": sorted(set(users) - set(known)),
        "members": members("docker", known),
    }
    print(json.dumps(state))

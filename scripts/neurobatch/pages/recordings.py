"""Systems that other people recorded: what preflight would read there, everything else being as on Debian 12.

The docker command prints the fields of Docker's ``GET /info`` under other names; `engine_info` goes back, for those
that are read. Of ``SecurityOptions`` it prints the name, and below it the profile: ``name=seccomp,profile=builtin``
becomes ``seccomp`` and ``Profile: builtin``. Source: docker/cli, cli/command/system/info.go.
"""

from __future__ import annotations

import json
from typing import Any

from neurobatch import specs
from neurobatch.pages import hosts
from neurobatch.remote import host_ports
from neurobatch.remote.host import engine, system

FOLDER = specs.ROLES_DIR.parent / "tests" / "unit" / "fixtures" / "systems"
#: What docker info prints, and the field of GET /info.
FIELDS = {
    "Server Version": "ServerVersion",
    "Storage Driver": "Driver",
    "Operating System": "OperatingSystem",
    "Docker Root Dir": "DockerRootDir",
}


def known() -> list[str]:
    """Return the names of the recorded systems."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def recording(name: str) -> dict[str, Any]:
    """Return what was recorded of the system ``name``, and where."""
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return data


def facts(name: str) -> dict[str, Any]:
    """Return the facts of the system ``name``, made by the functions that read a server."""
    record = recording(name)
    said = engine_info(record["docker_info"]) if record["docker_info"] else None
    version = record.get("docker_version") or (f"Docker version {said['ServerVersion']}" if said else None)
    wsl = system.wsl(record["proc_version"])
    docker = {
        "version": version,
        "podman": engine.imitation(version or "", "", ""),
        "engine": host_ports.described(said) if said else None,
    }
    read = {
        "os": system.names("\n".join(record["os_release"])),
        "virtualisation": {"kind": "wsl" if wsl else "kvm", "wsl": wsl},
        "release": record["proc_version"].split()[2],
        "docker": docker,
    }
    return hosts.merged(hosts.facts(hosts.BASE), read)


def engine_info(lines: list[str]) -> dict[str, Any]:
    """Return the fields of ``GET /info`` that the server's part of ``docker info`` shows.

    Raises:
        ValueError: a field is missing or printed twice.
    """
    found: dict[str, Any] = {}
    for printed, field in FIELDS.items():
        values = [line.split(": ", 1)[1] for line in lines if line.startswith(f" {printed}: ")]
        if len(values) != 1:
            raise ValueError(f"{printed} is there {len(values)} times")
        found[field] = values[0]
    return {**found, "SecurityOptions": _security(lines)}


def _security(lines: list[str]) -> list[str]:
    options: list[str] = []
    inside = False
    for line in lines:
        depth = len(line) - len(line.lstrip(" "))
        if depth == 1:
            inside = line.strip() == "Security Options:"
        elif inside and depth == 2:
            options.append(f"name={line.strip()}")
        elif inside:
            key, _, value = line.strip().partition(": ")
            options[-1] += f",{key.lower()}={value}"
    return options

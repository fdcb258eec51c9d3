"""Read what only root may see whole: who listens on each TCP port, and what Docker says of itself. Changes nothing.

No parameters. Formats: proc(5), cgroups(7) and Docker's Engine API.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import socket
import struct
from pathlib import Path

from neurobatch.remote.common import Facts, docker_api, text


def containers() -> list[Facts] | None:
    """Return the running containers and the TCP ports they publish (None: no engine answers us)."""
    rows = docker_api("/containers/json")
    if rows is None:
        return None
    return [
        {
            "id": row["Id"],
            "name": row["Names"][0].lstrip("/") if row.get("Names") else row["Id"][:12],
            "published": [
                {"address": port.get("IP") or "0.0.0.0", "port": port["PublicPort"]}  # noqa: S104 - what Docker means
                for port in row.get("Ports") or []
                if port.get("PublicPort") and port.get("Type") == "tcp"
            ],
        }
        for row in rows
    ]


def engine() -> Facts | None:
    """Return what Docker says of itself (None: no engine answers us)."""
    said = docker_api("/info")
    return None if said is None else described(said)


def described(said: Facts) -> Facts:
    """Return what is of interest in an answer to `GET /info`."""
    return {
        "system": said.get("OperatingSystem", ""),
        "version": said.get("ServerVersion", ""),
        "driver": said.get("Driver", ""),
        "security": said.get("SecurityOptions") or [],
        "root": said.get("DockerRootDir", ""),
    }


def address(digits: str) -> str:
    """Return the address that /proc/net/tcp or tcp6 writes as 32-bit words in the machine's own byte order."""
    words = [struct.pack("=I", int(digits[start : start + 8], 16)) for start in range(0, len(digits), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def listeners() -> list[Facts]:
    """Return the listening TCP sockets: address, port, the owning user and the socket's inode."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (text(table) or "").splitlines()[1:]:
            fields = line.split()
            if fields[3] != "0A":  # TCP_LISTEN
                continue
            host, _, port = fields[1].partition(":")
            found.append(
                {"address": address(host), "port": int(port, 16), "user": user_name(int(fields[7])), "inode": fields[9]}
            )
    return found


def user_name(uid: int) -> str:
    """Return a user's name, or the number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def owners() -> dict[str, int]:
    """Return socket inode -> process number, as far as this user may see."""
    found: dict[str, int] = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            for handle in (process / "fd").iterdir():
                target = os.readlink(handle)
                if target.startswith("socket:["):
                    found.setdefault(target[8:-1], int(process.name))
        except OSError:  # gone meanwhile, or not ours to read
            continue
    return found


def describe(pid: int, running: list[Facts]) -> Facts:
    """Return a process's name, systemd unit and container (None where it has none)."""
    groups = text(f"/proc/{pid}/cgroup") or ""
    units = re.findall(r"/([^/\n]+\.service)(?=/|$)", groups, re.MULTILINE)
    names = [row["name"] for row in running if row["id"] in groups]
    return {
        "pid": pid,
        "process": (text(f"/proc/{pid}/comm") or "").strip() or None,
        "unit": units[-1] if units else None,
        "container": names[0] if names else None,
    }


def ports(sockets: list[Facts], held: dict[str, Facts], running: list[Facts]) -> list[Facts]:
    """Return every listening or published TCP port once, with what is known of its owner.

    A port that Docker publishes is named after the container, whether docker-proxy listens for it or only the
    firewall forwards it.
    """
    nobody = {"pid": None, "process": None, "unit": None, "container": None}
    published = {(row["address"], row["port"]): box["name"] for box in running for row in box["published"]}
    rows = []
    for row in sockets:
        owner = {**nobody, **held.get(row["inode"], {})}
        name = published.pop((row["address"], row["port"]), None)
        if name:
            owner["container"] = name
        rows.append({"address": row["address"], "port": row["port"], "user": row["user"], **owner})
    rows += [
        {"address": where, "port": port, "user": "root", **nobody, "container": name}
        for (where, port), name in published.items()
    ]
    return rows


def main(params: Facts) -> None:
    """Print ports, containers and the engine."""
    running = containers()
    sockets = listeners()
    inodes = {row["inode"] for row in sockets}
    held = {inode: describe(pid, running or []) for inode, pid in owners().items() if inode in inodes}
    print(json.dumps({"ports": ports(sockets, held, running or []), "containers": running, "engine": engine()}))

"""What a server consists of, the firewall's rules and Docker's objects included, and what is left after a removal."""

from __future__ import annotations

import json
from pathlib import Path

from tests.rehearsal.instance import Instance
from tests.server import snapshot
from tests.server.remote import call

Found = dict[str, dict[str, str]]


def read_rules_and_objects() -> dict[str, dict[str, str]]:
    """Return the firewall's tables and rules, and Docker's objects, each by name. Runs on the server, as root."""
    import os
    import shutil
    import subprocess

    def lines(*argv: str) -> list[str]:
        if shutil.which(argv[0]) is None:
            return []
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()

    rules: dict[str, str] = {}
    for program in ("iptables-save", "ip6tables-save"):
        table = ""
        for line in lines(program):
            if line.startswith("*"):
                table = line
            elif not line.startswith(("#", "COMMIT")):
                # A chain's packets are counted behind its policy.
                rules[f"{program} {table} {line.partition(' [')[0]}"] = ""
    for line in lines("nft", "list", "tables"):
        rules[f"nft {line}"] = ""
    found = {"rules": rules, "containers": {}, "networks": {}, "volumes": {}, "images": {}}
    if os.path.exists("/run/docker.sock"):
        found["containers"] = dict.fromkeys(lines("docker", "ps", "-a", "--format", "{{.Names}}"), "")
        found["networks"] = dict.fromkeys(lines("docker", "network", "ls", "--format", "{{.Name}}"), "")
        found["volumes"] = dict.fromkeys(lines("docker", "volume", "ls", "-q"), "")
        found["images"] = dict.fromkeys(lines("docker", "images", "--format", "{{.Repository}}:{{.Tag}}"), "")
    return found


def read_owned() -> list[str]:
    """Return the paths that a package brought. Runs on the server."""
    import glob

    found = set()
    for name in glob.glob("/var/lib/dpkg/info/*.list"):
        with open(name, encoding="utf-8") as stream:
            found |= set(stream.read().splitlines())
    return sorted(found)


def whole(instance: Instance) -> Found:
    """Return packages, units, users, groups, interfaces, files, rules and Docker's objects of a server."""
    found: Found = snapshot.take(instance) | call(instance, read_rules_and_objects)
    return found


def record_path(instance: Instance) -> Path:
    """Return where the state of the server before its installation is kept."""
    return instance.names.state_dir / "before.json"


def differences(instance: Instance) -> list[str]:
    """Return what the server has or lacks now, but for files that packages brought, which stay with them."""
    owned = set(call(instance, read_owned))
    found = snapshot.differences(json.loads(record_path(instance).read_text()), whole(instance))
    return [line for line in found if not line.startswith("files: + ") or line.removeprefix("files: + ") not in owned]

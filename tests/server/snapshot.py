"""What a server consists of, to prove that something left it alone: ``python -m tests.server.snapshot INSTANCE``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.rehearsal.instance import Instance
from tests.server.remote import call


def read_server() -> dict[str, dict[str, str]]:
    """Return packages, units, users and files of a server, each by name. Runs on the server, as root.

    Left out: what a server writes by itself all the time (logs, caches, apt's lists, timers' stamps).
    """
    import hashlib
    import os
    import subprocess

    def lines(*argv: str) -> list[str]:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()

    def describe(path: str) -> str:
        status = os.lstat(path)
        if os.path.islink(path):
            content = os.readlink(path)
        elif os.path.isfile(path):
            with open(path, "rb") as stream:
                content = hashlib.sha256(stream.read()).hexdigest()
        else:
            content = ""
        return f"{status.st_mode:o} {status.st_uid}:{status.st_gid} {content}"

    ignored = ("/var/lib/systemd/", "/var/lib/apt/lists", "/var/lib/apt/periodic", "/var/lib/dpkg/lock")
    own_disk = {"/var/lib/docker", "/var/lib/containerd", "/var/lib/kubelet"}
    files = {}
    for top in ("/etc", "/usr/local", "/var/lib", "/opt", "/srv", "/root", "/home"):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders if os.path.join(folder, name) not in own_disk]
            for name in folders + names:
                path = os.path.join(folder, name)
                if not path.startswith(ignored):
                    files[path] = describe(path)
    for path in own_disk:
        files[path] = " ".join(sorted(os.listdir(path)))
    return {
        "packages": dict(
            line.split(" ", 1) for line in lines("dpkg-query", "-Wf", "${Package} ${Version} ${Status}\n")
        ),
        "units": dict(
            line.split(None, 1)
            for line in lines("systemctl", "list-unit-files", "--no-legend", "--no-pager")
            if " " in line
        ),
        "users": dict(line.split(":", 1) for line in lines("getent", "passwd")),
        "groups": dict(line.split(":", 1) for line in lines("getent", "group")),
        "interfaces": dict.fromkeys(os.listdir("/sys/class/net"), ""),
        "files": files,
    }


def take(instance: Instance) -> dict[str, dict[str, str]]:
    """Return the snapshot of an instance's server."""
    found: dict[str, dict[str, str]] = call(instance, read_server, timeout=120)
    return found


def differences(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> list[str]:
    """Return one line for everything that came, went or changed."""
    found = []
    for kind in sorted(before.keys() | after.keys()):
        old, new = before.get(kind, {}), after.get(kind, {})
        found += [f"{kind}: + {name}" for name in sorted(new.keys() - old.keys())]
        found += [f"{kind}: - {name}" for name in sorted(old.keys() - new.keys())]
        found += [
            f"{kind}: {name}: {old[name]} -> {new[name]}"
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ]
    return found


def record_path(instance: Instance) -> Path:
    """Return where the snapshot of the fresh server is kept."""
    return instance.names.state_dir / "fresh.json"


def recorded(instance: Instance) -> dict[str, Any]:
    """Return the snapshot that the preparation took."""
    loaded: dict[str, Any] = json.loads(record_path(instance).read_text())
    return loaded


if __name__ == "__main__":
    subject = Instance(sys.argv[1])
    record_path(subject).write_text(json.dumps(take(subject)))

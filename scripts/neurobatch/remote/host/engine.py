"""Read which docker command there is, and whose."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from neurobatch.remote.common import TIMEOUT, Facts, output, read


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
        "podman": imitation(version, target, script),
        "rootless": rootless[0] if rootless else None,
        "desktop": "docker-desktop" in target,
        "data_root": settings.get("data-root") if isinstance(settings, dict) else None,
    }


def imitation(version: str, target: str, script: str) -> bool:
    """Return whether a docker command is podman's, from what it says, where it leads and how its file begins."""
    # Behind a link named docker, podman calls itself docker.
    named = "podman" in f"{version} {Path(target).name}".lower()
    return named or (script.startswith("#!") and "podman" in script)


def start(path: str) -> str:
    """Return the first 400 bytes of a program: enough to know a shell script from a binary."""
    try:
        with Path(path).open("rb") as file:
            return file.read(400).decode(errors="replace")
    except OSError:
        return ""

"""Remove what a role made, and nothing else, and print what was removed, or would be.

Parameters, all but ``write`` (false: only look) may be left out:
units (systemd's names, globs of enabled ones); tables (of nftables, "family name"); user;
containers, networks, volumes (names); label (that a container must have, or it is somebody else's);
images (repositories, with "*/" in front in any registry: all their tags, and every other name of the same images);
proof (path without which nothing of Docker's is ours);
tools (path to the record of its download: removed when it is still that file);
files (paths, globs; folders with all in them); empty (folders, removed when nothing is left in them).
What is not there is no fault: a server may be half installed.
"""

from __future__ import annotations

import glob
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from neurobatch.remote.common import docker_api, fingerprint, output, text, unit_state

WANTS = "/etc/systemd/system/*.wants"


def do(write: bool, *argv: str) -> None:
    """Run a command; one that fails ends the removal, which goes on from there the next time."""
    if not write:
        return
    run = subprocess.run(argv, capture_output=True, text=True, check=False)
    if run.returncode:
        sys.exit(f"`{' '.join(argv)}` failed: {run.stderr.strip()[-300:]} Nothing else was lost; run this again.")


def units(params: dict[str, Any]) -> list[str]:
    """Stop and disable units."""
    found = []
    for pattern in params.get("units", []):
        enabled = {Path(path).name for path in glob.glob(f"{WANTS}/{pattern}")}
        state = unit_state(pattern) if "*" not in pattern else {"active": False, "enabled": False, "loaded": False}
        for name in sorted(enabled | ({pattern} if state["active"] else set())):
            do(params["write"], "systemctl", "disable", "--now", "--quiet", name)
            found.append(f"unit {name}")
    return found


def named(repository: str, wanted: list[str]) -> bool:
    """Return whether an image's repository is one of those wanted; "*/" in front of one stands for any registry."""
    return any(repository == each or (each.startswith("*/") and f"/{repository}".endswith(each[1:])) for each in wanted)


def docker_objects(params: dict[str, Any]) -> list[str]:
    """Remove containers, networks, volumes and images."""
    wanted = [params.get(kind, []) for kind in ("containers", "networks", "volumes", "images")]
    if not any(wanted) or not os.path.exists(params.get("proof", "/")):
        return []
    if docker_api("/version") is None:
        if unit_state("docker.service")["loaded"]:
            sys.exit(
                "Docker does not run, and nothing of it can be removed: sudo systemctl start docker and run this again."
            )
        return []
    found = []
    for name in wanted[0]:
        there = docker_api(f"/containers/{name}/json")
        if there and (not params.get("label") or params["label"] in (there["Config"].get("Labels") or {})):
            do(params["write"], "docker", "rm", "--force", "--volumes", name)
            found.append(f"container {name}")
    for kind, names in (("network", wanted[1]), ("volume", wanted[2])):
        for name in names:
            if docker_api(f"/{kind}s/{name}"):
                do(params["write"], "docker", kind, "rm", name)
                found.append(f"{kind} {name}")
    for image in docker_api("/images/json") or []:
        tags = [each for each in image.get("RepoTags") or [] if not each.startswith("<none>")]
        digests = [each for each in image.get("RepoDigests") or [] if "<none>" not in each]
        repositories = {each.rpartition(":")[0] for each in tags} | {each.partition("@")[0] for each in digests}
        if any(named(each, wanted[3]) for each in repositories):
            names = tags + digests
            for name in names:
                # With its last name, an image takes its other references along; one that a container uses stays.
                if params["write"] and output("docker", "image", "inspect", name) is not None:
                    subprocess.run(["docker", "image", "rm", name], capture_output=True, check=False)
            found.append(f"image {names[0]}")
    return found


def tables(params: dict[str, Any]) -> list[str]:
    """Remove tables of the firewall."""
    found = []
    for table in params.get("tables", []):
        if output("nft", "list", "table", *table.split()) is not None:
            do(params["write"], "nft", "delete", "table", *table.split())
            found.append(f"nftables {table}")
    return found


def tools(params: dict[str, Any]) -> list[str]:
    """Remove downloaded programs that are still what was downloaded."""
    found = []
    for path, record in params.get("tools", {}).items():
        there, noted = fingerprint(path), json.loads(text(record) or "{}")
        if there and there["sha256"] == noted.get("installed"):
            found += files({**params, "files": [path, record]})
    return found


def files(params: dict[str, Any]) -> list[str]:
    """Remove files, and folders with all in them; a link goes, not what it leads to."""
    found = []
    for pattern in params.get("files", []):
        for path in sorted(glob.glob(pattern)) or ([pattern] if os.path.lexists(pattern) else []):
            if params["write"] and os.path.isdir(path) and not os.path.islink(path):
                shutil.rmtree(path)
            elif params["write"]:
                os.remove(path)
            found.append(path)
    return found


def user(params: dict[str, Any]) -> list[str]:
    """Remove an account, its group and its home."""
    name = params.get("user", "")
    try:
        pwd.getpwnam(name)
    except KeyError:
        return []
    if params["write"]:
        subprocess.run(["loginctl", "terminate-user", name], capture_output=True, check=False)
    # 12: the home was gone already.
    if params["write"]:
        run = subprocess.run(["userdel", "--remove", name], capture_output=True, text=True, check=False)
        if run.returncode not in (0, 12):
            sys.exit(f"The user {name} cannot be removed: {run.stderr.strip()}; run this again.")
    return [f"user {name}"]


def empty(params: dict[str, Any]) -> list[str]:
    """Remove folders in which nothing is left."""
    found = []
    for path in params.get("empty", []):
        if os.path.isdir(path) and not os.listdir(path):
            if params["write"]:
                os.rmdir(path)
            found.append(path)
    return found


def main(params: dict[str, Any]) -> None:
    """Print what was removed as a JSON list."""
    steps = (units, docker_objects, tables, tools, user, files, empty)
    found = [each for step in steps for each in step(params)]
    if params["write"] and any(each.startswith(("unit ", "/etc/systemd/")) for each in found):
        do(True, "systemctl", "daemon-reload")
    print(json.dumps(found))

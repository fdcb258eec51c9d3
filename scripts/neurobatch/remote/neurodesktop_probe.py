"""Read what the neurodesktop role decides on. Changes nothing.

Parameters: image, the name it shall have; files, paths that the role writes; secrets_dir and secrets, names of files in
it; storage, the storage folder (empty: in the login user's home); home, the volume of the home; packages.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from neurobatch.remote.common import docker_api, fingerprint, login_user, output, text, unit_state

#: Enough to know that it takes minutes.
COUNTED = 1_000_000
_COMMANDS = {"git": "git", "nftables": "nft"}


def folder(path: str) -> dict[str, Any] | None:
    """Return owner and mode of a folder, None where there is none."""
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return {"uid": status.st_uid, "gid": status.st_gid, "mode": f"{status.st_mode & 0o7777:04o}"}


def container() -> dict[str, Any] | None:
    """Return the container named neurodesktop, None where there is none."""
    found = docker_api("/containers/neurodesktop/json")
    return found and {
        "running": found["State"]["Running"],
        "create": (found["Config"]["Labels"] or {}).get("org.neurobatch.create", ""),
    }


def foreign(volume: str, uid: int) -> int:
    """Return how many files of a home its start script will give to another owner, at most COUNTED.

    A home that is the user's already, or not there yet, costs one look.
    """
    home = ((docker_api(f"/volumes/{volume}") or {}).get("Mountpoint")) or ""
    if not home or not os.path.isdir(home) or os.stat(home).st_uid == uid:
        return 0
    number = 0
    for _, folders, files in os.walk(home):
        number += len(folders) + len(files)
        if number >= COUNTED:
            return COUNTED
    return number


def gpu() -> bool:
    """Return whether an NVIDIA device is there and Docker's runtime for it, too."""
    if not os.path.exists("/dev/nvidiactl"):
        return False
    return "nvidia" in ((docker_api("/info") or {}).get("Runtimes") or {})


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    login = login_user()
    storage = params["storage"] or f"{login.pw_dir}/neurodesktop-storage"
    secrets = {name: text(f"{params['secrets_dir']}/{name}") for name in params["secrets"]}
    state = {
        "login": {"name": login.pw_name, "uid": login.pw_uid, "gid": login.pw_gid, "home": login.pw_dir},
        "cvmfs": os.path.isdir("/cvmfs/neurodesk.ardc.edu.au/neurodesk-modules"),
        "present": [name for name in params["packages"] if shutil.which(_COMMANDS[name]) or _in_sbin(_COMMANDS[name])],
        "docker": docker_api("/version") is not None,
        "image": docker_api(f"/images/{params['image']}/json") is not None,
        "container": container(),
        "files": {path: fingerprint(path) for path in params["files"]},
        "secrets": secrets,
        "secrets_mode": (folder(params["secrets_dir"]) or {}).get("mode"),
        "storage": folder(storage),
        "foreign": foreign(params["home"], login.pw_uid),
        "unit": unit_state("neurodesktop.service"),
        "firewall": output("/usr/sbin/nft", "list", "table", "inet", "neurobatch_neurodesktop") is not None,
        "gpu": gpu(),
        # Ubuntu from 23.10 on: who is unconfined may make no user namespace, and Apptainer needs one.
        "userns_restricted": (text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") or "").strip() == "1",
        "desktop": (docker_api("/info") or {}).get("OperatingSystem") == "Docker Desktop",
        "verified": text("/var/lib/neurobatch/neurodesktop/verified"),
    }
    print(json.dumps(state))


def _in_sbin(command: str) -> bool:
    return os.access(f"/usr/sbin/{command}", os.X_OK)

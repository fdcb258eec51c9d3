"""Read what the port_forward role decides on, and ask through every forward. Changes nothing.

Parameters: files, paths that the role writes; forwards, as in its configuration; kubeconfig and hosts_program (paths).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from neurobatch.remote.common import fingerprint, http_status, may_bind, output, settled, text, unit_state

WANTS = Path("/etc/systemd/system/multi-user.target.wants")


def works(unit: str) -> bool:
    """Return whether a unit is as the role leaves it."""
    state = unit_state(unit)
    return state["active"] and state["enabled"] and not state["stale"]


def answers(forward: dict[str, Any]) -> bool:
    """Return whether a forward answers at every address that the machine has."""
    return all(
        http_status(address, forward["port"], forward["path"], 3) > 0
        for address in forward["listen"]
        if may_bind(address)
    )


def main(params: dict[str, Any]) -> None:
    """Print the state as one JSON object."""
    wanted = [f"neurobatch-forward@{forward['name']}.service" for forward in params["forwards"]]
    files = {path: fingerprint(path) for path in params["files"]}
    units = settled(
        lambda: {unit: works(unit) for unit in [*wanted, "neurobatch-hosts.service"]},
        lambda found: all(found.values()) or None in files.values(),
    )
    state = {
        "files": files,
        "kubeconfig": os.path.exists(params["kubeconfig"]),
        "units": units,
        "strangers": sorted({path.name for path in WANTS.glob("neurobatch-forward@*.service")} - set(wanted)),
        "hosts": output(params["hosts_program"], "check") is not None,
        "silent": [forward["name"] for forward in params["forwards"] if not answers(forward)],
        "verified": text("/var/lib/neurobatch/port_forward/verified"),
    }
    print(json.dumps(state))

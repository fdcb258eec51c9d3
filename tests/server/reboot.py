"""Take note of what must survive a reboot, and reboot: ``python -m tests.server.reboot INSTANCE``."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from tests.rehearsal import server
from tests.rehearsal.instance import Instance
from tests.server.remote import await_jupyter, root, token

HOME_FILE = "survives-a-reboot.txt"


def record_path(instance: Instance) -> Path:
    """Return where the notes are kept (they hold the token: the folder is the user's alone)."""
    return instance.names.state_dir / "before-reboot.json"


def recorded(instance: Instance) -> dict[str, Any]:
    """Return the notes.

    They are token, home_file (content), pid1 (start time of the server's init), at (Unix time of the reboot, seconds),
    and jupyter, the seconds from then to JupyterLab's first answer.
    """
    loaded: dict[str, Any] = json.loads(record_path(instance).read_text())
    return loaded


def init_started(instance: Instance) -> str:
    """Return when the server's PID 1 started: another value means that it was booted since."""
    return root(instance, "stat -c %Y /proc/1; systemctl show --property=UserspaceTimestampMonotonic")


def main(instance: Instance) -> None:
    """Write a file into the scientist's home, take note of it and of the token, and restart the server."""
    content = secrets.token_hex(8)
    root(instance, f"docker exec --user jovyan neurodesktop sh -c 'echo {content} > ~/{HOME_FILE}'")
    notes = {"token": token(instance), "home_file": content, "pid1": init_started(instance)}
    at = time.time()
    server.restart(instance.names, instance.state["server_ip"])
    await_jupyter(instance, notes["token"], 300)
    record_path(instance).write_text(json.dumps({**notes, "at": at, "jupyter": time.time() - at}))
    server.wait_for(instance.names, instance.state["server_ip"], seconds=300)


if __name__ == "__main__":
    main(Instance(sys.argv[1]))

"""Remove what Elyra finds in the home of the notebook user, and print what was removed, or would be.

Parameters: write, files (below the home), record (folder of the last verification).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import Any

from neurobatch.remote.common import docker_api

#: Run inside, as the notebook user: whatever links a notebook left in the home, nothing else can be removed.
INSIDE = (
    "import json, os, sys\n"
    "order = json.load(sys.stdin)\n"
    "os.chdir('/home/jovyan')\n"
    "found = [each for each in order['files'] if os.path.lexists(each)]\n"
    "[os.remove(each) for each in found if order['write']]\n"
    "print(json.dumps(found))\n"
)


def main(params: dict[str, Any]) -> None:
    """Print what was removed as a JSON list; without the container, the home is left as it is."""
    found = []
    container = docker_api("/containers/neurodesktop/json")
    if container and container["State"]["Running"]:
        run = subprocess.run(
            ["docker", "exec", "--interactive", "--user=jovyan", "neurodesktop", "python3", "-c", INSIDE],
            input=json.dumps(params), capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if run.returncode:
            sys.exit(f"The home in the container neurodesktop cannot be used: {run.stderr.strip()[-300:]}")
        found = json.loads(run.stdout)
    if os.path.isdir(params["record"]):
        found.append(params["record"])
        if params["write"]:
            shutil.rmtree(params["record"])
    print(json.dumps(found))

"""Use Elyra in JupyterLab as a scientist's browser and command line do, and name the first thing that is broken.

Parameters: url and token_file of JupyterLab; runtime, image: names of the instances that Elyra shall list as valid;
pipeline, the template's path inside, validated while it is there; connect, the program elyra_connect for the container;
seconds, the deadline; record and configuration (what to note where).
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


def listed(url: str, token: str, kind: str) -> list[str]:
    """Return the names of the valid instances of a kind of Elyra's metadata."""
    request = urllib.request.Request(f"{url}/elyra/metadata/{kind}", headers={"Authorization": f"token {token}"})
    with urllib.request.urlopen(request, timeout=20) as response:
        return [row["name"] for row in json.loads(response.read())[kind]]


def wait_for(params: dict[str, Any], token: str, kind: str, name: str) -> None:
    """Return as soon as Elyra lists ``name``; it looks for new files every few seconds."""
    deadline, seen = time.monotonic() + params["seconds"], "nothing"
    while True:
        try:
            found = listed(params["url"], token, kind)
            if name in found:
                return
            seen = ", ".join(found) or "nothing"
        except (OSError, ValueError, http.client.HTTPException) as error:
            seen = str(error)
        if time.monotonic() > deadline:
            sys.exit(
                f"Elyra does not list {name!r} among its valid {kind} ({seen}). Likely cause: its file is invalid for "
                "this Elyra, or another one hides it. Look at "
                f"`sudo docker exec -u jovyan neurodesktop elyra-metadata list {kind}` "
                "(with --include-invalid on Elyra 4)."
            )
        time.sleep(1)


def inside(*argv: str, seconds: float = 180) -> subprocess.CompletedProcess[str]:
    """Run a command in the container as the notebook user."""
    return subprocess.run(
        ["docker", "exec", "--user=jovyan", "--workdir=/home/jovyan", "neurodesktop", *argv],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def main(params: dict[str, Any]) -> None:
    """Print "ok" and take note of it, or end with what is broken."""
    token = Path(params["token_file"]).read_text(encoding="utf-8").strip()
    wait_for(params, token, "runtimes", params["runtime"])
    wait_for(params, token, "runtime-images", params["image"])
    if inside("test", "-f", params["pipeline"]).returncode == 0:
        # Its file observer ends with a traceback where Jupyter has not made its own folder yet.
        inside("mkdir", "-p", "/home/jovyan/.local/share/jupyter/runtime")
        run = inside("elyra-pipeline", "validate", params["pipeline"], f"--runtime-config={params['runtime']}")
        if run.returncode:
            said = " ".join(re.sub("─+", " ", run.stdout + run.stderr).split())
            said = said[max(0, said.find("[Error]")) :][:600].rstrip(". ")
            sys.exit(
                f"Elyra refuses the pipeline {params['pipeline']}: {said}. Likely cause: it was changed in a way that "
                "cannot run; remove it and its folder to have nothing checked."
            )
    run = inside("python3", "-c", params["connect"], seconds=60)
    if run.returncode:
        sys.exit(run.stderr.strip()[-800:])
    record = Path(params["record"])
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(params["configuration"], encoding="utf-8")
    print("ok")

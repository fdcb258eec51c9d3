"""Use JupyterLab as a scientist's browser does, on the server itself, and name the first thing that is broken.

Parameters: url, token_file, elyra (its version), seconds (deadline), record and configuration (what to note where).
"""

from __future__ import annotations

import http.client
import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from neurobatch.remote.common import docker_api, output


def get(url: str, token: str) -> tuple[int, str]:
    """Return status and body of a GET; status 0 with the reason where nothing answers."""
    request = urllib.request.Request(url, headers={"Authorization": f"token {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


def end(broken: str, cause: str, remedy: str) -> None:
    """End the program with the first broken thing, its likely cause and what to do."""
    journal = output("journalctl", "--unit=neurodesktop.service", "--lines=12", "--no-pager", "--output=cat")
    sys.exit(f"{broken} Likely cause: {cause} {remedy}\nLast lines of neurodesktop.service:\n{journal or '(none)'}")


def restarts() -> int:
    """Return how often systemd has started the unit again by itself: more than once or twice is a crash loop."""
    shown = output("systemctl", "show", "neurodesktop.service", "--property=NRestarts", "--value")
    return int(shown or 0)


def wait_for_answer(url: str, token: str, seconds: int) -> None:
    """Return as soon as JupyterLab answers a request with its token."""
    deadline = time.monotonic() + seconds
    while True:
        status, body = get(f"{url}/api/status", token)
        if status == http.client.OK:
            return
        if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
            end(
                "JupyterLab refuses its own token.",
                "another server answers on this port, or the container was started with an older token.",
                "Look who listens (sudo ss -ltnp) and restart neurodesktop.service.",
            )
        if time.monotonic() > deadline or restarts() >= 3:
            break
        time.sleep(1)
    found = docker_api("/containers/neurodesktop/json")
    if found and restarts() >= 3:
        end(
            f"Neurodesktop starts and ends again (exit code {found['State']['ExitCode']}).",
            "a program in the image is missing or refuses its settings.",
            "The lines below show how far it comes.",
        )
    elif not found:
        end("The container neurodesktop does not exist.", "its image or network could not be made.", "See below.")
    elif not found["State"]["Running"]:
        end(
            f"The container neurodesktop does not run (exit code {found['State']['ExitCode']}).",
            "its start script failed.",
            "See the lines below.",
        )
    end(
        f"JupyterLab does not answer on {url} after {seconds} s ({body.strip()[:200]}).",
        "a first start copies the home and can take long, or JupyterLab failed to start.",
        "See the lines below; raise neurodesktop_verify_timeout for a slow disk.",
    )


def main(params: dict[str, Any]) -> None:
    """Print "ok" and take note of it, or end with what is broken."""
    url = params["url"]
    token = Path(params["token_file"]).read_text(encoding="utf-8").strip()
    wait_for_answer(url, token, params["seconds"])
    status, _ = get(f"{url}/api/contents", "")
    if status not in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        end(
            f"JupyterLab answers without a token (HTTP {status}).",
            "the image switches authentication off.",
            "Do not use this image on a shared server.",
        )
    status, body = get(f"{url}/elyra/metadata/runtimes", token)
    if status != http.client.OK or "runtimes" not in json.loads(body):
        end(
            f"Elyra does not answer in JupyterLab (HTTP {status}).",
            "its server extension is not enabled, or its packages clash.",
            "Look at `docker exec neurodesktop jupyter server extension list`.",
        )
    record = Path(params["record"])
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(params["configuration"], encoding="utf-8")
    print(json.dumps({"ok": True, "elyra": params["elyra"]}))

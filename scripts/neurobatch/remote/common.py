"""What the programs for servers share."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Seconds that any one program may take that waits for no network.
TIMEOUT = 5
Facts = dict[str, Any]


def text(path: str) -> str | None:
    """Return the content of ``path``, or None where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def read(path: str) -> str:
    """Return the content of ``path``, empty where it cannot be read."""
    return text(path) or ""


def output(*argv: str, seconds: float = 20) -> str | None:
    """Return what a command prints, without the last line break, or None where it fails or takes longer."""
    try:
        run = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.strip() if run.returncode == 0 else None


def fingerprint(path: str) -> dict[str, Any] | None:
    """Return what tells whether a file is as a role would write it, None where there is none."""
    try:
        status = Path(path).stat()
        content = Path(path).read_bytes()
    except OSError:
        return None
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "mode": f"{status.st_mode & 0o7777:04o}",
        "owner": [status.st_uid, status.st_gid],
    }


def tool(name: str, path: str, records: str) -> dict[str, Any]:
    """Return from where an installed tool came; empty where it is missing or not the recorded file."""
    record = json.loads(text(f"{records}/{name}.json") or "{}")
    found = fingerprint(path)
    return record if found and found["sha256"] == record.get("installed") else {}


def docker_api(path: str) -> Any:
    """Return the Docker daemon's answer to ``GET path``, or None: over its socket, since a client proves no daemon."""
    connection = http.client.HTTPConnection("localhost", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(10)
    try:
        connection.sock.connect("/var/run/docker.sock")
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
        return json.loads(body) if response.status == http.client.OK else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def unit_state(name: str) -> dict[str, bool]:
    """Return whether systemd unit ``name`` is loaded, active, enabled, and stale (its file changed on disk)."""
    shown = output("systemctl", "show", name, "-p", "LoadState,ActiveState,UnitFileState,NeedDaemonReload") or ""
    values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    return {
        "loaded": values.get("LoadState") == "loaded",
        "active": values.get("ActiveState") == "active",
        "enabled": values.get("UnitFileState") == "enabled",
        "stale": values.get("NeedDaemonReload") == "yes",
    }


def seconds_since_start(unit: str) -> float:
    """Return how long ago a systemd unit began to start, infinity where it never did."""
    stamp = output("systemctl", "show", unit, "-p", "InactiveExitTimestampMonotonic", "--value") or "0"
    # systemd writes microseconds of the clock that time.monotonic reads.
    return time.monotonic() - int(stamp) / 1e6 if stamp.isdigit() and int(stamp) else float("inf")


def settled(
    look: Callable[[], Any], well: Callable[[Any], bool], unit: str = "minikube.service", grace: float = 300
) -> Any:
    """Return what ``look`` finds, once it is ``well``, or once ``unit`` has had ``grace`` seconds to come up.

    After a reboot everything comes back by itself within that time; until then, missing is not the same as broken. One
    bad look proves nothing later, either: a busy machine may have been late with an answer.
    """
    looks = 0
    while not well(found := look()) and (looks < 1 or seconds_since_start(unit) < grace):
        looks += 1
        time.sleep(2)
    return found


def may_bind(address: str) -> bool:
    """Return whether this machine has an IP address now; that of a bridge comes and goes with Docker."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def http_status(address: str, port: int, path: str, seconds: float) -> int:
    """Return the status of a GET, whatever it is, or 0 where no HTTP answer comes in time."""
    connection = http.client.HTTPConnection(address, port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


class Cluster:
    """kubectl for one cluster, given by the paths ``kubectl`` and ``kubeconfig``."""

    def __init__(self, paths: dict[str, str]) -> None:
        """Remember how to reach the cluster."""
        self.argv = [paths["kubectl"], f"--kubeconfig={paths['kubeconfig']}", "--request-timeout=20s"]

    def run(self, *argv: str, stdin: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run kubectl and return it with what it printed; where it cannot run or takes too long, that is its error."""
        try:
            return subprocess.run(
                [*self.argv, *argv], input=stdin, capture_output=True, text=True, timeout=seconds, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return subprocess.CompletedProcess([*argv], 1, "", str(error))

    def get(self, *argv: str) -> Any:
        """Return the answer of ``kubectl get`` as JSON, None where there is none."""
        run = self.run("get", *argv, "--output=json")
        return json.loads(run.stdout) if run.returncode == 0 else None


def documents(text: str) -> list[Any]:
    """Return the JSON documents that kubectl prints one after another, those of a List each for itself."""
    decoder, at = json.JSONDecoder(), 0
    items: list[Any] = []
    text = text.strip()
    while at < len(text):
        item, at = decoder.raw_decode(text, at)
        items += item["items"] if item["kind"] == "List" else [item]
        at += len(text[at:]) - len(text[at:].lstrip())
    return items


def login_user() -> pwd.struct_passwd:
    """Return the account behind sudo, or the one that runs this."""
    uid = os.environ.get("SUDO_UID")
    return pwd.getpwuid(int(uid) if uid else os.getuid())

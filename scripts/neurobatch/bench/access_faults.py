"""Break a forward into the cluster in one way and print how long it was away. Runs on the server, as root.

Standard library only; parameters: fault (a key of FAULTS), forward (ui or object-store), seconds (to wait at most).
Prints one JSON object: seconds until the forward answered again, and silent, whether it was ever away at all.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from typing import Any

KUBECTL = "kubectl --kubeconfig=/etc/neurobatch/kubeconfig --namespace=kubeflow"
SERVICES = {"ui": ("ml-pipeline-ui", 31380, "/"), "object-store": ("minio-service", 9000, "/minio/health/live")}
FAULTS = ("hung", "killed", "program_killed", "pod_deleted", "service_made_anew", "docker_restarted")
#: Makes the same Service anew from what the API server shows of it, without what it filled in by itself.
AGAIN = """
import json, sys
found = json.load(sys.stdin)
meta, spec = found["metadata"], found["spec"]
found["metadata"] = {key: meta[key] for key in ("name", "namespace", "labels", "annotations") if key in meta}
found["spec"] = {key: spec[key] for key in spec if key not in ("clusterIP", "clusterIPs")}
found.pop("status", None)
json.dump(found, sys.stdout)
"""


def command(fault: str, forward: str, service: str) -> str:
    """Return the shell command that breaks a forward."""
    unit = f"neurobatch-forward@{forward}.service"
    # kubectl is a child of the unit's own program.
    child = f"$(pgrep -P $(systemctl show --property=MainPID --value {unit}))"
    again = f"python3 -c '{AGAIN}' < /run/service.json > /run/again.json"
    return {
        "hung": f"kill -STOP {child}",
        "killed": f"kill -KILL {child}",
        "program_killed": f"systemctl kill --signal=KILL {unit}",
        "pod_deleted": f"{KUBECTL} delete pod --now --wait=false --selector={selector(service)}",
        "service_made_anew": f"set -e; {KUBECTL} get service {service} -o json > /run/service.json; {again}; "
        f"{KUBECTL} delete service {service}; {KUBECTL} create -f /run/again.json",
        "docker_restarted": "systemctl restart docker.service",
    }[fault]


def answers(port: int, path: str, seconds: float = 3) -> bool:
    """Return whether an HTTP answer comes through the port."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait(port: int, path: str, seconds: float, *, times: int) -> bool:
    """Return whether so many answers in a row came in time; a dying forward may still answer once."""
    deadline, row = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        row = row + 1 if answers(port, path) else 0
        if row >= times:
            return True
        time.sleep(0.1)
    return False


def selector(service: str) -> str:
    """Return the labels of the pods behind a Service."""
    argv = [*KUBECTL.split(), "get", "service", service, "-o", "json"]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return ",".join(f"{key}={value}" for key, value in json.loads(text)["spec"]["selector"].items())


def main(params: dict[str, Any]) -> None:
    """Print how long the fault was felt, or end with what is wrong."""
    service, port, path = SERVICES[params["forward"]]
    if not wait(port, path, 120, times=3):
        sys.exit(f"the forward {params['forward']} does not answer even before the fault")
    broken = command(params["fault"], params["forward"], service)
    started = time.monotonic()
    done = subprocess.run(["/bin/bash", "-c", broken], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{params['fault']} could not be done: {done.stderr.strip()[-300:]}")
    silent_at, back_at, row = 0.0, 0.0, 0
    # What was felt is over when answers come for as long as the watchdog takes to notice.
    while time.monotonic() - started < params["seconds"]:
        now = time.monotonic()
        if answers(port, path, 1):
            row += 1
            back_at = back_at or now
            # Some faults are never felt: another pod answers at once.
            if row >= 5 and (silent_at or now - started > 20):
                break
        else:
            silent_at, back_at, row = silent_at or now, 0.0, 0
        time.sleep(0.1)
    else:
        sys.exit(f"the forward {params['forward']} does not answer {params['seconds']} s after {params['fault']}")
    print(json.dumps({"seconds": back_at - started if silent_at else 0.0, "silent": bool(silent_at)}))

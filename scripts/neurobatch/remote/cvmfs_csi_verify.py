"""Read the Neurodesk repository on each node and in a pod, as a step does, and name the first thing that is broken.

First every node plugin is ready and its autofs lists the repository (`ls`: a mount by hand fails when all is well).
Then a Job mounts the single-repository claim with no mount propagation and no rights: what Elyra makes. It runs on
the driver's image, which is on the node already. The revision that it reads is compared with what the servers have
signed.

Parameters: cluster (kubectl, kubeconfig), namespace and release of the driver, namespaces (the first one's claim is
read), claim, repository, servers, key and proxy, seconds (deadline), record and configuration (what to note where).
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.common import Cluster
from neurobatch.remote.cvmfs import faults, servers, step

NAME = "cvmfs-verify"
#: Seconds that one try gets: more than autofs remembers a failed mount (60), so that the next one asks anew.
ONE_TRY = 70
#: What the Job runs. Its last line tells what there is; everything before is what went wrong.
SCRIPT = """
exec 2>&1
export LC_ALL=C
end() { echo "$1"; exit 1; }
modules=$(ls "$ROOT/neurodesk-modules" 2>&1) || end "$modules"
containers=$(ls "$ROOT/containers" 2>&1) || end "$containers"
grep -q " $ROOT .* - fuse" /proc/self/mountinfo || end "no CVMFS file system at $ROOT"
revision=$(attr -qg revision "$ROOT" 2>/dev/null || getfattr --only-values -n user.revision "$ROOT" 2>/dev/null)
host=$(attr -qg host "$ROOT" 2>/dev/null || getfattr --only-values -n user.host "$ROOT" 2>/dev/null)
echo "found $(echo "$modules" | grep -c .) $(echo "$containers" | grep -c .) ${revision:-none} ${host:-unknown}"
"""
Object = dict[str, Any]


def counts(said: str) -> Object | None:
    """Return what the Job has found, None where it did not get so far."""
    words = (said.strip().splitlines() or [""])[-1].split()
    if len(words) != 5 or words[0] != "found" or "0" in words[1:3] or not words[3].isdigit():
        return None
    return {"modules": int(words[1]), "containers": int(words[2]), "revision": int(words[3]), "host": words[4]}


def diagnosis(evidence: str) -> tuple[str, str]:
    """Return likely cause and remedy for what the node, the Job, its events or the API server said."""
    if fault := faults.explain(evidence):
        return fault.cause, fault.remedy
    if "found " in evidence and " none " in evidence:
        return "what is mounted there is no CVMFS: it knows no revision", "Look what else mounts below /var/cvmfs."
    if "found " in evidence:
        return "the repository is there but empty: a mirror server serves another one", "Look at cvmfs_servers."
    return "not known to this check", "The lines below show how far it comes."


def currency(revision: int, answers: dict[str, Object]) -> str:
    """Return how the revision that is mounted compares with what the servers have signed."""
    signed = {answer["revision"] for answer in answers.values() if answer["state"] == "genuine"}
    if not signed:
        return f"revision {revision}; no server could be asked what is current"
    if revision == max(signed):
        return f"revision {revision}, as signed"
    if revision > max(signed):
        return f"revision {revision}, newer than {max(signed)}, the newest that a server shows here"
    return f"revision {revision}, but {max(signed)} is signed by now; the client looks again every few minutes"


def on_nodes(cluster: Cluster, params: Object) -> str:
    """Return why autofs of some node does not list the repository; empty where all do."""
    labels = f"--selector=app=cvmfs-csi,component=nodeplugin,release={params['release']}"
    pods = (cluster.get("pods", "-n", params["namespace"], labels) or {}).get("items", [])
    if not pods:
        return "the node plugin has no pod"
    for pod in pods:
        name, states = pod["metadata"]["name"], pod["status"].get("containerStatuses") or []
        if not states or not all(state["ready"] for state in states):
            return f"the node plugin {name} is not ready"
        folder = f"/cvmfs/{params['repository']}/neurodesk-modules"
        where = ["-n", params["namespace"], name, "-c", "automount"]
        run = cluster.run("exec", *where, "--", "env", "LC_ALL=C", "timeout", "60", "ls", folder, seconds=ONE_TRY)
        if run.returncode or not run.stdout.strip():
            return f"on {pod['spec'].get('nodeName', 'a node')}: {run.stderr.strip() or 'the folder is empty'}"
    return ""


def attempt(cluster: Cluster, params: Object, image: str) -> tuple[str, Object | None]:
    """Look once; return what was said, and the findings where all is well."""
    if said := on_nodes(cluster, params):
        return said, None
    security = {"runAsUser": 1000, "runAsNonRoot": True, **step.RESTRICTED}
    made = step.job(NAME, params, image, SCRIPT, security)
    well, said = step.run(cluster, made, ONE_TRY)
    return said, counts(said) if well else None


def driver_lines(cluster: Cluster, params: Object) -> str:
    """Return the driver's last words about trouble."""
    where = ["-n", params["namespace"], f"--selector=component=nodeplugin,release={params['release']}"]
    log = cluster.run("logs", *where, "--container=automount", "--tail=200").stdout
    signs = ("fail", "error", "could not", "unable", "not signed", "required")
    return "\n".join([line for line in log.splitlines() if any(sign in line.lower() for sign in signs)][-4:])


def asked(params: Object) -> dict[str, Object]:
    """Return the servers' answers, asked from this server through the client's proxies."""
    return servers.answers(
        {"servers": params["servers"], "fqrn": params["repository"], "key": params["key"], "proxy": params["proxy"]}
    )


def broken(cluster: Cluster, params: Object, said: str) -> str:
    """Return what the operator reads when the tools cannot be had."""
    words = driver_lines(cluster, params)
    # The client's own words say more than what the kernel makes of them for a pod.
    cause, remedy = diagnosis(words if "No such file" in said and faults.explain(words) else said)
    rows = "\n  ".join(
        f"{url}: {'genuine, revision ' + str(answer['revision']) if answer['state'] == 'genuine' else answer['detail']}"
        for url, answer in asked(params).items()
    )
    return (
        f"A pod cannot read {params['repository']}: {said[:700]}\nLikely cause: {cause}. {remedy}\n"
        f"The servers, asked from this server:\n  {rows}\nThe driver's last words:\n{words or '(none about errors)'}"
    )


def main(params: Object) -> None:
    """Print what was found and take note of it, or end with what is broken."""
    cluster = Cluster(params["cluster"])
    started = time.monotonic()
    plugin = cluster.get("daemonset", f"{params['release']}-nodeplugin", "-n", params["namespace"])
    if not plugin:
        sys.exit("The CVMFS driver's node plugin does not exist; it was uninstalled meanwhile. Run this role again.")
    containers = plugin["spec"]["template"]["spec"]["containers"]
    image = next(each["image"] for each in containers if each["name"] == "automount")
    found = None
    while not found:
        said, found = attempt(cluster, params, image)
        if not found and time.monotonic() - started > params["seconds"]:
            sys.exit(broken(cluster, params, said))
        if not found:
            time.sleep(10)
    seconds = round(time.monotonic() - started, 1)
    Path(params["record"]).write_text(params["configuration"], encoding="utf-8")
    print(json.dumps({**found, "currency": currency(found["revision"], asked(params)), "seconds": seconds}))

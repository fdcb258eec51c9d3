"""Say what is wrong on the server and in its cluster, and pack what one needs to find out more, without secrets.

Parameters: cluster (kubectl, kubeconfig), own (whether it is this server's alone: what is in other namespaces of
somebody else's cluster is neither ours to read nor to pack), namespaces, units (systemd's names), secrets_dir (all
secrets of the server are below), files (paths, globs and folders to pack), bundle (path of the .tar.gz to write,
root-only; empty: none).
Prints JSON: findings (sentences), bundle (its size in bytes).
"""

from __future__ import annotations

import base64
import binascii
import glob
import io
import json
import os
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

from neurobatch.remote.cluster import judge, look
from neurobatch.remote.cluster.redact import redact, shapes
from neurobatch.remote.common import Cluster, docker_api, output, read, unit_state

#: From this share on, the kubelet throws pods out (its default nodefs.available<10%).
FULL = 0.90
#: Folders without room in which something of ours stops; each file system among them is named once.
PLACES = ("/", "/var/lib/docker", "/var", "/var/log", "/tmp", "/home")  # noqa: S108  # nothing is written there
#: Bytes of one file or one command's output that are packed, its end.
LIMIT = 1 << 20
COMMANDS = {
    "server/system": ("uname", "-a"),
    "server/os-release": ("cat", "/etc/os-release"),
    "server/disk": ("df", "-hT"),
    "server/inodes": ("df", "-i"),
    "server/memory": ("free", "-m"),
    "server/load": ("uptime",),
    "server/failed-units": ("systemctl", "--failed", "--no-pager"),
    "server/listeners": ("ss", "-ltnp"),
    "server/kernel-log": ("dmesg", "--ctime"),
    "tools/helm": ("helm", "version"),
}
#: What only a server with a cluster of its own has.
OWN_COMMANDS = {
    "docker/version": ("docker", "version"),
    "docker/info": ("docker", "info"),
    "docker/containers": ("docker", "ps", "--all", "--size"),
    "docker/images": ("docker", "images", "--digests"),
    "docker/use": ("docker", "system", "df"),
    "docker/daemon.json": ("cat", "/etc/docker/daemon.json"),
    "tools/minikube": ("minikube", "version"),
}
KUBECTL = {
    "version": ("version",),
    "nodes": ("describe", "nodes"),
    "volumes": ("get", "pv,storageclasses,csidrivers", "-o", "yaml"),
    "webhooks": ("get", "mutatingwebhookconfigurations,validatingwebhookconfigurations", "-o", "yaml"),
    "crds": ("get", "crds"),
}
#: Asked for all namespaces at once where the cluster is ours, and for each of ours where it is not.
ANYWHERE = {
    "objects": ("get", "all,pvc,configmaps,serviceaccounts,networkpolicies", "-o", "wide"),
    "events": ("get", "events", "--sort-by=.metadata.creationTimestamp"),
    # Names and sizes alone.
    "secrets": ("describe", "secrets"),
}
IN_NAMESPACE = {
    "pods": ("describe", "pods"),
    "claims": ("describe", "pvc"),
    "deployments": ("get", "deployments", "-o", "yaml"),
    "configmaps": ("get", "configmaps", "-o", "yaml"),
}


def on_server(units: list[str], own: bool) -> list[dict[str, Any]]:
    """Return what is wrong below the cluster: disk, Docker, the units."""
    rows = []
    places = {os.stat(place).st_dev: place for place in reversed(PLACES) if os.path.isdir(place)}
    for place in places.values():
        use = shutil.disk_usage(place)
        # Some file systems have no size at all.
        if use.total and (use.total - use.free) / use.total >= FULL:
            unit, name = (1e9, "GB") if use.total >= 1e10 else (1e6, "MB")
            left = f"{use.free / unit:.1f} of {use.total / unit:.0f} {name} are left"
            remedy = f"Free some: `docker system df` and `du -xh -d2 {place} | sort -h | tail` show what uses it."
            rows.append(judge.finding(0, f"Disk of {place}", f"it is nearly full, {left}", remedy))
    if own and not docker_api("/version"):
        remedy = "Run `sudo systemctl start docker`; `journalctl -u docker -n 50` says why it does not run."
        rows.append(judge.finding(1, "Docker", "no daemon answers on this server", remedy))
    for name in units:
        state = unit_state(name)
        if state["loaded"] and not state["active"]:
            said = output("journalctl", "-u", name, "-n", "8", "--no-pager", "-o", "cat") or ""
            rows.append(
                judge.finding(2, f"Unit {name}", "it does not run", f"Try `sudo systemctl restart {name}`.", said)
            )
    return rows


def in_cluster(cluster: Cluster, namespaces: list[str], kubeconfig: str, own: bool) -> list[dict[str, Any]]:
    """Return what is wrong in the cluster."""
    if not os.path.exists(kubeconfig):
        return [judge.finding(3, "Cluster", "there is none on this server yet", "Run site.yml.")]
    ready = cluster.run("get", "--raw", "/readyz", seconds=25)
    if ready.stdout != "ok":
        remedy = "Run `sudo systemctl restart minikube`; site.yml waits for it and goes on from there."
        if not own:
            remedy = "Ask whoever runs it, and whether the account of existing_cluster_kubeconfig still holds."
        return [judge.finding(3, "Cluster", "its API does not answer", remedy, (ready.stderr or ready.stdout)[-400:])]
    return look.findings(cluster, namespaces)


def secrets(cluster: Cluster, directory: str, kubeconfig: str, spaces: list[str]) -> list[str]:
    """Return all secrets that this server and its cluster hold, to be taken out of what leaves the server.

    Args:
        cluster: where to look.
        directory: all files below are secrets.
        kubeconfig: its keys and tokens are.
        spaces: namespaces of the cluster, none for all.
    """
    found = [read(str(path)) for path in Path(directory).rglob("*") if path.is_file()]
    # VNC knows the first 8 characters of a password only.
    found += [value.strip()[:8] for value in found if len(value.strip()) > 8]
    answers = [cluster.get("secrets", *where) for where in _where(spaces).values()]
    for item in (item for answer in answers for item in (answer or {}).get("items", [])):
        for encoded in (item.get("data") or {}).values():
            found.append(encoded)
            try:
                found.append(base64.b64decode(encoded).decode())
            except (binascii.Error, UnicodeDecodeError):
                continue
    for line in read(kubeconfig).splitlines():
        if "-data:" in line or "token:" in line:
            found.append(line.partition(":")[2])
    return found


def _where(spaces: list[str]) -> dict[str, list[str]]:
    """Return kubectl's options by the folder of the bundle for what they give; no namespaces are all."""
    return {f"{space}/": ["-n", space] for space in spaces} or {"": ["--all-namespaces"]}


def run(*argv: str, seconds: float = 30) -> str:
    """Return what a command prints, its errors included, or why there is nothing."""
    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", timeout=seconds, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{error}\n"
    return done.stdout


def collect(params: dict[str, Any], cluster: Cluster) -> dict[str, str]:
    """Return what is packed, path in the bundle to text. Nothing in it has been cleaned yet."""
    own = params["own"]
    found = {f"{name}.txt": run(*argv) for name, argv in {**COMMANDS, **(OWN_COMMANDS if own else {})}.items()}
    for unit in [*params["units"], *(["docker.service"] if own else [])]:
        found[f"units/{unit}.txt"] = run("systemctl", "status", "--no-pager", "-l", unit) + run(
            "journalctl", "-u", unit, "-n", "2000", "--no-pager", "-o", "short-iso"
        )
    for pattern in params["files"]:
        for path in sorted(glob.glob(pattern, recursive=True)):
            if os.path.isfile(path) and not os.path.islink(path):
                found[f"files{path}"] = read(path)[-LIMIT:]
    if os.path.exists(params["cluster"]["kubeconfig"]):
        kubectl = cluster.argv
        found |= {f"cluster/{name}.txt": run(*kubectl, *argv) for name, argv in KUBECTL.items()}
        for folder, where in _where([] if own else params["namespaces"]).items():
            found |= {f"cluster/{folder}{name}.txt": run(*kubectl, *where, *argv) for name, argv in ANYWHERE.items()}
        for space in params["namespaces"]:
            found |= {
                f"cluster/{space}/{name}.txt": run(*kubectl, "-n", space, *argv) for name, argv in IN_NAMESPACE.items()
            }
            for pod in (cluster.get("pods", "-n", space) or {}).get("items", []):
                name = pod["metadata"]["name"]
                found[f"cluster/{space}/logs/{name}.txt"] = run(
                    *kubectl, "-n", space, "logs", name, "--all-containers", "--prefix", "--tail=500"
                )
                for state in judge.restarted(pod):
                    found[f"cluster/{space}/logs/{name}.{state}.before.txt"] = run(
                        *kubectl, "-n", space, "logs", name, "-c", state, "--previous", "--tail=500"
                    )
    return found


def pack(found: dict[str, str], target: str, hidden: list[str]) -> int:
    """Write the bundle, root-only and without secrets, and return its size in bytes."""
    stamp = time.time()
    Path(target).unlink(missing_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as stream, tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in sorted(found.items()):
            clean = redact(text[-LIMIT:], hidden).encode()
            info = tarfile.TarInfo(f"diagnosis/{name}")
            info.size, info.mtime, info.mode = len(clean), int(stamp), 0o600
            tar.addfile(info, io.BytesIO(clean))
    return os.path.getsize(target)


def main(params: dict[str, Any]) -> None:
    """Print the findings, and write the bundle where one is asked for."""
    cluster = Cluster(params["cluster"])
    kubeconfig, own, spaces = params["cluster"]["kubeconfig"], params["own"], params["namespaces"]
    rows = on_server(params["units"], own) + in_cluster(cluster, spaces, kubeconfig, own)
    hidden = shapes(secrets(cluster, params["secrets_dir"], kubeconfig, [] if own else spaces))
    said = [redact(judge.text(row), hidden) for row in sorted(rows, key=lambda row: int(row["rank"]))]
    size = 0
    if params["bundle"]:
        summary = "\n\n".join(said) or "Nothing is wrong that could be seen."
        size = pack({"findings.txt": summary + "\n", **collect(params, cluster)}, params["bundle"], hidden)
    print(json.dumps({"findings": said, "bundle": size}))

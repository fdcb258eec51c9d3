"""Checks of how much there is of a server: CPUs, memory, disk."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from neurobatch.preflight.model import GB, GIB, Facts, Finding, Severity, Wanted
from neurobatch.sizing import MIN_CPUS, MIN_MEMORY_GIB, Size, SizingError, enough_memory, size
from neurobatch.wording import listed


def cpus(facts: Facts, _: Wanted) -> list[Finding]:
    """S0-30: what may be used counts, after affinity and a container's quota."""
    have = facts["cpus"]
    usable = min(have["affinity"], have["quota"] or have["affinity"])
    said = f"{usable:g} CPU{'' if usable == 1 else 's'}"
    if usable >= MIN_CPUS:
        return [Finding("cpus", "ok", said)]
    of = f" of its {have['count']}" if have["count"] > usable else ""
    message = f"This server may use {said}{of}, but at least {MIN_CPUS} are needed"
    return [Finding("cpus", "refuse", message, "give the machine more CPUs or lift the limit")]


def memory(facts: Facts, _: Wanted) -> list[Finding]:
    """S0-30: a nominal 10 GiB is enough although Linux counts less of it; a container's limit is exact."""
    total, limit = facts["memory"]["total"], facts["memory"]["limit"]
    if limit is not None and not enough_memory(limit, exact=True):
        message = f"A control group limits this server to {limit / GIB:.1f} GiB of memory"
        remedy = "raise that limit"
    elif not enough_memory(total):
        message = f"This server has {total / GIB:.1f} GiB of memory"
        remedy = "give the machine more memory"
    else:
        return [Finding("memory", "ok", f"{total / GIB:.1f} GiB of memory")]
    return [Finding("memory", "refuse", f"{message}, but at least {MIN_MEMORY_GIB} GiB are needed", remedy)]


def cluster(facts: Facts, wanted: Wanted) -> list[Finding]:
    """S0-29: what the cluster will get, and what will not fit; nothing on a host that is too small anyway."""
    have, room = facts["cpus"], facts["memory"]
    usable = int(min(have["affinity"], have["quota"] or have["affinity"]))
    created = facts["cluster"]
    existing = Size(int(created["cpus"]), int(created["memory_mib"])) if created else None
    if not existing and [row for row in (*cpus(facts, wanted), *memory(facts, wanted)) if row.severity != "ok"]:
        return []
    wishes = (wanted.minikube_cpus, wanted.minikube_memory_mb)
    try:
        chosen = size(usable, room["limit"] or room["total"], *wishes, existing=existing)
    except SizingError as error:
        message, _, remedy = str(error).partition(", but ")
        return [Finding("size", "refuse", message, f"it {remedy}")]
    if not chosen.warnings:
        verb = "has" if existing else "gets"
        return [Finding("size", "ok", f"the cluster {verb} {chosen.cpus} CPUs and {chosen.memory_mib} MiB")]
    remedy = "" if existing else "a larger server, before the cluster is created, is the only remedy"
    return [Finding("size", "warn", warning.rstrip("."), remedy) for warning in chosen.warnings]


def needed(min_free_gb: Mapping[str, float], storage_dir: str) -> dict[str, float]:
    """Return where how much room is needed: what the home should have moves along with the storage folder.

    Args:
        min_free_gb: the operator's or the default's wish, path to GB.
        storage_dir: where the lab's data will lie; empty means in the home.
    """
    if not storage_dir or storage_dir in min_free_gb:
        return dict(min_free_gb)
    return {storage_dir if path == "~" else path: size for path, size in min_free_gb.items()}


def disks(facts: Facts, wanted: Wanted) -> list[Finding]:
    """S0-07: paths on one filesystem share its room. Once installed, the room is already used, so it only warns."""
    shared: dict[object, list[Facts]] = defaultdict(list)
    for disk in facts["disks"]:
        if disk["path"] in wanted.min_free_gb:
            shared[disk["device"] if disk["device"] is not None else disk["path"]].append(disk)
    findings = []
    for group in shared.values():
        paths = listed(disk["path"] for disk in group)
        need = sum(wanted.min_free_gb[disk["path"]] for disk in group)
        remote = next((disk for disk in group if _remote(disk)), None)
        if remote:
            message = f"{remote['path']} lies on {remote['filesystem']}, on which Docker's overlays do not work"
            findings.append(Finding("disk", "refuse", message, "put Docker's data-root on a local disk"))
        if group[0]["free"] is None:
            findings.append(Finding("disk", "warn", f"The room at {paths} could not be measured", "look with `df -H`"))
            continue
        free = min(disk["free"] for disk in group) / GB
        if free >= need:
            findings.append(Finding("disk", "ok", f"{free:.0f} GB free for {paths}"))
            continue
        left = math.floor(free * 10) / 10  # never rounded up to what is asked for
        message = f"{paths} {'have' if len(group) > 1 else 'has'} {left} GB free, but {need:g} GB are needed"
        remedy = "free or add space, or lower preflight_min_free_gb if you know that less will do"
        severity: Severity = "warn" if facts["service"]["loaded"] else "refuse"
        findings.append(Finding("disk", severity, message, remedy))
    return findings


def _remote(disk: Facts) -> bool:
    """Tell whether Docker's data would lie on a network's filesystem."""
    return disk["path"].rstrip("/") == "/var/lib/docker" and str(disk["filesystem"]).startswith(("nfs", "cifs", "smb"))

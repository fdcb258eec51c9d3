"""Checks of how much there is of a server: CPUs, memory, disk."""

from __future__ import annotations

import math
from collections import defaultdict

from neurobatch.preflight.model import GB, GIB, Facts, Finding, Severity, Wanted
from neurobatch.sizing import MIN_CPUS, MIN_MEMORY_GIB, enough_memory
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

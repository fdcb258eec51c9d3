"""What preflight says, in its own sentences.

The sentences come from the checks themselves, fed the recorded hosts of the unit tests and a few slips of an inventory,
so that the page cannot say something else than a run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import yaml

from neurobatch import contradictions, inventory, preflight, specs, stacks
from neurobatch.pages import hosts, recordings
from neurobatch.pages.tables import table
from neurobatch.preflight import Finding, Wanted

#: The recorded systems, whose verdict rests on nothing but their facts.
SYSTEMS = (
    "debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "ubuntu-24.04-stock", "rocky-9", "centos-stream-9",
    "wsl2-ubuntu", "wsl2-docker-desktop", "wsl2-no-systemd", "wsl1", "rhel-8", "ubuntu-20.04", "debian-testing",
)  # fmt: skip

#: What stands for an operator's slips in the inventory, in the order of the table.
SLIPS: tuple[tuple[str, Any], ...] = (
    ("neurodesktop_prot", 8889),
    ("elyra_version", "3.15.0"),
    ("neurodesktop_port", "abc"),
    ("neurodesktop_port", 70000),
    ("neurodesktop_listen", "localhost"),
    ("docker_source", "dokcer"),
    ("docker_users", "ann,bob"),
    ("stack", "kfp-2.0"),
    ("minikube_cpu", 4),
    ("minikube_memory_mb", "9G"),
    ("kubernetes_version", "v1.35.1"),
    ("minikube_version", "v1.30.1"),
    ("registry_mirror", "http://mirror.lab:5000"),
    ("registry_mirrors", "http://mirror.lab:5000"),
    ("preflight_min_free_gb", 60),
    ("secure_logging", "perhaps"),
    ("port_forward_ui_port", 0),
    ("port_forward_ui_port", 8888),
    ("neurodesktop_subnet", "10.100.0.0/16"),
    ("minikube_cpus", 1),
    ("minikube_memory_mb", 4096),
    ("cluster_kind", "admin"),
    ("existing_cluster_kubeconfig", "/root/kubeconfig"),
    ("existing_cluster_namespaces", "lab"),
    ("cvmfs_csi_servers", "http://stratum.lab"),
    ("cvmfs_servers", ["stratum.lab"]),
    ("cvmfs_servers", []),
    ("cvmfs_public_key", "/etc/cvmfs/keys/lab.pub"),
    ("preflight_min_free_gb", {"docker": 60}),
)


def parts() -> dict[str, str]:
    """Return the generated blocks of docs/preflight.md by name."""
    found = sick()
    head = ("Check", "Such a server", "It says", "What to do")
    return {
        "inventory": table(("In the inventory", "It says"), slips()),
        "refusals": table(head, _rows(found, "refuse")),
        "warnings": table(head, _rows(found, "warn")),
        "systems": table(("Such a server", "It says", "Verdict"), systems()),
        "recordings": table(("Recorded", "System", "Docker", "Verdict"), recorded()),
    }


def systems() -> list[tuple[str, ...]]:
    """Return the verdict on each recorded system that is not sick otherwise."""
    needs = wanted()
    rows: list[tuple[str, ...]] = []
    for name in SYSTEMS:
        found = preflight.verdict(hosts.facts(name), needs)
        said = next(finding.message for finding in found if finding.check == "os")
        rows.append((name, said, verdict(found)))
    return rows


def recorded() -> list[tuple[str, ...]]:
    """Return the verdict on each system that others recorded."""
    needs = wanted()
    rows: list[tuple[str, ...]] = []
    for name in recordings.known():
        found = preflight.verdict(recordings.facts(name), needs)
        said = {finding.check: finding.message for finding in found}
        rows.append((name, said["os"], said["docker"], verdict(found)))
    return rows


def verdict(found: Iterable[Finding]) -> str:
    """Return what becomes of a server with these findings."""
    troubles = {finding.severity for finding in found}
    return "refused" if "refuse" in troubles else "warned" if "warn" in troubles else "accepted"


def wanted() -> Wanted:
    """Return what the roles ask of a server when an inventory sets nothing."""
    options = specs.settable(specs.load())
    role = yaml.safe_load((specs.ROLES_DIR / "preflight" / "vars" / "main.yml").read_text(encoding="utf-8"))

    def default(value: Any) -> Any:
        knob = re.fullmatch(r"\{\{ __preflight_inventory\.knobs\.(\w+) \}\}", str(value))
        return options[knob[1]].spec["default"] if knob else value

    ports = [{key: default(value) for key, value in port.items()} for port in role["__preflight_ports"]]
    return Wanted.of(
        {
            "min_free_gb": options["preflight_min_free_gb"].spec["default"],
            "ports": ports,
            "now": hosts.facts(hosts.BASE)["clock"]["epoch"],
        }
    )


def sick() -> list[tuple[str, Finding]]:
    """Return what is not in order with each recorded host, check by check."""
    needs = wanted()
    rows = [
        (name, finding)
        for name in hosts.known()
        for finding in preflight.verdict(hosts.facts(name), needs)
        if finding.severity != "ok"
    ]
    with_one = "small-cluster"
    elsewhere = replace(needs, cluster_kind="admin")
    rows += [(with_one, row) for row in preflight.verdict(hosts.facts(with_one), elsewhere) if row.check == "cluster"]
    order = list(preflight.CHECKS)
    return sorted(rows, key=lambda row: order.index(row[1].check))


def every_default() -> dict[str, Any]:
    """Return every variable with its default, templates left as they are."""
    return {name: option.spec.get("default") for name, option in specs.settable(specs.load()).items()}


def slips() -> list[tuple[str, str]]:
    """Return the slips and what is said about each."""
    roles = specs.load()
    options = specs.settable(roles)
    rows = []
    for name, value in SLIPS:
        problems = inventory.unknown([name], options, roles, {name: value}) + inventory.wrong({name: value}, options)
        if not problems and name in options:
            problems = contradictions.contradictions({**every_default(), name: value})
        said = [problem.message for problem in problems]
        if not said:
            try:
                stacks.resolve(str(value))
            except stacks.StackError as error:
                said = [str(error)]
        rows.append((f"`{name}: {value}`", " ".join(said)))
    return rows


def _rows(found: Iterable[tuple[str, Finding]], severity: str) -> list[tuple[str, ...]]:
    """Return the findings of one severity, those that read alike in one row."""
    servers: dict[Finding, list[str]] = {}
    for name, row in found:
        if row.severity == severity:
            servers.setdefault(row, []).append(name)
    return [(row.check, ", ".join(names), row.message, row.remedy) for row, names in servers.items()]

"""What preflight says, in its own sentences.

The sentences come from the checks themselves, fed the recorded hosts of the unit tests and a few slips of an inventory,
so that the page cannot say something else than a run.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import yaml

from neurobatch import inventory, preflight, specs, stacks
from neurobatch.pages.tables import table
from neurobatch.preflight import Finding, Wanted

HOSTS = specs.ROLES_DIR.parent / "tests" / "unit" / "fixtures" / "hosts"

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
)


def parts() -> dict[str, str]:
    """Return the generated blocks of docs/preflight.md by name."""
    found = findings()
    return {
        "inventory": table(("In the inventory", "It says"), slips()),
        "refusals": table(("Check", "It says", "What to do"), _rows(found, "refuse")),
        "warnings": table(("Check", "It says", "What to do"), _rows(found, "warn")),
    }


def wanted() -> Wanted:
    """Return what the roles ask of a server when an inventory sets nothing."""
    options = specs.settable(specs.load())
    role = yaml.safe_load((specs.ROLES_DIR / "preflight" / "vars" / "main.yml").read_text(encoding="utf-8"))

    def default(value: Any) -> Any:
        knob = re.fullmatch(r"\{\{ __preflight_inventory\.knobs\.(\w+) \}\}", str(value))
        return options[knob[1]].spec["default"] if knob else value

    ports = [{key: default(value) for key, value in port.items()} for port in role["__preflight_ports"]]
    return Wanted.of({"min_free_gb": options["preflight_min_free_gb"].spec["default"], "ports": ports})


def findings() -> list[Finding]:
    """Return what is not in order with the recorded hosts, each kind once, host by host."""
    needs = wanted()
    found: dict[tuple[str, str, str], Finding] = {}
    for path in sorted(HOSTS.glob("*.json")):
        for finding in preflight.verdict(json.loads(path.read_text(encoding="utf-8")), needs):
            kind = re.sub(r"`[^`]*`|\d+", "", finding.remedy)
            if finding.severity != "ok":
                found.setdefault((finding.check, finding.severity, kind), finding)
    order = list(preflight.CHECKS)
    return sorted(found.values(), key=lambda finding: order.index(finding.check))


def slips() -> list[tuple[str, str]]:
    """Return the slips and what is said about each."""
    roles = specs.load()
    options = specs.settable(roles)
    rows = []
    for name, value in SLIPS:
        problems = inventory.unknown([name], options, roles, {name: value}) + inventory.wrong({name: value}, options)
        said = [problem.message for problem in problems]
        if not said:
            try:
                stacks.resolve(str(value))
            except stacks.StackError as error:
                said = [str(error)]
        rows.append((f"`{name}: {value}`", " ".join(said)))
    return rows


def _rows(found: Iterable[Finding], severity: str) -> list[tuple[str, ...]]:
    return [(row.check, row.message, row.remedy) for row in found if row.severity == severity]

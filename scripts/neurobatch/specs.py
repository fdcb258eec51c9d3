"""Read what the roles say about their variables (`roles/<role>/meta/argument_specs.yml`).

Entry points used by this project: `main` (the role's own variables), `shared` (variables that several roles read,
declared once, in role preflight) and `published` (facts that a role sets for later ones; never set by an operator).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

try:  # libyaml parses ten times faster, and ansible-core's own dependencies bring it on every usual platform
    from yaml import CSafeLoader as Loader
except ImportError:
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

ROLES_DIR = Path(__file__).resolve().parents[2] / "roles"
#: Entry points whose options an operator may set.
SETTABLE = ("main", "shared")


@dataclass(frozen=True)
class Option:
    """One documented variable: its name, the role and entry point that declare it, and ansible's option spec."""

    name: str
    role: str
    entry: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class RoleSpec:
    """One role's argument specs, by entry point."""

    name: str
    directory: Path
    entries: Mapping[str, Mapping[str, Any]]

    def options(self, entry: str) -> dict[str, Option]:
        """Return the options of ``entry`` by name; none when the role has no such entry point."""
        options = self.entries.get(entry, {}).get("options") or {}
        return {name: Option(name, self.name, entry, spec or {}) for name, spec in options.items()}


def load(roles_dir: Path = ROLES_DIR) -> dict[str, RoleSpec]:
    """Return the specs of every role in ``roles_dir`` that has them, by role name."""
    specs: dict[str, RoleSpec] = {}
    for path in sorted(roles_dir.glob("*/meta/argument_specs.yml")):
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)
        role = path.parents[1]
        specs[role.name] = RoleSpec(role.name, role, (data or {}).get("argument_specs") or {})
    return specs


def settable(roles: Mapping[str, RoleSpec]) -> dict[str, Option]:
    """Return every variable that an operator may set, by name."""
    return {
        name: option for role in roles.values() for entry in SETTABLE for name, option in role.options(entry).items()
    }

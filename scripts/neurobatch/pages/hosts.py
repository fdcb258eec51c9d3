"""Recorded hosts: what `neurobatch.remote.host_probe` printed on Debian 12, and others as differences from it."""

from __future__ import annotations

import json
from typing import Any

from neurobatch import specs

FOLDER = specs.ROLES_DIR.parent / "tests" / "unit" / "fixtures" / "hosts"
BASE = "debian-12"
#: Maps that a difference replaces whole: another system's os-release has other keys.
WHOLE = frozenset({"os"})


def known() -> list[str]:
    """Return the names of the recorded hosts."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def facts(name: str) -> dict[str, Any]:
    """Return the facts of the host ``name``."""
    data: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    base: str = data.pop("base", "")
    return merged(facts(base), data) if base else data


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``change``: maps merge, everything else replaces."""
    result = dict(base)
    for key, value in change.items():
        old = base.get(key)
        if isinstance(old, dict) and isinstance(value, dict) and key not in WHOLE:
            result[key] = merged(old, value)
        else:
            result[key] = value
    return result

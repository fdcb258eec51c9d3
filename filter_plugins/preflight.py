"""Ansible filters over neurobatch.preflight."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurobatch import preflight
from neurobatch.preflight.room import needed


def findings(facts: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the findings about a host as maps."""
    return preflight.plain(preflight.verdict(facts, preflight.Wanted.of({"now": time.time(), **wanted})))


def room(min_free_gb: Mapping[str, float], storage_dir: str) -> dict[str, float]:
    """Return where how much room is needed."""
    return needed(min_free_gb, storage_dir)


def refusal(rows: Sequence[Mapping[str, Any]], host: str = "this server") -> str:
    """Return the reasons to refuse as one message, empty when there is none."""
    return preflight.refusal([preflight.Finding(**row) for row in rows], host)


def warnings(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the warnings as sentences."""
    return preflight.warnings([preflight.Finding(**row) for row in rows])


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "neurobatch_findings": findings,
            "neurobatch_refusal": refusal,
            "neurobatch_room": room,
            "neurobatch_warnings": warnings,
        }

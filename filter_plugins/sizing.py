"""Ansible filter over neurobatch.sizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible.errors import AnsibleFilterError
from neurobatch import sizing


def size(
    host: Mapping[str, int], cpus: int, memory_mib: int, created: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return cpus, memory_mib and warnings; see `neurobatch.sizing.size`."""
    try:
        existing = sizing.Size(int(created["cpus"]), int(created["memory_mib"])) if created else None
        chosen = sizing.size(host["cpus"], host["memory_bytes"], int(cpus), int(memory_mib), existing=existing)
    except sizing.SizingError as error:
        raise AnsibleFilterError(str(error)) from error
    return {**asdict(chosen), "warnings": list(chosen.warnings)}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"neurobatch_cluster_size": size}

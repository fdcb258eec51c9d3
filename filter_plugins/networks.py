"""Ansible filter over neurobatch.networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurobatch.networks import endpoints, gateway


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"neurobatch_gateway": gateway, "neurobatch_endpoints": endpoints}

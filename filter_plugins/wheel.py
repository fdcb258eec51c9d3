"""Ansible filter over neurobatch.wheel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurobatch.wheel import digest


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"neurobatch_package_digest": digest}

"""Ansible filter over neurobatch.notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurobatch.notebooks import as_notebook


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"neurobatch_notebook": as_notebook}

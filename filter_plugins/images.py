"""Ansible filter over neurobatch.images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurobatch.images import containerd_hosts, pull_reference, replaced, substitutions


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "neurobatch_containerd_hosts": containerd_hosts,
            "neurobatch_pull_reference": pull_reference,
            "neurobatch_replaced_images": replaced,
            "neurobatch_substitutions": substitutions,
        }

"""Ansible filter over neurobatch.images and neurobatch.mirrors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurobatch.images import pull_reference, replaced, substitutions
from neurobatch.mirrors import containerd_files, docker_files


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "neurobatch_containerd_hosts": containerd_files,
            "neurobatch_docker_files": docker_files,
            "neurobatch_pull_reference": pull_reference,
            "neurobatch_replaced_images": replaced,
            "neurobatch_substitutions": substitutions,
        }

"""Ansible filter over neurobatch.doors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from neurobatch.doors import past_proxy, proxy_environment, through


def environment(proxy_url: str, proxy_exceptions: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of a task or a container behind a proxy."""
    return proxy_environment(proxy_url, past_proxy(proxy_exceptions))


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {
            "neurobatch_past_proxy": past_proxy,
            "neurobatch_proxy_environment": environment,
            "neurobatch_through": through,
        }

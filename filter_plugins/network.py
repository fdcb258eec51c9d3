"""Ansible filter over neurobatch.needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from neurobatch import needs, stacks
from neurobatch.choice import Wish


def question(
    doors: Mapping[str, Any], stack: str, stack_fallback: str, stack_dirs: Sequence[str], when: str
) -> dict[str, Any] | None:
    """Return what the probe shall ask the network for, None for nothing."""
    if when == "never":
        return None
    way = needs.Doors(**{**doors, "proxy_exceptions": tuple(doors["proxy_exceptions"])})
    wish = Wish(stack, stack_fallback, way, lambda name: stacks.resolve(name, list(stack_dirs)))
    wanted = [need for candidate in wish.candidates() for need in needs.of(candidate, way)]
    unique = list({need.address: need for need in wanted}.values())
    return {**needs.question(unique, way), "always": when == "always"}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"neurobatch_network_question": question}

"""The rehearsal's stacks: a site's own stack files, as any site would write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.rehearsal.common import Refusal
from tests.rehearsal.names import CHECKOUT

STACK = "rehearsal-2.0.0"
"""What is rehearsed when nothing else is asked for."""

STACKS = Path(__file__).parent / "stacks"


def known_stacks() -> list[str]:
    """Return the names of the rehearsal's stacks."""
    return sorted(path.stem for path in STACKS.glob("*.yml"))


def stack_file(stack: str = STACK) -> dict[str, Any]:
    """Return a stack file of the rehearsal as it is written, not merged with its parent."""
    loaded: dict[str, Any] = yaml.safe_load((STACKS / f"{stack}.yml").read_text())
    return loaded


def constraints(stack: str = STACK) -> dict[str, str]:
    """Return the Python pins of a stack of the rehearsal, its parent's included.

    Raises:
        Refusal: there are none.
    """
    own = stack_file(stack)
    parent = yaml.safe_load((CHECKOUT / "stacks" / f"{own['derives']}.yml").read_text())
    pins: dict[str, str] = {}
    for layer in (parent, own):
        pins |= (layer.get("neurodesktop") or {}).get("constraints") or {}
    if not pins:
        raise Refusal(f"stacks/{own['derives']}.yml has no neurodesktop.constraints to fill the wheel index with.")
    return pins

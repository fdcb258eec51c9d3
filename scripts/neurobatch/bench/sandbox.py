"""What benchmarks share: they run against the throwaway server of inventories/sandbox and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
INVENTORY = ROOT / "inventories" / "sandbox" / "hosts.yml"
NO_SANDBOX = 2


def need_sandbox() -> Path:
    """Return the sandbox's inventory, or end the program with code 2 where there is none."""
    if not INVENTORY.exists():
        print("no sandbox: boot one with `make demo`, then run this again", file=sys.stderr)
        sys.exit(NO_SANDBOX)
    return INVENTORY


def figure(name: str, value: float) -> None:
    """Print one figure; the unit is the end of its name."""
    print(f"{name}: {value:.3f}".rstrip("0").rstrip(".") if value % 1 else f"{name}: {value:.0f}", flush=True)

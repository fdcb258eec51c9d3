"""Make the secrets of a role that are not there yet, root-only, and print which ones were written.

Parameters: directory; secrets, name to wanted value (empty: any that is there stays, else a random one).
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any


def main(params: dict[str, Any]) -> None:
    """Write what is missing or differs; a file is replaced in one step, so that no reader meets half of it."""
    directory = Path(params["directory"])
    # mkdir's mode holds for the last folder only, and not at all for one that is there.
    for folder in (directory.parent, directory):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(folder, 0o700)
    written = []
    for name, value in params["secrets"].items():
        target = directory / name
        if target.exists() and (not value or target.read_text(encoding="utf-8") == value):
            continue
        partial = directory / f".{name}.new"
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            stream.write(value or secrets.token_hex(24))
        os.replace(partial, target)
        written.append(name)
    print(json.dumps(written))

"""Runs inside the container as the notebook user: compare what Elyra shall find in the home, and write what differs.

Being that user is the point: whatever links a notebook left in the home, nothing is read or written that it could not.
Standard input: JSON with ``write`` and ``documents``, each with ``path`` (below the home), ``content``, ``mode`` and
``managed``. A managed document is kept as it is wanted. Another is a gift: written once, brought up to date as long as
nobody changed it, and never written again after it was changed or removed. Prints the paths that differ, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

RECORD = ".local/share/neurobatch/written.json"


def digest(content: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(content.encode()).hexdigest()


def read(path: Path) -> str | None:
    """Return a file's text, None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def differs(document: dict[str, Any], target: Path, given: dict[str, str]) -> bool:
    """Return whether this document is to be written."""
    found, wanted = read(target), document["content"]
    if not document["managed"]:
        last = given.get(document["path"])
        if found is None:
            return last is None
        return found != wanted and digest(found) == last
    try:
        # Elyra writes the same settings in another layout.
        same = found is not None and json.loads(found) == json.loads(wanted)
    except ValueError:
        same = False
    return not same or f"{target.stat().st_mode & 0o777:04o}" != document["mode"]


def write(target: Path, content: str, mode: int) -> None:
    """Put a file in place in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), mode)
        stream.write(content)
    os.replace(partial, target)


def main(params: dict[str, Any]) -> None:
    """Print the paths that differ, or differed before they were written. Parameters: home."""
    order, home = json.load(sys.stdin), Path(params["home"])
    given: dict[str, str] = json.loads(read(home / RECORD) or "{}")
    changed = []
    for document in order["documents"]:
        target = home / document["path"]
        if not differs(document, target, given):
            continue
        changed.append(document["path"])
        if order["write"]:
            write(target, document["content"], int(document["mode"], 8))
            given[document["path"]] = digest(document["content"])
    if changed and order["write"]:
        write(home / RECORD, json.dumps(given, indent=1), 0o644)
    print(json.dumps(changed))

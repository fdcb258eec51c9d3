"""Keep one name in /etc/hosts exactly once. Verbs: ensure, remove, and check (exit code 1 where ensure would write).

Removal gives the file back to the byte as long as nobody else has changed it since. Parameters: address, name; record,
a file that keeps what was there before.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

HOSTS = Path("/etc/hosts")


def with_entry(text: str, address: str, name: str, *, wanted: bool) -> str:
    """Return the text of a hosts file with one line for ``name`` (wanted) or without the name at all.

    Other names on a line stay there, and so do comments; a line that had this name only goes.
    """
    entry = f"{address} {name}"
    there = False
    lines = []
    for line in text.splitlines(keepends=True):
        fields, mark, comment = line.partition("#")
        words = fields.split()
        if name not in words[1:]:
            lines.append(line)
        elif wanted and not there and words == [address, name]:
            there = True
            lines.append(line)
        elif kept := [word for word in words[1:] if word != name]:
            lines.append(" ".join([words[0], *kept]) + (f" {mark}{comment}" if mark else "\n"))
    found = "".join(lines)
    if not wanted or there:
        return found
    return found + ("\n" if found and not found.endswith("\n") else "") + f"{entry}\n"


def note(record: Path, before: str, after: str) -> None:
    """Keep what a first change replaces; a later one has our own line in it, or somebody else's work."""
    if not record.exists():
        put(record, json.dumps({"before": before, "after": digest(after)}))


def before(record: Path, text: str) -> str | None:
    """Return what the file was before the first change, None where it is not what that change made of it."""
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(kept["before"]) if kept["after"] == digest(text) else None


def digest(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def read(path: Path) -> str:
    """Return a file's text to the byte, whatever its line ends and its encoding."""
    return path.read_bytes().decode("utf-8", "surrogateescape")


def put(path: Path, text: str) -> None:
    """Replace a file in one step, or in place where it is a mount of its own, as in a container."""
    mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
    path.parent.mkdir(parents=True, exist_ok=True)
    content = text.encode("utf-8", "surrogateescape")
    partial = path.with_name(f".{path.name}.neurobatch")
    partial.write_bytes(content)
    os.chmod(partial, mode)
    try:
        os.replace(partial, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        path.write_bytes(content)
        partial.unlink()


def main(params: dict[str, Any]) -> None:
    """Do what the first argument says."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb not in {"ensure", "remove", "check"}:
        sys.exit("usage: hosts-entry ensure|remove|check")
    record, found = Path(params["record"]), read(HOSTS)
    if verb == "remove":
        kept = before(record, found)
        text = with_entry(found, params["address"], params["name"], wanted=False) if kept is None else kept
    else:
        text = with_entry(found, params["address"], params["name"], wanted=True)
    if verb == "check":
        sys.exit(int(text != found))
    if verb == "ensure" and text != found:
        note(record, found, text)
    if text != found:
        put(HOSTS, text)
    if verb == "remove":
        record.unlink(missing_ok=True)

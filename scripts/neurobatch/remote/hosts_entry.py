"""Keep one name in /etc/hosts exactly once. Verbs: ensure, remove, and check (exit code 1 where ensure would write).

Parameters: address, name.
"""

from __future__ import annotations

import errno
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
    for line in text.splitlines():
        fields, mark, comment = line.partition("#")
        words = fields.split()
        if name not in words[1:]:
            lines.append(line)
        elif wanted and not there and words == [address, name]:
            there = True
            lines.append(line)
        elif kept := [word for word in words[1:] if word != name]:
            lines.append(" ".join([words[0], *kept]) + (f" {mark}{comment}" if mark else ""))
    if wanted and not there:
        lines.append(entry)
    return "".join(f"{line}\n" for line in lines)


def write(text: str) -> None:
    """Replace the file in one step, or in place where it is a mount of its own, as in a container."""
    partial = HOSTS.with_name(".hosts.neurobatch")
    partial.write_text(text, encoding="utf-8")
    os.chmod(partial, HOSTS.stat().st_mode & 0o7777)
    try:
        os.replace(partial, HOSTS)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        HOSTS.write_text(text, encoding="utf-8")
        partial.unlink()


def main(params: dict[str, Any]) -> None:
    """Do what the first argument says."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb not in {"ensure", "remove", "check"}:
        sys.exit("usage: hosts-entry ensure|remove|check")
    found = HOSTS.read_text(encoding="utf-8")
    text = with_entry(found, params["address"], params["name"], wanted=verb != "remove")
    if verb == "check":
        sys.exit(int(text != found))
    if text != found:
        write(text)
